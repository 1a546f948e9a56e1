"""The kernel provisioner: forks ipykernel kernels where it can, and starts all others as
jupyter_client does.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import select
import sys
from typing import TYPE_CHECKING, Any, cast

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from nbci.kernels.zygote.forked import ForkedProcess
from nbci.kernels.zygote.key import has_relative_places, ipykernel_command
from nbci.kernels.zygote.zygotes import OFF, NotMeant, Unavailable, Wish, Zygotes

if TYPE_CHECKING:
    from jupyter_client.connect import KernelConnectionInfo

    from nbci.kernels.zygote.zygotes import Forked

LINGER_SECONDS = 0.095
"""jupyter_client asks every 100 ms whether a kernel has ended: an answer that waits a little spares
the rest.
"""

SETTINGS = ("env", "cwd", "stdout", "stderr", "kernel_id", "extra_arguments", "independent")
"""What a launch may ask for and still be a fork."""

_shared: list[Zygotes] = []


class ZygoteProvisioner(LocalProvisioner):
    """Forks kernels from a warm zygote, or from one of this process's own."""

    zygotes: Zygotes | None = None
    preloads: tuple[str, ...] = ()
    bare = False
    process: Any
    _asked_to_end = False
    _launches = 0

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork the kernel, or start it; the reason to start it is noted once."""
        zygotes = self.zygotes or _zygotes_of_this_process()
        self._asked_to_end = False
        self._launches += 1
        try:
            wish = self._wish(cmd, kwargs)
            forked = await _uninterrupted(zygotes, wish)
        except Unavailable as reason:
            zygotes.note(reason)
            return await super().launch_kernel(cmd, **kwargs)
        self.process = forked.process
        self.pid = self.pgid = forked.process.pid
        self.cwd = wish.cwd
        if forked.connection is not None:
            connection = dict(forked.connection)
            connection["key"] = connection["key"].encode()
            self.connection_info = cast(
                "KernelConnectionInfo", {**self.connection_info, **connection}
            )
        return self.connection_info

    def _wish(self, cmd: list[str], kwargs: dict[str, Any]) -> Wish:
        command = ipykernel_command(cmd)
        env = dict(kwargs.get("env") or os.environ)
        if not sys.platform.startswith("linux"):
            raise NotMeant("kernels are forked on Linux only")
        if env.get(OFF, os.environ.get(OFF)) == "off":
            raise NotMeant(f"{OFF} says so")
        if command is None:
            raise NotMeant("only kernels that `python -m ipykernel_launcher` starts are forked")
        if odd := [
            name for name, value in kwargs.items() if name not in SETTINGS and value is not None
        ]:
            raise NotMeant(f"a fork cannot have {', '.join(odd)}")
        cwd = str(kwargs.get("cwd") or os.getcwd())
        if not os.path.isdir(cwd):
            raise NotMeant(f"there is no folder {cwd}")
        if has_relative_places(env):
            raise NotMeant("an interpreter's own places are relative to its folder")
        null = os.open(os.devnull, os.O_RDONLY)
        return Wish(
            command=command,
            env=env,
            cwd=cwd,
            connection_file=self.parent.connection_file if self.parent else "",
            descriptors=(
                null,
                _descriptor(kwargs.get("stdout"), 1),
                _descriptor(kwargs.get("stderr"), 2),
            ),
            preloads=() if self.bare else self.preloads,
            bare=self.bare,
            spare=self._may_be_a_spare(),
        )

    def _may_be_a_spare(self) -> bool:
        """Whether the kernel may bring a connection of its own: it is local already, and no client
        knows it yet.
        """
        info = self.connection_info
        return (
            self._launches == 1
            and info.get("transport") == "ipc"
            and not info.get("curve_publickey")
        )

    async def poll(self) -> int | None:
        """Its status, or None while it runs."""
        if (
            self._asked_to_end
            and isinstance(self.process, ForkedProcess)
            and not self.process.has_ended()
        ):
            await _end_of(self.process, LINGER_SECONDS)
        status: int | None = await super().poll()
        return status

    async def shutdown_requested(self, restart: bool = False) -> None:
        """It will end soon."""
        self._asked_to_end = True
        await super().shutdown_requested(restart)


async def _end_of(process: ForkedProcess, seconds: float) -> None:
    """Wait until it has ended, but not longer than `seconds`."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(process.pidfd, ended.set)
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), seconds)
    finally:
        loop.remove_reader(process.pidfd)


async def _uninterrupted(zygotes: Zygotes, wish: Wish) -> Forked:
    """Fork in a thread; when nobody waits for the kernel any more, it ends."""
    forking: asyncio.Future[Forked] = asyncio.ensure_future(asyncio.to_thread(_fork, zygotes, wish))
    try:
        return await asyncio.shield(forking)
    except asyncio.CancelledError:
        forking.add_done_callback(_discard)
        raise


def _fork(zygotes: Zygotes, wish: Wish) -> Forked:
    try:
        return zygotes.fork(wish)
    finally:
        os.close(wish.descriptors[0])


def _discard(forking: Any) -> None:
    if not forking.cancelled() and forking.exception() is None:
        forking.result().process.kill()
        select.select([forking.result().process.pidfd], [], [], 1.0)
        forking.result().process.poll()


def _descriptor(stream: Any, default: int) -> int:
    if stream is None:
        return default
    return stream if isinstance(stream, int) else int(stream.fileno())


def _zygotes_of_this_process() -> Zygotes:
    """For whoever names no zygotes: nbclient, papermill, Jupyter. They end with this process."""
    if not _shared:
        shared = Zygotes(environ=dict(os.environ), as_stock=True)
        _shared.append(shared)
        atexit.register(shared.close)
    return _shared[0]
