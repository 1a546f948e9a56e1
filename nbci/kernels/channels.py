"""Channels to a kernel on which no wake-up is lost, and whose reader lets others run however much there is to read."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import zmq
from jupyter_client.channels import AsyncZMQSocketChannel

if TYPE_CHECKING:
    from collections.abc import Callable

TURN_SECONDS = 0.01
"""How long messages may be taken in a row before other tasks, and timers, have their turn."""

LOOK_AGAIN_SECONDS = 2.0
MOST_WAITING_BYTES = 16 << 20


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
        if timeout is not None:
            return await super().get_msg(timeout)
        return self._message(await self._next_parts())

    async def _next_parts(self) -> list[bytes]:
        await self._give_others_a_turn()
        coming = asyncio.ensure_future(self.socket.recv_multipart())
        if not coming.done():
            await self._wait(coming)
        return coming.result()

    def _message(self, parts: list[bytes]) -> dict[str, Any]:
        _, rest = self.session.feed_identities(parts)
        return self.session.deserialize(rest)

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


class StoppingChannel(PatientChannel):
    """For a kernel that drops what finds no room: all that comes is taken in at once, and too much stops the kernel.

    It may still drop some when it goes on: `stops` says how often that was.
    """

    stops = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._waiting: deque[list[bytes]] = deque()
        self._waiting_bytes = 0
        self._news = asyncio.Event()
        self._taking: asyncio.Task[None] | None = None
        self._stop_kernel: Callable[[bool], object] = bool
        self._is_stopped = False

    def begin(self, stop_kernel: Callable[[bool], object]) -> None:
        """Take in all from now on; `stop_kernel` has the kernel's process stand still, or go on."""
        self._stop_kernel = stop_kernel
        self._taking = asyncio.ensure_future(self._take_in())

    def let_run(self) -> None:
        """Do not stop the kernel any more: it is to end."""
        self._set_stopped(False)
        self._stop_kernel = bool

    async def get_msg(  # type: ignore[override]  # as in its parent, which breaks with its own
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # as jupyter_client calls it
    ) -> dict[str, Any]:
        """The next message; raises Empty when none comes in time."""
        if self._taking is None:
            return await super().get_msg(timeout)
        await self._give_others_a_turn()
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        parts = self._waiting.popleft()
        self._waiting_bytes -= sum(map(len, parts))
        if self._is_stopped and self._waiting_bytes < MOST_WAITING_BYTES // 2:
            self._set_stopped(False)
        return self._message(parts)

    def close(self) -> None:
        """Take in no more."""
        if self._taking is not None:
            self._taking.cancel()
        super().close()

    stop = close

    async def _take_in(self) -> None:
        while True:
            parts = await self._next_parts()
            self._waiting.append(parts)
            self._waiting_bytes += sum(map(len, parts))
            self._news.set()
            if self._waiting_bytes > MOST_WAITING_BYTES and not self._is_stopped:
                self._set_stopped(True)

    def _set_stopped(self, stopped: bool) -> None:
        if stopped != self._is_stopped:
            self._is_stopped = stopped
            self.stops += stopped
            self._stop_kernel(stopped)
