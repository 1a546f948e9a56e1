"""What the machine and its container allow: memory, processors, the locale."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from nbci.formatting.sizes import size
from nbci.health_check import Check

# Docker gives a container 64 MiB unless told otherwise.
_LITTLE_SHARED_BYTES = 64 << 20


def check_shared_memory() -> Check:
    place = Path("/dev/shm")  # noqa: S108 - where Linux keeps shared memory; nothing is written
    if not place.is_dir():
        return Check(
            name="shared memory",
            state="note",
            found="no /dev/shm",
            advice="data loaders with workers need it",
        )
    total = shutil.disk_usage(place).total
    if total > _LITTLE_SHARED_BYTES:
        return Check(name="shared memory", state="ok", found=size(total))
    return Check(
        name="shared memory",
        state="note",
        found=f"only {size(total)}",
        advice="data loaders with workers need more: docker run --shm-size=1g",
    )


def check_locale() -> Check:
    output = sys.stdout.encoding
    encoding = sys.getfilesystemencoding()
    shown = f"{encoding}, output {output}"
    if _is_utf8(encoding) and _is_utf8(output or ""):
        return Check(name="locale", state="ok", found=shown)
    return Check(
        name="locale", state="note", found=shown, advice="set LC_ALL=C.UTF-8, or PYTHONUTF8=1"
    )


def _is_utf8(encoding: str) -> bool:
    # Both `utf-8` and `UTF8` are in use.
    return encoding.lower().replace("-", "") == "utf8"


def check_processors() -> Check:
    count = os.cpu_count() or 1
    affinity = count
    # macOS has no affinity.
    if hasattr(os, "sched_getaffinity"):
        affinity = len(os.sched_getaffinity(0))

    usable = min(float(affinity), _quota() or affinity)
    if usable >= count:
        return Check(name="processors", state="ok", found=str(count))
    return Check(
        name="processors",
        state="note",
        found=f"{count}, of which this process may use {usable:g}",
        advice=f"run with `-j {max(1, int(usable))}`, or set `jobs` in [tool.nbci]",
    )


def _quota() -> float | None:
    """The processors that the cgroup allows, as a share; None without a limit."""
    # cgroup v2 has both numbers in one file, and `max` for no limit.
    words = (_text("/sys/fs/cgroup/cpu.max") or "max").split()
    if len(words) == 2 and words[0].isdigit() and words[1].isdigit():
        return int(words[0]) / int(words[1])

    # cgroup v1 has a file for each, and -1 for no limit.
    quota = _text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") or ""
    period = _text("/sys/fs/cgroup/cpu/cpu.cfs_period_us") or ""
    if quota.isdigit() and period.isdigit():
        return int(quota) / int(period)
    return None


def check_memory() -> Check:
    import psutil

    total = psutil.virtual_memory().total
    limit = (
        _text("/sys/fs/cgroup/memory.max")
        or _text("/sys/fs/cgroup/memory/memory.limit_in_bytes")
        or "max"
    )
    # cgroup v1 says "no limit" as a number that no machine has.
    if limit.isdigit() and int(limit) < total:
        return Check(
            name="memory",
            state="ok",
            found=f"{size(int(limit))} (the cgroup's limit; the machine has {size(total)})",
        )
    return Check(name="memory", state="ok", found=size(total))


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None
