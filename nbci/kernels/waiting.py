"""Waiting for a kernel's answers while its process may die and the disk may fill up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, TypeVar

from nbci.kernels.kernel_manager import StartFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from nbci.kernels.client import StepClient
    from nbci.kernels.journal import Journal
    from nbci.kernels.process import KernelProcess

Answer = TypeVar("Answer")

OBEY_SECONDS = 2.0
DRAIN_SECONDS = 2.0
QUIET_SECONDS = 0.1


class KernelDied(Exception):
    """The kernel's process ended while it was needed."""


class TimedOut(Exception):
    """A cell took too long, and was interrupted or killed."""


class KernelWait:
    """Waits for what a kernel is asked, and for its end at the same time."""

    def __init__(self, process: KernelProcess, journal: Journal) -> None:
        self._process = process
        self._journal = journal
        self.client: StepClient | None = None
        self.is_waiting = False
        """Whether the kernel is doing something now."""

    def ready_client(self) -> StepClient:
        """The client of a kernel that answers; raises StartFailed where none does."""
        if self.client is None:
            raise StartFailed("the kernel was not started")
        return self.client

    async def answer(self, awaitable: Awaitable[Answer], seconds: float | None = None) -> Answer:
        """Wait for an answer of the kernel.

        Raises KernelDied when its process ends, TimeoutError after `seconds`, and the journal's
        error when outputs cannot be written.
        """
        task: asyncio.Future[Answer] = asyncio.ensure_future(awaitable)
        events: set[asyncio.Future[Any]] = {task, self._process.died, self._journal.failed}
        self.is_waiting = True

        try:
            done, _ = await asyncio.wait(
                events, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if task in done:
                return task.result()
            if not done:
                raise TimeoutError
            # Before the kernel's end: a full disk may be why it ended.
            if self._journal.failed.done():
                raise self._journal.failed.result()

            # A reply that was sent before the process ended may still be on its way.
            await self._drain(task)
            if task.done() and not task.cancelled() and task.exception() is None:
                return task.result()
            raise KernelDied
        finally:
            self.is_waiting = False
            # With a time limit the caller decides what becomes of the task.
            if seconds is None and not task.done():
                task.cancel()

    async def answer_in_time(
        self, awaitable: Awaitable[Answer], seconds: float | None, message: str
    ) -> Answer:
        """Wait at most `seconds`, then interrupt the kernel, then kill it.

        Raises TimedOut with `message`, and what `answer` raises.
        """
        task = asyncio.ensure_future(awaitable)
        try:
            return await self.answer(task, seconds)
        except TimeoutError:
            await self._end_overdue(task)
            raise TimedOut(message) from None
        finally:
            if not task.done():
                task.cancel()
            await asyncio.wait({task}, timeout=QUIET_SECONDS)
            if task.done() and not task.cancelled():
                # Read, else asyncio logs "exception was never retrieved".
                task.exception()

    async def _end_overdue(self, task: asyncio.Future[Any]) -> None:
        """Interrupt what runs; a cell may catch KeyboardInterrupt, so the kernel dies if needed."""
        await self._process.interrupt()
        with contextlib.suppress(Exception):
            await self.answer(task, OBEY_SECONDS)
        if not task.done():
            self._process.kill()
            await self._drain(task)

    async def _drain(self, task: asyncio.Future[Any]) -> None:
        """Read what a dead kernel had already sent, until nothing more comes."""
        deadline = time.monotonic() + DRAIN_SECONDS
        before = -1
        # The sockets of a dead kernel do not close: that nothing comes is all that tells.
        while not task.done() and time.monotonic() < deadline:
            seen = 0
            if self.client is not None:
                seen = self.client.messages_seen
            if seen == before:
                break
            before = seen
            await asyncio.wait({task}, timeout=QUIET_SECONDS)
