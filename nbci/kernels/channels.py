"""Channels to a kernel: no wake-up is lost, and other tasks run however much there is to read."""

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
    """A channel that takes the next message at once where there is no time limit.

    jupyter_client first asks whether there is one.
    """

    _turn_began = 0.0

    def send(self, msg: dict[str, Any]) -> None:
        """Send, then look whether something has come meanwhile.

        ZeroMQ's file descriptor is edge-triggered. Whatever uses the socket consumes the edge, and
        jupyter_client sends through a shadow of the socket, so that a receiver who waits on it is
        not woken: https://libzmq.readthedocs.io/en/latest/zmq_getsockopt.html (ZMQ_FD).
        """
        super().send(msg)
        self._handle_events()

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
        receiving = asyncio.ensure_future(self.socket.recv_multipart())
        # pyzmq completes the future at once where a message is already there.
        if not receiving.done():
            await self._wait(receiving)
        return receiving.result()

    def _message(self, parts: list[bytes]) -> dict[str, Any]:
        _, rest = self.session.feed_identities(parts)
        return self.session.deserialize(rest)

    async def _give_others_a_turn(self) -> None:
        # Awaiting what is already there does not yield to the event loop: a flood of messages
        # would keep timers, and so time limits, from running.
        if time.monotonic() - self._turn_began > TURN_SECONDS:
            await asyncio.sleep(0)
            self._turn_began = time.monotonic()

    async def _wait(self, receiving: asyncio.Future[list[bytes]]) -> None:
        handling = asyncio.ensure_future(self._handle_events_again_and_again())
        try:
            await receiving
        finally:
            handling.cancel()
        self._turn_began = time.monotonic()

    async def _handle_events_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            self._handle_events()

    def _handle_events(self) -> None:
        # To ask a socket of pyzmq for its events schedules their handling, even after a lost edge.
        if self.socket is not None:
            self.socket.get(zmq.EVENTS)


class StoppingChannel(PatientChannel):
    """For kernels that drop messages without room: a reading thread stops the kernel when needed.

    A thread reads, since the event loop may be busy for longer than the kernel's queue has room.
    The socket is that thread's alone. What may have been dropped nevertheless is counted by
    `dropped`.
    """

    dropped = 0
    """Messages that found the queue so full that one behind them may have been dropped."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._waiting: deque[tuple[float, list[bytes]]] = deque()
        self._queue = SenderQueue()
        # Each is written by one thread only, so that none needs a lock.
        self._read_bytes = 0
        self._delivered_bytes = 0

        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

        self._stop_kernel: Callable[[bool], object] | None = None
        self._is_stopped = False
        self._stop_lock = threading.Lock()
        self._is_closed = False
        self._reader = threading.Thread(target=self._read_all, name="nbci-iopub", daemon=True)

    def start(self) -> None:
        """Start the thread that reads."""
        self._reader.start()

    def begin(self, stop_kernel: Callable[[bool], object]) -> None:
        """The kernel is ready; `stop_kernel` suspends its process (True), or resumes it."""
        self._stop_kernel = stop_kernel

    def let_run(self) -> None:
        """Do not stop the kernel any more: it is to end."""
        with self._stop_lock:
            self._set_stopped(False)
            self._stop_kernel = None

    def ask(self) -> None:
        """A cell is about to be sent, and all that was printed before it has been read."""
        self._queue.ask(time.time())

    async def get_msg(  # type: ignore[override]  # as in its parent, which breaks with its own
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # as jupyter_client calls it
    ) -> dict[str, Any]:
        """The next message; raises Empty when none comes in time."""
        try:
            async with asyncio.timeout(timeout):
                await self._wait_for_message()
        except TimeoutError:
            raise Empty from None

        arrived, parts = self._waiting.popleft()
        self._delivered_bytes += sum(map(len, parts))
        if self._is_stopped:
            self._resume_kernel()

        message = self._message(parts)
        self.dropped += self._queue.may_have_dropped(message, arrived)
        return message

    async def _wait_for_message(self) -> None:
        await self._give_others_a_turn()
        while not self._waiting:
            self._news.clear()
            # The thread may have added one between the look and the clearing.
            if self._waiting:
                return
            self._resume_kernel()
            await self._news.wait()

    def close(self) -> None:
        """End the thread, then close the socket."""
        self._is_closed = True
        if self._reader.is_alive():
            self._reader.join()
        super().close()

    stop = close

    def _read_all(self) -> None:
        # A plain socket: the channel's own belongs to the event loop of another thread.
        socket: zmq.Socket[bytes] = zmq.Socket.shadow(self.socket)
        while not self._is_closed:
            if not socket.poll(int(CLOSING_SECONDS * 1000)):
                continue
            parts = socket.recv_multipart()
            self._waiting.append((time.time(), parts))
            self._read_bytes += sum(map(len, parts))
            if not self._news.is_set():
                self._loop.call_soon_threadsafe(self._news.set)
            if not self._is_stopped and self._waiting_bytes() > MOST_WAITING_BYTES:
                self._suspend_kernel()

    def _waiting_bytes(self) -> int:
        return self._read_bytes - self._delivered_bytes

    def _suspend_kernel(self) -> None:
        # Looked at again under the lock: the other thread may have delivered it all.
        with self._stop_lock:
            if self._waiting_bytes() > MOST_WAITING_BYTES:
                self._set_stopped(True)

    def _resume_kernel(self) -> None:
        # At half of the limit, so that the process is not stopped and resumed for each message.
        with self._stop_lock:
            if self._waiting_bytes() < MOST_WAITING_BYTES // 2:
                self._set_stopped(False)

    def _set_stopped(self, stopped: bool) -> None:
        if stopped != self._is_stopped and self._stop_kernel is not None:
            self._is_stopped = stopped
            self._stop_kernel(stopped)
