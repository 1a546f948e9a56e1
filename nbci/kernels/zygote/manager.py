"""A kernel manager for whoever lets one be chosen: kernels are forked, local sockets, no fixed
waits.
"""

from __future__ import annotations

import asyncio
import time
from queue import Empty
from typing import TYPE_CHECKING, Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

from nbci.kernels.private import private_folder
from nbci.kernels.zygote.provisioner import ZygoteProvisioner

if TYPE_CHECKING:
    from nbci.kernels.private import PrivateFolder

POLL_SECONDS = 0.05


class QuickClient(AsyncKernelClient):
    """Ready as soon as the kernel has answered, and greeted or echoed on iopub: then no output can
    be missed.
    """

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # as nbclient calls it
        deadline = time.monotonic() + (timeout if timeout is not None else 60.0)
        asked = {self.kernel_info()}
        answered = echoed = False
        while not (answered and echoed):
            if not await self._async_is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")
            if answered:
                asked.add(self.kernel_info())
            answered = answered or await _is_of(self.get_shell_msg, asked)
            echoed = echoed or await _is_of(self.get_iopub_msg, asked)

    wait_for_ready = _async_wait_for_ready


async def _is_of(read: Any, asked: set[str]) -> bool:
    try:
        message = await read(timeout=POLL_SECONDS)
    except Empty:
        return False
    return bool(
        message["msg_type"] == "iopub_welcome" or message["parent_header"].get("msg_id") in asked
    )


class ForkingKernelManager(AsyncKernelManager):
    """Forks its kernel; `preloads` are imported before, unless it is to be `bare`."""

    preloads: tuple[str, ...] = ()
    bare = False
    _folder: PrivateFolder | None = None

    async def _async_pre_start_kernel(self, **kw: Any) -> Any:
        if self.provisioner is None:
            self.client_class = f"{__name__}.{QuickClient.__name__}"
            self._folder = private_folder()
            self.connection_file = str(self._folder.path / "kernel.json")
            if self._folder.is_short:
                self.transport, self.ip = "ipc", str(self._folder.path / "k")
            self.kernel_id = self.kernel_id or self._folder.path.name
            self.provisioner = ZygoteProvisioner(
                kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
            )
            self.provisioner.preloads = self.preloads
            self.provisioner.bare = self.bare
        return await super()._async_pre_start_kernel(**kw)

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        await super()._async_cleanup_resources(restart=restart)
        if not restart and self._folder is not None:
            await asyncio.to_thread(self._folder.remove)
            self._folder = None

    cleanup_resources = _async_cleanup_resources
    pre_start_kernel = _async_pre_start_kernel
