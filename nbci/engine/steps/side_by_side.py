"""What runs share that go on side by side in one process: kernels' slots, and steps in the making.

A step that another run is running just now is waited for, and its result is reused then.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class SideBySide:
    """Lets at most so many kernels run at once, and each key be computed by one run at a time."""

    def __init__(self, kernels: int) -> None:
        self._slots = asyncio.Semaphore(kernels)
        self._being_made: dict[str, asyncio.Event] = {}

    @property
    def slot(self) -> asyncio.Semaphore:
        """Held while a step has a kernel."""
        return self._slots

    @contextlib.asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[bool]:
        """Make the result of this key, after another run that is making it; whether one was.

        It may have failed, or given nothing that is kept. So whoever has waited once waits no more:
        steps whose results are never kept would run one after another.
        """
        other = self._being_made.get(key)
        if other is not None:
            await other.wait()
        # Of several that waited, the first is one that others may wait for again.
        has_ended = None
        if key not in self._being_made:
            has_ended = self._being_made[key] = asyncio.Event()
        try:
            yield other is not None
        finally:
            if has_ended is not None:
                del self._being_made[key]
                has_ended.set()
