"""Reads and sets the environment variables of this process as a whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def set_environment(wanted: Mapping[str, str]) -> None:
    """Make the environment `wanted`; a variable that has its value already is not written."""
    for name in set(os.environ).difference(wanted):
        del os.environ[name]
    for name, value in wanted.items():
        # each write reaches `putenv`, which allocates: memory pages of the fork would be copied
        if os.environ.get(name) != value:
            os.environ[name] = value


def changed_names(before: Mapping[str, str], now: Mapping[str, str]) -> set[str]:
    """The variables that differ between two environments."""
    return {name for name in {*before, *now} if before.get(name) != now.get(name)}


def raw_environment() -> dict[bytes, bytes]:
    """The environment as it is stored: a comparison of it decodes nothing."""
    return dict(os.environ._data)  # type: ignore[attr-defined]  # not announced, but there


def variables_set_by_kernels(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a kernel sets for itself; `environment` is that before this process."""
    from ipykernel.zmqshell import ZMQInteractiveShell

    before = dict(os.environ)

    # an empty environment shows which ones the kernel's shell sets whatever was there
    set_environment({})
    # it asks nothing of the shell
    ZMQInteractiveShell.init_environment(None)  # type: ignore[arg-type, no-untyped-call]
    own = dict(os.environ)
    set_environment(before)

    own.update({name: value for name, value in before.items() if environment.get(name) != value})
    return own
