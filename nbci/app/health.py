"""What this machine has of what nbci needs or can use."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import nbci
from nbci.config import find_project
from nbci.dot_nbci import NBCI_FOLDER, TEMPORARY_PREFIX
from nbci.errors import NbciError
from nbci.formatting.sizes import size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.kernelspec import KernelSpec

_OLDEST, _NEWEST = (3, 11), (3, 13)
_LITTLE_DISK_BYTES = 1 << 30
_LITTLE_SHARED_BYTES = 64 << 20
_COMMAND_SECONDS = 20
_KERNEL_SECONDS = 60
_OWN_INTERPRETER = ("python", "python3", f"python3.{sys.version_info[1]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at and found.

    `missing`: runs will fail; `note`: some will, or go another way.
    """

    name: str
    state: Literal["ok", "note", "missing"]
    found: str
    advice: str | None = None


def examine(here: Path, *, start_kernels: bool = False) -> tuple[Check, ...]:
    """Look at everything, for the project around `here`."""
    return (
        _python(),
        Check(name="nbci", state="ok", found=f"{nbci.__version__} in {Path(nbci.__file__).parent}"),
        *_kernels(start=start_kernels),
        _project(here),
        _disk(here),
        _temporary(),
        _runtime(),
        _shared_memory(),
        _locale(),
        _processors(),
        _memory(),
        _git(here),
        _installer(),
        _gpu(),
        _dvc(),
    )


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    if _OLDEST <= sys.version_info[:2] <= _NEWEST:
        return Check(name="Python", state="ok", found=found)
    return Check(
        name="Python", state="missing", found=found, advice="nbci needs Python 3.11, 3.12 or 3.13"
    )


def _kernels(*, start: bool) -> Iterator[Check]:
    """Each installed kernel; without any that can start there is nothing to run steps in."""
    from jupyter_client.kernelspec import KernelSpecManager

    manager = KernelSpecManager()
    usable = 0
    for name, folder in sorted(manager.find_kernel_specs().items()):
        try:
            check = _kernel(name, manager.get_kernel_spec(name), start=start)
        except Exception as error:  # noqa: BLE001 - a specification is another tool's file, and anything can be wrong with it
            check = Check(
                name=f"kernel {name}",
                state="note",
                found=f"{folder}: {error}",
                advice="install it anew",
            )
        usable += check.state == "ok"
        yield check
    if not usable:
        yield Check(
            name="kernels",
            state="missing",
            found="no kernel that can start",
            advice=f"{sys.executable} -m pip install ipykernel",
        )


def _kernel(name: str, spec: KernelSpec, *, start: bool) -> Check:
    title = f"kernel {name}"
    first = spec.argv[0] if spec.argv else ""
    # jupyter_client takes its own interpreter where a specification says plain `python`
    program = sys.executable if first in _OWN_INTERPRETER else shutil.which(first)
    if program is None:
        return Check(
            name=title,
            state="note",
            found=f"its program {first or '(none)'} does not exist",
            advice=f"install it anew, or remove it: jupyter kernelspec remove {name}",
        )
    found = f"{str(spec.language).lower()}, {program}"
    if "ipykernel_launcher" in spec.argv or "ipykernel" in spec.argv:
        found += f", ipykernel {_ipykernel_version(program) or 'not there'}"
        if found.endswith("not there"):
            return Check(
                name=title, state="note", found=found, advice=f"{program} -m pip install ipykernel"
            )
    problem = _started(name) if start else None
    if problem is not None:
        return Check(
            name=title, state="note", found=f"does not start: {problem}", advice="install it anew"
        )
    return Check(name=title, state="ok", found=found + (", starts" if start else ""))


def _ipykernel_version(program: str) -> str | None:
    if Path(program) == Path(sys.executable):
        try:
            return metadata.version("ipykernel")
        except metadata.PackageNotFoundError:
            return None
    return _answer(
        [program, "-c", "from importlib.metadata import version; print(version('ipykernel'))"]
    )


def _started(name: str) -> str | None:
    """Why the kernel does not start; None when it does."""
    from jupyter_client.manager import start_new_kernel

    try:
        manager, client = start_new_kernel(startup_timeout=_KERNEL_SECONDS, kernel_name=name)
    except Exception as error:  # noqa: BLE001 - whatever keeps the kernel from starting is the answer
        return str(error) or type(error).__name__
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    return None


def _project(here: Path) -> Check:
    try:
        project = find_project(here)
    except NbciError as error:
        return Check(name="project", state="missing", found=str(error), advice=error.hint)
    place = project.root / NBCI_FOLDER
    place = place if place.exists() else project.root
    if _is_writable(place):
        return Check(name="project", state="ok", found=str(project.root))
    return Check(
        name="project",
        state="missing",
        found=f"{place} cannot be written",
        advice="run where you may write files",
    )


def _is_writable(folder: Path) -> bool:
    """Whether a file can be made there: tried by making one, as modes do not tell about mounts."""
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=f"{TEMPORARY_PREFIX}doctor-"):
            return True
    except OSError:
        return False


def _disk(here: Path) -> Check:
    free = shutil.disk_usage(here).free
    if free >= _LITTLE_DISK_BYTES:
        return Check(name="disk", state="ok", found=f"{size(free)} free")
    return Check(
        name="disk",
        state="note",
        found=f"only {size(free)} free",
        advice=f"runs keep values and notebooks in {NBCI_FOLDER}",
    )


def _temporary() -> Check:
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        return Check(
            name="temporary",
            state="missing",
            found=str(error),
            advice="set TMPDIR to a folder you may write",
        )
    return Check(name="temporary", state="ok", found=str(folder))


def _runtime() -> Check:
    from jupyter_core.paths import jupyter_runtime_dir

    folder = Path(jupyter_runtime_dir())
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if _is_writable(existing):
        return Check(name="runtime", state="ok", found=str(folder))
    return Check(
        name="runtime",
        state="missing",
        found=f"{existing} cannot be written, so no kernel can start",
        advice="set JUPYTER_RUNTIME_DIR to a folder you may write",
    )


def _shared_memory() -> Check:
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


def _locale() -> Check:
    encoding = sys.getfilesystemencoding()
    shown = f"{encoding}, output {sys.stdout.encoding}"
    if (
        encoding.lower().replace("-", "") == "utf8"
        and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    ):
        return Check(name="locale", state="ok", found=shown)
    return Check(
        name="locale", state="note", found=shown, advice="set LC_ALL=C.UTF-8, or PYTHONUTF8=1"
    )


def _processors() -> Check:
    count = os.cpu_count() or 1
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count
    quota = _quota()
    usable = min(float(affinity), quota or affinity)
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
    words = (_text("/sys/fs/cgroup/cpu.max") or "max").split()
    if len(words) == 2 and words[0].isdigit() and words[1].isdigit():
        return int(words[0]) / int(words[1])
    quota, period = (
        _text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
        _text("/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    )
    return (
        int(quota) / int(period)
        if quota and period and quota.isdigit() and period.isdigit()
        else None
    )


def _memory() -> Check:
    import psutil

    total = psutil.virtual_memory().total
    limit = (
        _text("/sys/fs/cgroup/memory.max")
        or _text("/sys/fs/cgroup/memory/memory.limit_in_bytes")
        or "max"
    )
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


def _git(here: Path) -> Check:
    version = _answer(["git", "--version"])
    if version is None:
        return Check(
            name="git",
            state="note",
            found="not there",
            advice="install git: records name the commit that ran",
        )
    who = [_answer(["git", "-C", str(here), "config", key]) for key in ("user.name", "user.email")]
    if all(who):
        return Check(
            name="git",
            state="ok",
            found=f"{version.removeprefix('git version ')}, {who[0]} <{who[1]}>",
        )
    return Check(
        name="git",
        state="note",
        found=f"{version.removeprefix('git version ')}, without an identity",
        advice="git config --global user.name NAME; git config --global user.email ADDRESS",
    )


def _installer() -> Check:
    """What makes the environments of steps that ask for one."""
    uv = _answer(["uv", "--version"])
    if uv is not None:
        return Check(name="environments", state="ok", found=f"made by {uv}")
    try:
        return Check(
            name="environments",
            state="ok",
            found=f"made by pip {metadata.version('pip')}; uv is quicker",
        )
    except metadata.PackageNotFoundError:
        return Check(
            name="environments",
            state="note",
            found=f"neither uv, nor pip in {sys.prefix}",
            advice="install uv, if a step asks for an environment",
        )


def _gpu() -> Check:
    listed = _answer(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])
    if listed:
        return Check(name="GPU", state="ok", found=", ".join(listed.splitlines()))
    if Path("/proc/driver/nvidia/version").exists():
        return Check(
            name="GPU",
            state="note",
            found="a driver, but nvidia-smi names no GPU",
            advice="see nvidia-smi's message",
        )
    return Check(name="GPU", state="ok", found="none; steps that ask for one run without")


def _dvc() -> Check:
    version = _answer(["dvc", "--version"])
    return Check(name="dvc", state="ok", found=version or "not there; nothing needs it yet")


def _answer(command: list[str]) -> str | None:
    """What the command printed, if it ended well."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
