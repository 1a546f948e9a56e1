"""The processes that belong to a kernel: finding and ending them all.

It is sent to zygotes as source, too: standard library only, Python 3.8.
"""

from __future__ import annotations

import os
import signal

MARKER = "NBCI_KERNEL"
"""The environment variable by which descendants are known even when they have left the session."""


def family(pid: int, marker: str) -> set[int]:
    """The living processes of a kernel.

    These are itself, its descendants, the members of its session, and those whose environment has
    the `marker`, if any.
    """
    if not os.path.exists("/proc/self/stat"):
        return _family_by_psutil(pid)
    wanted = (MARKER + "=" + marker).encode()
    parents: dict[int, int] = {}
    members: set[int] = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            # A program's name, in parentheses, may hold anything: proc_pid_stat(5).
            fields = _read(entry, "stat").rpartition(b")")[2].split()
            if fields[0] == b"Z":
                continue
            parents[int(entry)] = int(fields[1])
            if int(fields[3]) == pid or (marker and wanted in _read(entry, "environ").split(b"\0")):
                members.add(int(entry))
        except (OSError, IndexError):
            # It has ended, or is another user's.
            continue
    members |= {pid} & parents.keys()
    return (members | _descendants(members, parents)) - {os.getpid()}


def _read(entry: str, name: str) -> bytes:
    with open("/proc/" + entry + "/" + name, "rb") as file:
        return file.read()


def _descendants(members: set[int], parents: dict[int, int]) -> set[int]:
    found = set(members)
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            return found
        found |= more


def _family_by_psutil(pid: int) -> set[int]:
    import psutil

    try:
        kernel = psutil.Process(pid)
        return {pid} | {child.pid for child in kernel.children(recursive=True)}
    except psutil.Error:
        return set()


def kill(pids: set[int]) -> None:
    """SIGKILL them; those that are gone are fine."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
