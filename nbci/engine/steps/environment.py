"""The Python environments that steps ask for.

They are made from their lock files, each once on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from nbci.errors import InfrastructureError, Location, NbciError, UsageError
from nbci.store.environments import Environments, environment_key, interpreter_of
from nbci.store.files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbci.plan.model import PlannedStep
    from nbci.secrets import Mask

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 1.0
_TAIL_BYTES = 8000
_ELSEWHERE = {
    *("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX"),
    *("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "UV_SYSTEM_PYTHON", "UV_PYTHON"),
}
"""Variables that would have the installer install into another place, or from it."""
_OTHER_FORMATS = {
    "uv.lock": "uv export --format requirements.txt -o requirements.lock",
    "poetry.lock": "poetry export -o requirements.lock",
    "pdm.lock": "pdm export -o requirements.lock",
    "Pipfile.lock": "pipenv requirements > requirements.lock",
}
_OF_THE_MACHINE = re.compile(
    "name resolution|name or service not known|failed to establish a new connection"
    "|connection (?:refused|reset|error)|connection aborted|dns error|error sending request"
    "|could not connect|network is unreachable|no route to host|timed out|timeouterror|sslerror"
    "|certificate verify|proxyerror|50[0234] (?:server|service|bad|gateway|internal)"
    "|no space left|disk quota|file too large|read-only file system|permission denied"
    "|cannot allocate memory",
    re.IGNORECASE,
)
"""What pip and uv print where the network or the disk fails; their exit codes do not tell."""


class _NotMade(NbciError):
    """There is no environment for a lock file; `output` is the end of what the installer said."""

    def __init__(self, message: str, *, hint: str, lock: str, output: str = "") -> None:
        super().__init__(message, hint=hint, where=Location(lock))
        self.output = output


class LockRefused(_NotMade, UsageError):
    """None can be made from that lock file."""


class InstallerFailed(_NotMade, InfrastructureError):
    """The machine or the network kept the installer from its work."""


def check_environments(root: Path, steps: Sequence[PlannedStep]) -> None:
    """UsageError when a step that will run asks for an environment that cannot be made.

    Only what is known at once is checked.
    """
    # A lock file may be an out of a step, and is not there before that one has run.
    made: set[str] = set()
    for step in steps:
        made.update(step.outs, step.metrics)
    for step in steps:
        lock = step.environment
        if lock is None or step.action != "run":
            continue
        where = Location(lock)
        if step.language != "python":
            raise UsageError(
                f"step {step.name} asks for an environment of Python, "
                f"and its notebook is in {step.language}",
                where=where,
                hint=f"take `environment: {lock}` away from it",
            )
        name = Path(lock).name
        if name in _OTHER_FORMATS or name.endswith((".yml", ".yaml")):
            raise UsageError(
                "an environment is made from a lock file in the form of requirements.txt, "
                "which this is not",
                where=where,
                hint=_OTHER_FORMATS.get(name, "list its packages as `pip freeze` does"),
            )
        if lock not in made and not (root / lock).is_file():
            raise UsageError(
                f"step {step.name} asks for the environment of this lock file, which is not there",
                where=where,
                hint="its path is relative to the project's root; add ipykernel and "
                "what the step imports, and pin them, e.g. with `uv pip compile`",
            )


class StepEnvironments(Struct, kw_only=True):
    """Gives the steps of one run their environments, and holds these until it is released."""

    root: Path
    kept: Environments
    mask: Mask
    noticed: Callable[[str], None]
    _held: dict[str, int] = field(default_factory=dict)
    _refused: dict[str, LockRefused] = field(default_factory=dict)
    _making: dict[str, asyncio.Lock] = field(default_factory=dict)

    def release(self) -> None:
        """Hold the environments no longer, so that `nbci clean` may remove them."""
        while self._held:
            os.close(self._held.popitem()[1])

    async def folder_for(self, lock: str, environ: Mapping[str, str]) -> Path:
        """The environment of a lock file; made now, with these variables, if there is none.

        Raises LockRefused, InstallerFailed, or InfrastructureError when the disk refuses.
        """
        try:
            key = environment_key(self.root, lock)
        except OSError as error:
            raise LockRefused(
                f"it cannot be read: {error.strerror}", lock=lock, hint="is it committed?"
            ) from error
        # Within this process steps wait here for each other; file locks keep off other processes.
        async with self._making.setdefault(key, asyncio.Lock()):
            if key in self._refused:
                raise self._refused[key]
            if key not in self._held or self.kept.find(key) is None:
                await self._hold(key, lock, environ)
        folder = self.kept.find(key)
        if folder is None:
            raise InstallerFailed(
                "its environment was removed a moment ago", lock=lock, hint="try again"
            )
        return folder

    async def _hold(self, key: str, lock: str, environ: Mapping[str, str]) -> None:
        """Hold the environment so that it is not removed; make it first if there is none."""
        if key in self._held:
            os.close(self._held.pop(key))
        if self.kept.find(key) is None:
            alone = await self._wait(key, lock, alone=True)
            try:
                # Another process may have made it while this one waited.
                if self.kept.find(key) is None:
                    await self._make(key, lock, environ)
            except LockRefused as error:
                self._refused[key] = error
                raise
            finally:
                os.close(alone)
        self._held[key] = await self._wait(key, lock, alone=False)
        self.kept.mark_used(key)

    async def _wait(self, key: str, lock: str, *, alone: bool) -> int:
        descriptor = self.kept.try_hold(key, alone=alone)
        if descriptor is None:
            self.noticed(f"waiting for another process, which makes the environment of {lock}")
        # Polled, since to wait in `flock` would block the loop, and with it all other steps.
        while descriptor is None:
            await asyncio.sleep(_POLL_SECONDS)
            descriptor = self.kept.try_hold(key, alone=alone)
        return descriptor

    async def _make(self, key: str, lock: str, environ: Mapping[str, str]) -> None:
        installer = _uv(environ)
        program = "pip"
        if installer is not None:
            program = "uv"
        self.noticed(f"making the environment of {lock} with {program}, once on this machine")
        folder = self.kept.begin(key)
        try:
            for command in _commands(installer, folder, lock):
                await self._run_installer(command, lock, environ)
            if not any(folder.glob("lib/python*/site-packages/ipykernel/__init__.py")):
                raise LockRefused(
                    "it has no ipykernel, in which the cells of its steps run",
                    lock=lock,
                    hint="add ipykernel to it",
                )
            self.kept.complete(key, folder, lock)
        except BaseException:
            # Also when it is cancelled: half an environment takes room and is of no use.
            shutil.rmtree(folder, ignore_errors=True)
            raise

    async def _run_installer(
        self, command: Sequence[str], lock: str, environ: Mapping[str, str]
    ) -> None:
        kept = {name: value for name, value in environ.items() if name not in _ELSEWHERE}
        surroundings = {
            # Before `kept`, so that the user's settings win: nbci itself tries again.
            "PIP_RETRIES": "1",
            "UV_HTTP_RETRIES": "1",
            "PYTHONUNBUFFERED": "1",
            **kept,
            "PIP_NO_INPUT": "1",
        }
        with disk_errors(Path(command[0])):
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self.root,
                env=surroundings,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            printed = await _tail_of(process)
            status = await process.wait()
        except BaseException:
            # Nothing else ends it: it leads a session, so that Ctrl-C does not reach it.
            await _end(process)
            raise
        if status != 0:
            raise _refusal(lock, command, status, self.mask.text(printed))


def environment_variables(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a kernel in the environment, as its `activate` would set them."""
    inside = {name: value for name, value in environ.items() if name != "PYTHONHOME"}
    path = str(folder / "bin")
    # An empty entry would stand for the folder that a program runs in.
    if environ.get("PATH"):
        path = os.pathsep.join((path, environ["PATH"]))
    return inside | {"VIRTUAL_ENV": str(folder), "PATH": path}


def _uv(environ: Mapping[str, str]) -> str | None:
    beside = str(Path(sys.executable).parent)
    return shutil.which("uv", path=os.pathsep.join([beside, environ.get("PATH", os.defpath)]))


def _commands(uv: str | None, folder: Path, lock: str) -> tuple[tuple[str, ...], ...]:
    """What makes the environment.

    Neither way puts pip into it: what several steps share is not to be changed.
    """
    python = str(interpreter_of(folder))
    of_lock = ("-r", f"./{lock}")
    if uv is not None:
        make = (uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder))
        install = (uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python)
        return make, (*install, *of_lock)
    if importlib.util.find_spec("pip") is None:
        raise InstallerFailed(
            f"its environment cannot be made: this machine has no uv, "
            f"and {sys.executable} has no pip",
            lock=lock,
            hint="install uv",
        )
    own_python = (sys.executable, "-m")
    pip = (*own_python, "pip", "--python", python, "--disable-pip-version-check")
    return (
        (*own_python, "venv", "--without-pip", str(folder)),
        (*pip, "install", "--quiet", *of_lock),
    )


async def _tail_of(process: asyncio.subprocess.Process) -> str:
    """The end of what it prints, once it has ended."""
    if process.stdout is None:
        return ""
    tail = b""
    while True:
        # All is read, since a full pipe would block the installer; only the end is kept.
        data = await process.stdout.read(1 << 16)
        if not data:
            return tail.decode("utf-8", errors="replace")
        tail = (tail + data)[-_TAIL_BYTES:]


async def _end(process: asyncio.subprocess.Process) -> None:
    """End an installer and what it started, politely for a moment."""
    # The installer leads a session, so that its group has the builds that it started, too.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _refusal(
    lock: str, command: Sequence[str], status: int, printed: str
) -> LockRefused | InstallerFailed:
    """The lock file is wrong, or the machine: only what the installer printed can tell."""
    name = _installer_name(command)
    if status < 0:
        return InstallerFailed(
            f"{name} was ended by signal {-status}", lock=lock, hint="try again", output=printed
        )
    # What `venv` does has nothing to do with the lock file.
    if name == "venv" or _OF_THE_MACHINE.search(printed):
        message = f"its environment could not be made: {name} ended with exit code {status}"
        hint = "see what it said; try again"
        if "no space left" in printed.lower():
            hint = "free space where the user's cache is, then try again"
        return InstallerFailed(message, lock=lock, hint=hint, output=printed)
    message = f"it cannot be installed: {name} ended with exit code {status}"
    return LockRefused(
        message, lock=lock, hint=f"see what {name} said, and mend the lock file", output=printed
    )


def _installer_name(command: Sequence[str]) -> str:
    if Path(command[0]).name == "uv":
        return "uv"
    if "venv" in command:
        return "venv"
    return "pip"
