"""The connection to a started kernel: no output is dropped, and none comes before it is read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nbci.kernels.kernel_manager import StartFailed

if TYPE_CHECKING:
    import asyncio

    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import AsyncKernelManager

START_TIMEOUT_SECONDS = 60.0
_REPLY_POLL_SECONDS = 0.05
_IOPUB_POLL_SECONDS = 0.01
MOST_MESSAGES = 16
"""Messages that may wait in nbci's own process, before the kernel's queue fills."""

WELCOME = "iopub_welcome"
"""The first message to a client whose subscription has arrived; older kernels send none."""


def new_client(manager: AsyncKernelManager, language: str) -> AsyncKernelClient:
    """A client of the manager's kernel, which is not connected yet."""
    from nbci.kernels.channels import PatientChannel, StoppingChannel

    client = manager.client()
    # Its channels are made when they are asked for first, so their classes can be set here.
    client.shell_channel_class = PatientChannel
    iopub: Any = StoppingChannel
    if _waits_for_room(manager, language):
        iopub = PatientChannel
    client.iopub_channel_class = iopub
    return client


def limit_queue(client: AsyncKernelClient, manager: AsyncKernelManager, language: str) -> None:
    """Let no output be dropped, however fast it comes; must precede the connection.

    ipykernel waits until there is room, see `inkernel.streams`. Others drop what finds none, and
    are stopped.
    """
    import zmq

    if client.iopub_channel.socket is None:
        return
    most = 0  # no limit
    if _waits_for_room(manager, language):
        most = MOST_MESSAGES
    client.iopub_channel.socket.setsockopt(zmq.RCVHWM, most)


def _waits_for_room(manager: AsyncKernelManager, language: str) -> bool:
    """Whether it is ipykernel; there are other kernels for Python, such as xeus-python."""
    spec = manager.kernel_spec
    if language != "python" or spec is None:
        return False
    return any("ipykernel" in word for word in spec.argv)


async def wait_until_ready(
    client: AsyncKernelClient, died: asyncio.Future[int], asked: set[str]
) -> dict[str, Any]:
    """Ask until the kernel has replied, and a message came on iopub; what it says of its language.

    Before that the subscription may not have arrived, and outputs would be missed. The requests
    are added to `asked`. Raises StartFailed.
    """
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    language_info: dict[str, Any] | None = None
    is_subscribed = False

    while language_info is None or not is_subscribed:
        if died.done():
            status = died.result()
            raise StartFailed(
                f"the kernel's process ended with status {status} before it was ready"
            )
        if time.monotonic() > deadline:
            raise StartFailed(f"the kernel did not answer within {START_TIMEOUT_SECONDS:g} seconds")

        # One that has replied without a message on iopub is asked again: that one was lost.
        if not asked or language_info is not None:
            asked.add(client.kernel_info())
        if language_info is None:
            language_info = await _read_language_info(client, asked)
        if not is_subscribed:
            is_subscribed = await _hears_iopub(client, asked)
    return language_info


async def _read_language_info(client: AsyncKernelClient, asked: set[str]) -> dict[str, Any] | None:
    """What the kernel's reply says of its language; None where none came now."""
    from queue import Empty

    try:
        reply = await client.get_shell_msg(timeout=_REPLY_POLL_SECONDS)
    except Empty:
        return None
    if reply["parent_header"].get("msg_id") not in asked:
        return None
    return dict(reply["content"].get("language_info") or {})


async def _hears_iopub(client: AsyncKernelClient, asked: set[str]) -> bool:
    from queue import Empty

    try:
        message = await client.get_iopub_msg(timeout=_IOPUB_POLL_SECONDS)
    except Empty:
        return False
    return message["msg_type"] == WELCOME or message["parent_header"].get("msg_id") in asked
