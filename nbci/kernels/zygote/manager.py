"""A kernel manager for programs that accept one: kernels are forked, without fixed waits."""

from __future__ import annotations

import asyncio
import time
from queue import Empty
from typing import TYPE_CHECKING, Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

from nbci.kernels.connection import WELCOME
from nbci.kernels.private import private_folder
from nbci.kernels.zygote.provisioner import ZygoteProvisioner

if TYPE_CHECKING:
    from nbci.kernels.private import PrivateFolder

POLL_SECONDS = 0.05
READY_SECONDS = 60.0


class QuickClient(AsyncKernelClient):
    """Ready as soon as the kernel has answered, and a message has come on iopub.

    Before that the subscription may not have arrived, and outputs would be missed. jupyter_client's
    own client waits for a silence of 200 ms instead.
    """

    async def _async_wait_for_ready(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # as nbclient calls it
    ) -> None:
        seconds = READY_SECONDS
        if timeout is not None:
            seconds = timeout
        deadline = time.monotonic() + seconds

        asked = {self.kernel_info()}
        has_replied = is_subscribed = False
        while not (has_replied and is_subscribed):
            if not await self._async_is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")
            # Its messages about the first question came before the subscription: ask again.
            if has_replied:
                asked.add(self.kernel_info())
            has_replied = has_replied or await _reads_answer(self.get_shell_msg, asked)
            is_subscribed = is_subscribed or await _reads_answer(self.get_iopub_msg, asked)

    wait_for_ready = _async_wait_for_ready


async def _reads_answer(read: Any, asked: set[str]) -> bool:
    """Whether the next message is about one of the requests, or greets a new subscriber."""
    try:
        message = await read(timeout=POLL_SECONDS)
    except Empty:
        return False
    return message["msg_type"] == WELCOME or message["parent_header"].get("msg_id") in asked


class ForkingKernelManager(AsyncKernelManager):
    """Forks its kernel; `preloads` are imported before, unless it is to be `bare`."""

    preloads: tuple[str, ...] = ()
    bare = False
    _folder: PrivateFolder | None = None

    async def _async_pre_start_kernel(self, **kw: Any) -> Any:
        # A restart keeps the provisioner, and with it the connection that clients know.
        if self.provisioner is None:
            self._prepare_provisioner()
        return await super()._async_pre_start_kernel(**kw)

    def _prepare_provisioner(self) -> None:
        # By name, as jupyter_client imports the class when it makes a client.
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

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        await super()._async_cleanup_resources(restart=restart)
        if not restart and self._folder is not None:
            await asyncio.to_thread(self._folder.remove)
            self._folder = None

    # jupyter_client calls these names too, which it makes of its own methods when it is imported.
    cleanup_resources = _async_cleanup_resources
    pre_start_kernel = _async_pre_start_kernel
