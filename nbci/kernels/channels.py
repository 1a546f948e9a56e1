"""Channels to a kernel on which no wake-up is lost, and whose reader lets others run however much
there is to read.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from queue import Empty
from typing import TYPE_CHECKING, Any

import zmq
from jupyter_client.channels import AsyncZMQSocketChannel

from nbci.kernels.sender_queue import SenderQueue

if TYPE_CHECKING:
    from collections.abc import Callable

TURN_SECONDS = 0.01
"""How long messages may be taken in a row before other tasks, and timers, have their turn."""

LOOK_AGAIN_SECONDS = 2.0
CLOSING_SECONDS = 0.05
MOST_WAITING_BYTES = 16 << 20


class PatientChannel(AsyncZMQSocketChannel):
    """Without a time limit it takes the next message at once; jupyter_client first asks whether
    there is one.
    """

    _turn_began = 0.0

    def send(self, msg: dict[str, Any]) -> None:
        """Send, then look whether something has come meanwhile.

        ZeroMQ's file descriptor is edge-triggered. Whatever uses the socket takes in what the edge
        told of, and jupyter_client sends through a shadow of the socket, so that a receiver who
        waits on it is not woken: https://libzmq.readthedocs.io/en/latest/zmq_getsockopt.html
        (ZMQ_FD).
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
        """Have what has come taken in: to ask a socket of pyzmq for its events schedules their
        handling.
        """
        if self.socket is not None:
            self.socket.get(zmq.EVENTS)


class StoppingChannel(PatientChannel):
    """For a kernel that drops what finds no room: all that comes is taken in at once, and too much
    stops the kernel.

    A thread takes it in, since the event loop may be busy for longer than the kernel's queue has room. The socket is
    that thread's alone. What may have been dropped nevertheless is counted by `dropped`.
    """

    dropped = 0
    """How many messages found the kernel's queue so full that one behind them may have been dropped."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._waiting: deque[tuple[float, list[bytes]]] = deque()
        self._queue = SenderQueue()
        self._taken_bytes = self._given_bytes = 0
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._stop_kernel: Callable[[bool], object] | None = None
        self._is_stopped = False
        self._stopping = threading.Lock()
        self._is_closed = False
        self._taking = threading.Thread(target=self._take_in, name="nbci-iopub", daemon=True)

    def start(self) -> None:
        """Take in all from now on."""
        self._taking.start()

    def begin(self, stop_kernel: Callable[[bool], object]) -> None:
        """The kernel is there; `stop_kernel` has its process stand still, or go on."""
        self._stop_kernel = stop_kernel

    def let_run(self) -> None:
        """Do not stop the kernel any more: it is to end."""
        with self._stopping:
            self._set_stopped(False)
            self._stop_kernel = None

    def ask(self) -> None:
        """A cell is about to be sent, and all that was said before it has been read."""
        self._queue.ask(time.time())

    async def get_msg(  # type: ignore[override]  # as in its parent, which breaks with its own
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # as jupyter_client calls it
    ) -> dict[str, Any]:
        """The next message; raises Empty when none comes in time."""
        try:
            async with asyncio.timeout(timeout):
                await self._something_waits()
        except TimeoutError:
            raise Empty from None
        arrived, parts = self._waiting.popleft()
        self._given_bytes += sum(map(len, parts))
        if self._is_stopped:
            self._go_on()
        message = self._message(parts)
        self.dropped += self._queue.may_have_dropped(message, arrived)
        return message

    async def _something_waits(self) -> None:
        await self._give_others_a_turn()
        while not self._waiting:
            self._news.clear()
            if self._waiting:  # since it was looked at
                return
            self._go_on()
            await self._news.wait()

    def close(self) -> None:
        """Take in no more."""
        self._is_closed = True
        if self._taking.is_alive():
            self._taking.join()
        super().close()

    stop = close

    def _take_in(self) -> None:
        own: zmq.Socket[bytes] = zmq.Socket.shadow(self.socket)
        while not self._is_closed:
            if not own.poll(int(CLOSING_SECONDS * 1000)):
                continue
            parts = own.recv_multipart()
            self._waiting.append((time.time(), parts))
            self._taken_bytes += sum(map(len, parts))
            if not self._news.is_set():
                self._loop.call_soon_threadsafe(self._news.set)
            if not self._is_stopped and self._waiting_bytes() > MOST_WAITING_BYTES:
                self._stand_still()

    def _waiting_bytes(self) -> int:
        return self._taken_bytes - self._given_bytes

    def _stand_still(self) -> None:
        with self._stopping:
            if self._waiting_bytes() > MOST_WAITING_BYTES:
                self._set_stopped(True)

    def _go_on(self) -> None:
        with self._stopping:
            if self._waiting_bytes() < MOST_WAITING_BYTES // 2:
                self._set_stopped(False)

    def _set_stopped(self, stopped: bool) -> None:
        if stopped != self._is_stopped and self._stop_kernel is not None:
            self._is_stopped = stopped
            self._stop_kernel(stopped)
