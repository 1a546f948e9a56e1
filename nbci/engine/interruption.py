"""Ctrl-C and SIGTERM reach a run in every state.

This includes a wait for something that does not react to signals.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

_PATIENCE_SECONDS = 1.0


@contextlib.contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Have SIGINT and SIGTERM call `interrupt` on the running loop.

    Where a task keeps the loop from its turn for seconds then, such as by asking a remote that
    answers no more, CancelledError is raised in that task, wherever it is.
    """
    guard = _Guard(asyncio.get_running_loop(), interrupt)
    before = {
        number: signal.signal(number, guard.signalled) for number in (signal.SIGINT, signal.SIGTERM)
    }
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, guard.look)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Guard:
    """Once a signal has come, sees every second whether the loop has had its turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interrupt: Callable[[], None]) -> None:
        self._loop = loop
        self._interrupt = interrupt
        self._waits = False

    def signalled(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._interrupt)
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_SECONDS, _PATIENCE_SECONDS)

    def look(self, *_: object) -> None:
        if self._waits and asyncio.current_task(self._loop) is not None:
            raise asyncio.CancelledError
        self._waits = True
        self._loop.call_soon_threadsafe(self._turn)

    def _turn(self) -> None:
        self._waits = False


async def without_waiting(function: Callable[..., T], *arguments: Any) -> T:
    """Call it in a thread that is abandoned when this is cancelled.

    Nothing waits for that thread, not even the end of the process.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[Any], None], what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(lambda: None if future.done() else settle(what))

    def work() -> None:
        try:
            answer = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - it is raised where this is awaited
            tell(future.set_exception, error)
        else:
            tell(future.set_result, answer)

    threading.Thread(target=work, daemon=True).start()
    return await future
