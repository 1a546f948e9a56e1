"""Channels to a kernel on which no wake-up is lost, and whose reader lets others run however much there is to read."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import zmq
from jupyter_client.channels import AsyncZMQSocketChannel

TURN_SECONDS = 0.01
"""How long messages may be taken in a row before other tasks, and timers, have their turn."""

LOOK_AGAIN_SECONDS = 2.0


class PatientChannel(AsyncZMQSocketChannel):
    """Without a time limit it takes the next message at once; jupyter_client first asks whether there is one."""

    _turn_began = 0.0

    def send(self, msg: dict[str, Any]) -> None:
        """Send, then look whether something has come meanwhile.

        ZeroMQ's file descriptor is edge-triggered. Whatever uses the socket takes in what the edge told of, and
        jupyter_client sends through a shadow of the socket, so that a receiver who waits on it is not woken:
        https://libzmq.readthedocs.io/en/latest/zmq_getsockopt.html (ZMQ_FD).
        """
        super().send(msg)
        self._look()

    async def get_msg(  # type: ignore[override]  # as in its parent, which breaks with its own
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # as jupyter_client calls it
    ) -> dict[str, Any]:
        """The next message; raises Empty when none comes in time."""
        await self._give_others_a_turn()
        if timeout is not None:
            return await super().get_msg(timeout)
        coming = asyncio.ensure_future(self.socket.recv_multipart())
        if not coming.done():
            await self._wait(coming)
        _, parts = self.session.feed_identities(coming.result())
        return self.session.deserialize(parts)

    async def _give_others_a_turn(self) -> None:
        """Awaiting what is already there does not yield to the event loop."""
        if time.monotonic() - self._turn_began > TURN_SECONDS:
            await asyncio.sleep(0)
            self._turn_began = time.monotonic()

    async def _wait(self, coming: asyncio.Future[list[bytes]]) -> None:
        looks = asyncio.ensure_future(self._look_again_and_again())
        try:
            await coming
        finally:
            looks.cancel()
        self._turn_began = time.monotonic()

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            self._look()

    def _look(self) -> None:
        """Have what has come taken in: to ask a socket of pyzmq for its events schedules their handling."""
        if self.socket is not None:
            self.socket.get(zmq.EVENTS)
