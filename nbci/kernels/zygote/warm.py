"""Zygotes that stay between commands: one of each kind for a user, gone after idling."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

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
    command = ipykernel_command([*argv, "-f", "unused"] if "-f" not in argv else argv)
    if command is None:
        raise UsageError(
            "only kernels that `python -m ipykernel_launcher` starts can be kept warm",
            hint="others start as they always do, and need nothing",
        )
    cwd = os.getcwd()
    key = key_of(command, env, cwd, debugger=True)
    try:
        with _only_one(key) as folder:
            if not _serves(folder):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(mode=0o700)
                settings = Settings(
                    key=key,
                    cwd=cwd,
                    preloads=preloads,
                    spares=spares,
                    spare_arguments=SPARES,
                    idle_seconds=idle_seconds,
                )
                process = spawn(
                    command.interpreter,
                    environment_of_zygote(env, env, cwd),
                    folder,
                    settings,
                    None,
                )
                process.returncode = 0  # it outlives this process on purpose
            else:
                tell(folder, {"do": "prepare", "preloads": preloads})
            return {"key": key, **ask(folder, _STATUS)}
    except OSError as error:
        raise InfrastructureError(f"no kernels can be kept warm: {error}") from error


def status() -> list[dict[str, Any]]:
    """What each warm zygote of this user's says of itself; `current` is false where packages
    changed since.
    """
    found = []
    for folder in _folders():
        with contextlib.suppress(OSError):
            found.append(
                {"key": folder.name, "current": is_current(folder), **ask(folder, _STATUS)}
            )
    return found


def stop(*, now: bool) -> int:
    """End the warm zygotes, when their kernels have ended or `now`; how many there were."""
    ended = 0
    for folder in _folders():
        try:
            pid = int(ask(folder, {"do": "stop", "now": now})["pid"])
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)  # its zygote was killed
            continue
        ended += 1
        deadline = time.monotonic() + END_SECONDS
        while now and folder.exists() and _is_alive(pid) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    return ended


def _folders() -> list[Path]:
    try:
        root = home.warm_root(make=False)
        return sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []


def _serves(folder: Path) -> bool:
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
def _only_one(key: str) -> Iterator[Path]:
    """The folder for a key, while no other command makes it."""
    root = home.warm_root(make=True)
    with (root / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield root / key


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
