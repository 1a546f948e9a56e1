"""The kernel provisioner: forks ipykernel kernels where it can, and starts all others.

To start one is what jupyter_client's own provisioner does.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import select
import sys
from typing import TYPE_CHECKING, Any, cast

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from nbci.kernels.zygote.fork_request import ForkRequest, NotForkable, Unavailable
from nbci.kernels.zygote.forked import ForkedProcess
from nbci.kernels.zygote.key import has_relative_places, ipykernel_command
from nbci.kernels.zygote.zygotes import OFF, Zygotes

if TYPE_CHECKING:
    from jupyter_client.connect import KernelConnectionInfo

    from nbci.kernels.zygote.fork_request import Forked
    from nbci.kernels.zygote.key import Command

LINGER_SECONDS = 0.095
"""How long an answer to `poll` may wait for an end that was asked for.

jupyter_client asks every 100 ms whether a kernel has ended: an answer that waits a little spares
the rest.
"""
DISCARD_SECONDS = 1.0

SETTINGS = ("env", "cwd", "stdout", "stderr", "kernel_id", "extra_arguments", "independent")
"""What a launch may ask for and still be a fork."""


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
            request = self._fork_request(cmd, kwargs)
            forked = await _fork_in_thread(zygotes, request)
        except Unavailable as reason:
            # To start a kernel as jupyter_client does always works; it is only slower.
            zygotes.note(reason)
            return await super().launch_kernel(cmd, **kwargs)

        self.process = forked.process
        self.pid = self.pgid = forked.process.pid
        self.cwd = request.cwd
        if forked.connection is not None:
            connection = dict(forked.connection)
            # JSON has no bytes, and jupyter_client's session takes nothing else for a key.
            connection["key"] = connection["key"].encode()
            self.connection_info = cast(
                "KernelConnectionInfo", {**self.connection_info, **connection}
            )
        return self.connection_info

    def _fork_request(self, cmd: list[str], kwargs: dict[str, Any]) -> ForkRequest:
        """What is asked of a zygote; raises NotForkable where the launch is no fork's."""
        env = dict(kwargs.get("env") or os.environ)
        cwd = str(kwargs.get("cwd") or os.getcwd())
        command = _forkable_command(cmd, kwargs, env, cwd)

        connection_file = ""
        if self.parent:
            connection_file = self.parent.connection_file
        preloads = self.preloads
        # Its code sets variables that packages read when they are imported.
        if self.bare:
            preloads = ()
        null = os.open(os.devnull, os.O_RDONLY)
        outputs = _descriptor(kwargs.get("stdout"), 1), _descriptor(kwargs.get("stderr"), 2)
        return ForkRequest(
            command=command,
            env=env,
            cwd=cwd,
            connection_file=connection_file,
            descriptors=(null, *outputs),
            preloads=preloads,
            bare=self.bare,
            spare=self._may_be_spare(),
        )

    def _may_be_spare(self) -> bool:
        """Whether the kernel may bring a connection of its own.

        It may where it is local already, and no client knows its connection yet.
        """
        info = self.connection_info
        is_first = self._launches == 1
        return is_first and info.get("transport") == "ipc" and not info.get("curve_publickey")

    async def poll(self) -> int | None:
        """Its status, or None while it runs."""
        process = self.process
        if self._asked_to_end and isinstance(process, ForkedProcess) and not process.has_ended():
            await _wait_for_end(process, LINGER_SECONDS)
        status: int | None = await super().poll()
        return status

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Expect the kernel to end soon."""
        self._asked_to_end = True
        await super().shutdown_requested(restart)


def _forkable_command(
    cmd: list[str], kwargs: dict[str, Any], env: dict[str, str], cwd: str
) -> Command:
    """The command's parts; raises NotForkable where a fork would differ from a started kernel."""
    if not sys.platform.startswith("linux"):
        raise NotForkable("kernels are forked on Linux only")
    if env.get(OFF, os.environ.get(OFF)) == "off":
        raise NotForkable(f"{OFF} says so")
    command = ipykernel_command(cmd)
    if command is None:
        raise NotForkable("only kernels that `python -m ipykernel_launcher` starts are forked")

    given = [name for name, value in kwargs.items() if value is not None]
    unknown = [name for name in given if name not in SETTINGS]
    if unknown:
        raise NotForkable(f"a fork cannot have {', '.join(unknown)}")
    if not os.path.isdir(cwd):
        raise NotForkable(f"there is no folder {cwd}")
    if has_relative_places(env):
        raise NotForkable("an interpreter's own places are relative to its folder")
    return command


def _descriptor(stream: Any, default: int) -> int:
    if stream is None:
        return default
    if isinstance(stream, int):
        return stream
    return int(stream.fileno())


async def _wait_for_end(process: ForkedProcess, seconds: float) -> None:
    """Wait until it has ended, but not longer than `seconds`."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(process.pidfd, ended.set)
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), seconds)
    finally:
        loop.remove_reader(process.pidfd)


async def _fork_in_thread(zygotes: Zygotes, request: ForkRequest) -> Forked:
    """Fork in a thread; when nobody waits for the kernel any more, it ends."""
    forking: asyncio.Future[Forked] = asyncio.ensure_future(
        asyncio.to_thread(_fork, zygotes, request)
    )
    try:
        return await asyncio.shield(forking)
    except asyncio.CancelledError:
        # A thread cannot be cancelled: the kernel that it brings would be nobody's.
        forking.add_done_callback(_discard)
        raise


def _fork(zygotes: Zygotes, request: ForkRequest) -> Forked:
    try:
        return zygotes.fork(request)
    finally:
        # The zygote has been sent its own copy of it, or will not fork.
        os.close(request.descriptors[0])


def _discard(forking: Any) -> None:
    if not forking.cancelled() and forking.exception() is None:
        process = forking.result().process
        process.kill()
        select.select([process.pidfd], [], [], DISCARD_SECONDS)
        process.poll()


@functools.cache
def _zygotes_of_this_process() -> Zygotes:
    """The zygotes of programs that name none: nbclient, papermill, Jupyter.

    These make a provisioner for each kernel and have no place for what outlives it, so it lives as
    long as the process, and ends with it.
    """
    zygotes = Zygotes(environ=dict(os.environ), as_stock=True)
    atexit.register(zygotes.close)
    return zygotes
