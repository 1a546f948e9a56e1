"""Processes that outlive the command that started them: which they are, and that they still are."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_POLL_SECONDS = 0.02


def birth_of(pid: int) -> str | None:
    """What tells this process from an earlier or later one with its number; None where it is gone.

    The boot and the tick at which it began: a clock that is set back changes neither.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _birth_by_psutil(pid)
    # A program's name may hold spaces and brackets: what follows the last bracket is safe.
    fields = text.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return f"{boot()}/{fields[19]}"


def boot() -> str:
    """What tells this run of the machine from others; empty where the system does not say."""
    with contextlib.suppress(OSError):
        return _BOOT.read_text(encoding="ascii").strip()
    return ""


def _birth_by_psutil(pid: int) -> str | None:
    if _BOOT.exists():
        return None
    # Systems without /proc, such as macOS.
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def session_of(leader: int) -> list[int]:
    """The processes in the session that this one began, itself among them.

    A number is not given to another process as long as a session is called by it, so those that
    a killed leader left behind are found.
    """
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader and birth_of(pid) is not None:
                found.append(pid)
    return found


def end(pids: Iterable[int], within_seconds: float) -> None:
    """Have processes end in order, and kill those that do not within that time."""
    births = {pid: birth_of(pid) for pid in pids}
    for number, seconds in ((signal.SIGTERM, within_seconds), (signal.SIGKILL, 5.0)):
        left = [pid for pid, birth in births.items() if birth and birth_of(pid) == birth]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while any(birth_of(pid) == births[pid] for pid in left):
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)


def listener_at(port: int) -> str:
    """The program that listens at a port, as far as this user may see it."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            # The address is (host, port), and () where a connection has none.
            if connection.status != psutil.CONN_LISTEN or [*connection.laddr][1:2] != [port]:
                continue
            if connection.pid:
                name = psutil.Process(connection.pid).name()
                return f"{name} (process {connection.pid})"
    return "another program"
