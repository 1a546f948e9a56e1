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

    Where a task then blocks the loop for seconds, such as by asking a remote that does not answer,
    CancelledError is raised in that task, wherever it is.
    """
    watchdog = _Watchdog(asyncio.get_running_loop(), interrupt)
    handlers: dict[int, Callable[..., None]] = {
        signal.SIGINT: watchdog.on_signal,
        signal.SIGTERM: watchdog.on_signal,
        signal.SIGALRM: watchdog.on_alarm,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, earlier in before.items():
            signal.signal(number, earlier)


class _Watchdog:
    """Once a signal has come, checks every second whether the loop still runs its callbacks.

    `loop.add_signal_handler` alone does not do: its handlers are callbacks, which a task that never
    yields keeps from running. SIGALRM interrupts such a task in the middle of its own code.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, interrupt: Callable[[], None]) -> None:
        self._loop = loop
        self._interrupt = interrupt
        self._is_waiting = False

    def on_signal(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._interrupt)
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_SECONDS, _PATIENCE_SECONDS)

    def on_alarm(self, *_: object) -> None:
        # The callback of the alarm before has not run: some task has blocked the loop since.
        if self._is_waiting and asyncio.current_task(self._loop) is not None:
            raise asyncio.CancelledError
        self._is_waiting = True
        self._loop.call_soon_threadsafe(self._loop_runs)

    def _loop_runs(self) -> None:
        self._is_waiting = False


async def run_in_abandonable_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call it in a thread that is abandoned when this is cancelled.

    Nothing waits for that thread, not even the end of the process.
    """
    # `asyncio.to_thread` does not do: the interpreter joins the threads of its pool as it ends.
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(set_outcome: Callable[[Any], None], outcome: object) -> None:
        if not future.done():
            set_outcome(outcome)

    def settle_from_thread(set_outcome: Callable[[Any], None], outcome: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, set_outcome, outcome)

    def work() -> None:
        try:
            answer = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - it is raised where this is awaited
            settle_from_thread(future.set_exception, error)
        else:
            settle_from_thread(future.set_result, answer)

    threading.Thread(target=work, daemon=True).start()
    return await future
