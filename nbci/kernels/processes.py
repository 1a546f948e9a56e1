"""What the system tells of a kernel's process: why it ended, and the memory that it takes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from msgspec import Struct

PROC = Path("/proc")


class Death(Struct, frozen=True, kw_only=True):
    """How a kernel's process ended: `status` as `subprocess` gives it, negative for a signal.

    `lost`: it ended because the process that it was forked from did, which is no fault of the
    step's.
    """

    status: int
    out_of_memory: bool
    last_memory_bytes: int | None
    lost: bool = False

    @property
    def signal_name(self) -> str | None:
        """The name of the signal that ended it."""
        if self.status >= 0:
            return None
        try:
            return signal.Signals(-self.status).name
        except ValueError:
            return f"signal {-self.status}"

    @property
    def message(self) -> str:
        """What happened, in a sentence."""
        used = ""
        if self.last_memory_bytes:
            used = f"; it last used {self.last_memory_bytes / (1 << 30):.2f} GiB"
        if self.lost:
            return "the process that the kernel was forked from ended, and the kernel with it"
        if self.out_of_memory:
            return f"the kernel ran out of memory: the system killed it{used}"
        if self.signal_name == "SIGSEGV":
            return "the kernel crashed with a segmentation fault (SIGSEGV)"
        if self.signal_name == "SIGKILL":
            return f"the kernel was killed (SIGKILL){used}"
        if self.signal_name is not None:
            return f"the kernel was ended by {self.signal_name}"
        return f"the kernel's process ended by itself with status {self.status}"

    @property
    def hint(self) -> str:
        """What to do about it."""
        if self.lost:
            return (
                "somebody killed it, or the system did when memory ran short; "
                "the step can be tried again"
            )
        if self.out_of_memory:
            return (
                "load less at once, free what is not needed, "
                "or run the step where there is more memory"
            )
        if self.signal_name == "SIGKILL":
            return (
                "often the system's answer to memory running short; "
                "else somebody killed the process"
            )
        if self.signal_name is not None:
            return (
                "the log has the stack, if the kernel could still write it; "
                "native code is the usual cause"
            )
        return "something called os._exit(); let the cell end, or raise an exception"


def memory_of(pid: int) -> int | None:
    """Resident bytes of a process and its children, or None when it is gone or nobody can say."""
    import psutil

    try:
        kernel = psutil.Process(pid)
        total = int(kernel.memory_info().rss)
        # Without /proc, to look for the children at each poll would cost more than it tells.
        if not sys.platform.startswith("linux"):
            return total
        return total + sum(_resident(child) for child in _children(pid))
    except (psutil.Error, OSError):
        return None


def _children(pid: int) -> set[int]:
    """Descendants by the system's list of children (`/proc/PID/task/TID/children`).

    psutil looks at every process of the machine for them, and this is asked four times a second.
    """
    found: set[int] = set()
    for path in PROC.glob(f"{pid}/task/*/children"):
        try:
            direct = set(map(int, path.read_text().split()))
        except OSError:
            continue
        found |= direct
        for child in direct:
            found |= _children(child)
    return found


def _resident(pid: int) -> int:
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def out_of_memory_kills(pid: int) -> int | None:
    """How often the system killed a process of `pid`'s control group for want of memory, so far."""
    for path in _memory_event_files(pid):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None


def _memory_event_files(pid: int) -> list[Path]:
    try:
        groups = (PROC / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return []
    files = []
    for line in groups:
        _, controllers, path = line.split(":", 2)
        inside = path.lstrip("/")
        # Version 1 has a hierarchy for each controller, version 2 one without names: cgroups(7). In
        # a container the path may be one of the host's, and its own group is the root.
        if "memory" in controllers.split(","):
            root = Path("/sys/fs/cgroup/memory")
            files += [root / inside / "memory.oom_control", root / "memory.oom_control"]
        elif not controllers:
            root = Path("/sys/fs/cgroup")
            files += [root / inside / "memory.events", root / "memory.events"]
    return files
