"""What runs share that go on side by side: kernels' slots, and steps in the making.

A step that another run is running just now is waited for, and its result is reused then. Runs of
one process know that from each other, processes of one machine by the locks of their cache.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, Protocol

from nbci.errors import InfrastructureError
from nbci.store.in_the_making import InTheMaking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator
    from pathlib import Path

_POLL_SECONDS = 0.05
_TOLD_AFTER_SECONDS = 2.0
_POLL_OF_MACHINES_SECONDS = 0.5
_READ = ("file", "module", "folder")
_NO_RESULTS = ("/dev/", "/proc/", "/sys/")
_Who = tuple[str, str]
"""A run and its step."""


class Claimed(Protocol):
    """A claim to make a result, as this process makes it."""

    is_never_kept: bool

    def take(self) -> bool:
        """Claim it, if nobody else does who is alive; True where there is nothing to wait for."""

    def renew(self) -> bool:
        """Say that it still holds."""

    def release(self) -> None:
        """Let others claim it."""

    def mark_never_kept(self) -> None:
        """Let nobody wait for it again."""


class Claims(Protocol):
    """Who of several machines makes what; a claim is to be renewed every `beat_seconds`."""

    beat_seconds: float

    def claim(self, name: str) -> Claimed:
        """A claim of that name, which nobody has by that."""


class SideBySide:
    """Lets at most so many kernels run at once, and each key be computed by one run at a time.

    `files` are those by which runs reach each other. `claims` say which of several machines makes a
    result.
    """

    def __init__(self, kernels: int, claims: Claims | None = None) -> None:
        self.claims = claims
        self._slots = asyncio.Semaphore(kernels)
        self._being_made: dict[str, asyncio.Event] = {}
        self.files = BetweenRuns()

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


class OneMaker:
    """The turn of one step: taken before it runs, and let go once its result is kept.

    A step holds one lock at a time, and only while it runs, so nobody waits in a circle. `waits`:
    it has not waited for an equal step of this process already. `claims` are those of machines.
    """

    def __init__(
        self, cache: Path, noticed: Callable[[str], None], claims: Claims | None = None
    ) -> None:
        self._cache = cache
        self._noticed = noticed
        self._claims = claims
        self.waits = True
        self._making: InTheMaking | None = None
        self._claim: Claimed | None = None
        self._beating: asyncio.Task[None] | None = None

    async def take(self, key: str, step: str) -> None:
        """Make the result of this key, after others that are making it."""
        await self._take_here(key, step)
        if self._claims is not None:
            await self._take_everywhere(self._claims, key, step)

    @property
    def has_claim(self) -> bool:
        """Whether other machines wait for this one to make the result."""
        return self._claim is not None

    async def _take_everywhere(self, claims: Claims, key: str, step: str) -> None:
        claim = self._claim = claims.claim(f"step {key}")
        is_told = False
        while not claim.take():
            if not is_told:
                self._noticed(f"waiting for another machine, which runs step {step}")
                is_told = True
            await asyncio.sleep(_POLL_OF_MACHINES_SECONDS)
        self._beating = asyncio.create_task(self._beat(claim, claims.beat_seconds))

    async def _beat(self, claim: Claimed, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            # Where it is lost meanwhile, two machines make the same: no reason to stop.
            with contextlib.suppress(InfrastructureError):
                claim.renew()

    async def _take_here(self, key: str, step: str) -> None:
        """Whoever has waited once, to no avail, waits no more.

        Steps whose results are never kept would run one after another.
        """
        making = self._making = InTheMaking(self._cache, key)
        began, is_told = time.monotonic(), False
        while not making.is_never_kept and not making.take() and self.waits:
            if not is_told and time.monotonic() - began > _TOLD_AFTER_SECONDS:
                self._noticed(f"waiting for another process, which runs step {step}")
                is_told = True
            # A lock that could be waited for would need a thread, which no signal ends.
            await asyncio.sleep(_POLL_SECONDS)
        if making.has_been_made:
            making.close()
            # Of several that waited, the first is one that others may wait for again.
            self._making = InTheMaking(self._cache, key)
            self._making.take()

    def end(self, *, is_never_kept: bool) -> None:
        """The step has come to an end of its own; one that was interrupted has not."""
        if self._making is not None:
            self._making.end(is_never_kept=is_never_kept)
        if self._claim is not None and is_never_kept:
            with contextlib.suppress(InfrastructureError):
                self._claim.mark_never_kept()

    def close(self) -> None:
        """Let the next one take its turn."""
        if self._beating is not None:
            self._beating.cancel()
        if self._claim is not None:
            # One that cannot be released stands still, and is another's after a while.
            with contextlib.suppress(InfrastructureError):
                self._claim.release()
        if self._making is not None:
            self._making.close()


class BetweenRuns:
    """Files by which runs that go on side by side reach each other; paths are absolute.

    Each has a workspace of its own. Outside of these, what one wrote is there for the next: then
    what a run gives depends on which others there were, and when.
    """

    def __init__(self) -> None:
        self._titles: dict[str, str] = {}
        self._writers: dict[str, _Who] = {}
        self._readers: dict[str, _Who] = {}
        self._told: set[str] = set()

    def name(self, run: str, title: str) -> None:
        """Say what people call a run."""
        self._titles[run] = title

    def note(
        self, run: str, step: str, written: Iterable[str], read: Iterable[tuple[str, str]]
    ) -> Iterator[str]:
        """Take what a step wrote and read outside; a text for each file that connects two runs.

        `read` are kinds of observations with their labels.
        """
        me = (run, step)
        for kind, path in read:
            # What lies in the workspace is named relative to it.
            if kind not in _READ or not path.startswith("/"):
                continue
            writer = self._writers.get(path)
            # Of its own making, whatever others do with it before or later.
            if writer is not None and writer[0] == run:
                continue
            self._readers.setdefault(path, me)
            if writer is not None:
                yield from self._tell(path, writer, me)
        for path in written:
            # One that was removed again leaves nothing for others.
            if path.startswith(_NO_RESULTS) or not os.path.isfile(path):
                continue
            self._writers[path] = me
            reader = self._readers.get(path)
            if reader is not None and reader[0] != run:
                yield from self._tell(path, me, reader)

    def _tell(self, path: str, writer: _Who, reader: _Who) -> Iterator[str]:
        # Once: it would be the same in each run that follows.
        if path not in self._told:
            self._told.add(path)
            yield (
                f"{path} connects runs: {self._named(writer)} wrote it and {self._named(reader)} "
                "read it, so what one gives depends on the others; write it into the step's own "
                "folder, and declare it as an out"
            )

    def _named(self, who: _Who) -> str:
        run, step = who
        return f"{step} of {self._titles.get(run, f'run {run}')}"
