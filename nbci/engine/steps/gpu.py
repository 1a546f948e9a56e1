"""GPUs of this machine, lent to one step each."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.store.files import lock_path, try_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_POLL_SECONDS = 0.2
_SMI_TIMEOUT_SECONDS = 20
_ALL_USERS_FOLDER = Path("/tmp")  # noqa: S108 - a folder of this user's lies in it


class Lease(Struct, frozen=True, kw_only=True):
    """One GPU, ours until `release` or the death of this process."""

    device: str
    descriptor: int

    def release(self) -> None:
        """Let another step have it."""
        os.close(self.descriptor)


class GpuPool(Struct, kw_only=True):
    """Lends the machine's GPUs to the steps of one run that ask for one."""

    environ: Mapping[str, str]
    noticed: Callable[[str], None]
    _has_warned: bool = False

    async def lease_for(self, step: str) -> Lease | None:
        """A GPU for the step, once one is free; None when this machine has none."""
        # In a thread, since `nvidia-smi` may take seconds where its driver is not loaded.
        names = await asyncio.to_thread(devices, self.environ)
        if not names:
            if not self._has_warned:
                self._has_warned = True
                self.noticed(
                    f"step {step} asks for a GPU; this machine shows none, so it runs without"
                )
            return None
        # Polled, since another process may hold it.
        lease = try_lease(names)
        while lease is None:
            await asyncio.sleep(_POLL_SECONDS)
            lease = try_lease(names)
        return lease


def devices(
    environ: Mapping[str, str], proc: Path = Path("/proc/driver/nvidia/gpus")
) -> tuple[str, ...]:
    """The GPUs that may be used.

    They are those that `CUDA_VISIBLE_DEVICES` allows, else all that the driver shows.
    """
    allowed = environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        # As CUDA reads it: what follows a -1 is not seen.
        # https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#env-vars
        parts = map(str.strip, allowed.split(","))
        listed = takewhile(lambda device: device != "-1", parts)
        return tuple(filter(None, listed))
    try:
        count = len(list(proc.iterdir()))
    except OSError:
        # Some containers show the devices, but not this folder of the host's driver.
        return _devices_of_nvidia_smi(environ)
    return tuple(map(str, range(count)))


def _devices_of_nvidia_smi(environ: Mapping[str, str]) -> tuple[str, ...]:
    command = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if command is None:
        return ()
    try:
        done = subprocess.run(
            [command, "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=_SMI_TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ()
    if done.returncode != 0:
        return ()
    return tuple(done.stdout.split())


def try_lease(names: tuple[str, ...], folder: Path | None = None) -> Lease | None:
    """One of the GPUs, or None while all are lent.

    The locks are this user's on the machine: all runs share them.
    """
    folder = folder or _shared_folder() / f"nbci-gpu-{os.getuid()}"
    for name in names:
        descriptor = try_lock(lock_path(folder, name))
        if descriptor is not None:
            return Lease(device=name, descriptor=descriptor)
    return None


def _shared_folder() -> Path:
    """The folder that all processes of the machine have for temporary files."""
    # Not TMPDIR, where it can be helped: a CI may give each job another one.
    if os.access(_ALL_USERS_FOLDER, os.W_OK):
        return _ALL_USERS_FOLDER
    return Path(tempfile.gettempdir())
