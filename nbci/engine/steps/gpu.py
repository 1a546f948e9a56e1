"""GPUs of this machine, lent to one step each."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.store.files import try_lock

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANSWER_SECONDS = 20
_EVERYBODYS = Path("/tmp")  # noqa: S108 - a folder of this user's lies in it


class Lease(Struct, frozen=True, kw_only=True):
    """One GPU, ours until `release` or the death of this process."""

    device: str
    descriptor: int

    def release(self) -> None:
        """Let another step have it."""
        os.close(self.descriptor)


def devices(
    environ: Mapping[str, str], proc: Path = Path("/proc/driver/nvidia/gpus")
) -> tuple[str, ...]:
    """The GPUs that may be used.

    They are those that `CUDA_VISIBLE_DEVICES` allows, else all that the driver shows.

    Where it shows none, as in some containers, `nvidia-smi` is asked.
    """
    allowed = environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        # as CUDA reads it: what follows a -1 is not seen
        listed = takewhile(
            lambda device: device != "-1", (part.strip() for part in allowed.split(","))
        )
        return tuple(device for device in listed if device)
    try:
        return tuple(str(number) for number, _ in enumerate(sorted(proc.iterdir())))
    except OSError:
        return _asked(environ)


def _asked(environ: Mapping[str, str]) -> tuple[str, ...]:
    command = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if command is None:
        return ()
    try:
        done = subprocess.run(
            [command, "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(done.stdout.split()) if done.returncode == 0 else ()


def try_lease(names: tuple[str, ...], folder: Path | None = None) -> Lease | None:
    """One of the GPUs, or None while all are lent.

    The locks are this user's on the machine: all runs share them.
    """
    folder = folder or _shared_folder() / f"nbci-gpu-{os.getuid()}"
    for name in names:
        # A `/` occurs in the names of MIG devices, and not in those of files.
        descriptor = try_lock(folder / f"{name.replace('/', '_')}.lock")
        if descriptor is not None:
            return Lease(device=name, descriptor=descriptor)
    return None


def _shared_folder() -> Path:
    """The same for all processes: a CI may give each job a TMPDIR of its own."""
    return _EVERYBODYS if os.access(_EVERYBODYS, os.W_OK) else Path(tempfile.gettempdir())
