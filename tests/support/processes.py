"""Waiting for what other processes do, and for their end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

_DEADLINE_SECONDS = 60


def is_alive(pid: int) -> bool:
    """Whether a process exists that is no zombie.

    A killed process whose parent is gone stays a zombie until init collects it, which may take a
    second on a busy machine.
    """
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Fail the test when `condition` does not hold within a minute; `what` names it."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def wait_for_end(*pids: int) -> None:
    """Fail the test when one of these processes is still alive after a minute.

    SIGKILL takes effect after `kill` has returned, and so does the signal that a kernel gets when
    its zygote dies: whoever checks at once is sometimes too early.
    """
    wait_for(lambda: not any(map(is_alive, pids)), f"the end of {pids}")
