"""Zygotes that stay between commands: one of each kind for a user, until it has idled long."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

from nbci.dot_nbci import lock_file
from nbci.errors import InfrastructureError, UsageError
from nbci.kernels.zygote import home
from nbci.kernels.zygote.key import ipykernel_command, key_of
from nbci.kernels.zygote.spawn import (
    SOCKET,
    Settings,
    ask,
    environment_of_zygote,
    is_current,
    spawn,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nbci.kernels.zygote.key import Command

END_SECONDS = 5.0
POLL_SECONDS = 0.02
SPARES = ("--HistoryManager.hist_file=:memory:",)
"""How nbci, nbclient and papermill start a kernel."""

_STATUS = {"do": "status"}


def start(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    preloads: tuple[str, ...],
    spares: int,
    idle_seconds: float,
) -> dict[str, Any]:
    """Have a zygote for the kernels that `argv` starts with `env`; its status once it can fork.

    One that is there already imports what is new. Raises UsageError for a kernel that cannot be
    forked.
    """
    command = _command(argv)
    cwd = os.getcwd()
    settings = Settings(
        key=key_of(command, env, cwd, debugger=True),
        cwd=cwd,
        preloads=preloads,
        spares=spares,
        spare_arguments=SPARES,
        idle_seconds=idle_seconds,
    )
    try:
        with _locked_folder(settings.key) as folder:
            if _is_served(folder):
                tell(folder, {"do": "prepare", "preloads": preloads})
            else:
                _spawn_in(folder, command.interpreter, env, settings)
            return {"key": settings.key, **ask(folder, _STATUS)}
    except OSError as error:
        raise InfrastructureError(f"no kernels can be kept warm: {error}") from error


def _command(argv: Sequence[str]) -> Command:
    words = list(argv)
    # Only to be recognised as a kernel's command: each kernel has a connection file of its own.
    if "-f" not in words:
        words += ["-f", "unused"]
    command = ipykernel_command(words)
    if command is None:
        raise UsageError(
            "only kernels that `python -m ipykernel_launcher` starts can be kept warm",
            hint="others start as they always do, and need nothing",
        )
    return command


def _spawn_in(
    folder: Path, interpreter: tuple[str, ...], env: Mapping[str, str], settings: Settings
) -> None:
    # A killed zygote leaves its socket, which would be in the way of the new one's.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    of_zygote = environment_of_zygote(env, env, settings.cwd)
    process = spawn(interpreter, of_zygote, folder, settings, None)
    # It outlives this process on purpose, of which Popen would warn at the end.
    process.returncode = 0


def status() -> list[dict[str, Any]]:
    """What each warm zygote of this user's says of itself.

    `current` is false where packages changed since it started.
    """
    found = []
    for folder in _folders():
        with contextlib.suppress(OSError):
            current = is_current(folder)
            found.append({"key": folder.name, "current": current, **ask(folder, _STATUS)})
    return found


def stop(*, now: bool) -> int:
    """End the warm zygotes, when their kernels have ended or `now`; how many there were."""
    ended = 0
    for folder in _folders():
        try:
            pid = int(ask(folder, {"do": "stop", "now": now})["pid"])
        except OSError:
            # Its zygote was killed.
            shutil.rmtree(folder, ignore_errors=True)
            continue
        ended += 1
        if now:
            _wait_for_end(folder, pid)
    return ended


def _wait_for_end(folder: Path, pid: int) -> None:
    deadline = time.monotonic() + END_SECONDS
    while folder.exists() and _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _folders() -> list[Path]:
    try:
        root = home.warm_root(make=False)
        return sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []


def _is_served(folder: Path) -> bool:
    """Whether a zygote works there that may be used; one that may not is asked to end."""
    if not (folder / SOCKET).exists():
        return False
    with contextlib.suppress(OSError):
        if is_current(folder):
            ask(folder, _STATUS)
            return True
        ask(folder, {"do": "stop", "now": False})
    return False


@contextlib.contextmanager
def _locked_folder(key: str) -> Iterator[Path]:
    """The folder for a key, while no other command makes it."""
    root = home.warm_root(make=True)
    # The lock waits, unlike those of `store.files`: the other command is done in a second, and
    # this one then finds the zygote there.
    with (root / lock_file(key)).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield root / key


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
