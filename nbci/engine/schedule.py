"""Which step may start next: the pure part of running a plan."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from nbci.graph import edges_of, followers_of, reachable
from nbci.records.run_record import lets_followers_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import StepResult


class Schedule:
    """The steps that wait, may start, run and have ended.

    A step may start when all it comes after have ended well; a skipped one counts, since what needs
    its values was skipped with it when the plan was made. After a failure nothing new starts,
    unless `keep_going`.
    """

    def __init__(
        self,
        steps: Sequence[PlannedStep],
        *,
        ended: Mapping[str, StepResult] | None = None,
        keep_going: bool = False,
    ) -> None:
        """`steps` in the plan's order; `ended` are those that need not run, with their results."""
        after = edges_of(steps)
        self._keep_going = keep_going
        self._names = list(after)
        self._position = dict(zip(self._names, range(len(after)), strict=True))
        self._followers = followers_of(after)
        # Counts and a heap keep each start cheap in plans of thousands of steps.
        self._open = {name: len(set(before)) for name, before in after.items()}
        self._waiting = set(after) - set(ended or {})
        self._running: set[str] = set()
        self._failed = False
        self._ready: list[int] = []
        for name in self._waiting:
            if self._open[name] == 0:
                heapq.heappush(self._ready, self._position[name])
        for name, result in (ended or {}).items():
            self._release(name, result)

    def start(self) -> str | None:
        """Begin the first step, in the plan's order, that may; None when none may now."""
        if self._failed and not self._keep_going:
            return None
        while self._ready:
            name = self._names[heapq.heappop(self._ready)]
            # The heap may still have a step that was dropped after it became ready.
            if name in self._waiting:
                self._waiting.remove(name)
                self._running.add(name)
                return name
        return None

    def end(self, name: str, result: StepResult) -> tuple[str, ...]:
        """The step ended; returns the steps that will therefore never run.

        They are in the plan's order.
        """
        self._running.remove(name)
        self._release(name, result)
        if lets_followers_run(result):
            return ()
        self._failed = True
        # Even with `keep_going`, what comes after a failed step lacks its values.
        return self._drop(reachable([name], self._followers))

    def give_up(self) -> tuple[str, ...]:
        """Start no more steps; returns the steps that will therefore never run.

        They are in the plan's order.
        """
        return self._drop(self._waiting)

    @property
    def running(self) -> frozenset[str]:
        """The steps that run."""
        return frozenset(self._running)

    def _release(self, name: str, result: StepResult) -> None:
        if not lets_followers_run(result):
            return
        for follower in self._followers[name]:
            self._open[follower] -= 1
            if self._open[follower] == 0 and follower in self._waiting:
                heapq.heappush(self._ready, self._position[follower])

    def _drop(self, names: set[str]) -> tuple[str, ...]:
        lost = sorted(names & self._waiting, key=self._position.__getitem__)
        self._waiting.difference_update(lost)
        return tuple(lost)
