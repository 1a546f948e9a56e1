"""What this nbci is, and what this machine offers to its steps: versions, kernels, GPUs."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from msgspec import Struct

import nbci
from nbci.app.health.programs import gpu_names
from nbci.errors import NbciError
from nbci.kernels.specs import find_spec, installed_kernels

if TYPE_CHECKING:
    from collections.abc import Iterator


class Kernel(Struct, frozen=True, kw_only=True):
    """An installed kernel as Jupyter names it; `language` is in lower case."""

    name: str
    display_name: str
    language: str


class Gpu(Struct, frozen=True, kw_only=True):
    """A GPU that the driver shows."""

    name: str


class Inventory(Struct, frozen=True, kw_only=True):
    """What a form of another program may ask this machine for."""

    nbci: str
    python: str
    platform: str
    kernels: tuple[Kernel, ...]
    gpus: tuple[Gpu, ...]


def take_inventory() -> Inventory:
    """Look, without starting a kernel: who fills in a form waits for it."""
    return Inventory(
        nbci=nbci.__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        kernels=tuple(_kernels()),
        gpus=tuple(Gpu(name=name) for name in gpu_names()),
    )


def _kernels() -> Iterator[Kernel]:
    for name in installed_kernels():
        try:
            spec = find_spec(name)
        except NbciError:
            # No step can run in it: `nbci doctor` says what is wrong with it.
            continue
        yield Kernel(
            name=name, display_name=str(spec.display_name), language=str(spec.language).lower()
        )
