from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis.strategies as st
from hypothesis import given

from nbci.engine.schedule import Schedule
from nbci.graph import topological
from nbci.plan.model import PlannedStep

if TYPE_CHECKING:
    from nbci.records.run_record import StepResult

_RESULTS: tuple[StepResult, ...] = ("passed", "passed", "passed", "failed")


def _steps(after: dict[str, tuple[str, ...]]) -> tuple[PlannedStep, ...]:
    return tuple(
        PlannedStep(
            name=name, notebook="n", kernel="k", language="python", cells=(), after=after[name]
        )
        for name in topological(after)
    )


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    size = draw(st.integers(0, 9))
    names = [f"n{at}" for at in range(size)]
    return {
        name: tuple(draw(st.lists(st.sampled_from(names[:at]), max_size=3))) if at else ()
        for at, name in enumerate(names)
    }


class SimulatedRun:
    """A schedule carried out with `slots` at once, each running step ended in an order and a way
    that the data says.
    """

    def __init__(
        self, data: st.DataObject, after: dict[str, tuple[str, ...]], *, keep_going: bool
    ) -> None:
        self.after = after
        self.ended = self._ended_before(data)
        self.started: list[str] = []
        self.results: dict[str, StepResult] = {}
        self.never: list[str] = []
        schedule = Schedule(_steps(after), ended=self.ended, keep_going=keep_going)
        slots = data.draw(st.integers(1, 4))
        while True:
            while len(schedule.running) < slots and (name := schedule.start()) is not None:
                self._check_start(name, keep_going=keep_going)
                self.started.append(name)
            if not schedule.running:
                break
            name = data.draw(st.sampled_from(sorted(schedule.running)))
            self.results[name] = data.draw(st.sampled_from(_RESULTS))
            self.never += schedule.end(name, self.results[name])
        self.lost = list(self.never)
        self.never += schedule.give_up()

    def _ended_before(self, data: st.DataObject) -> dict[str, StepResult]:
        ended: dict[str, StepResult] = {}
        for name in topological(self.after):
            if set(self.after[name]) <= set(ended) and data.draw(st.booleans()):
                ended[name] = data.draw(st.sampled_from(["passed", "reused", "skipped"]))
        return ended

    def _check_start(self, name: str, *, keep_going: bool) -> None:
        fine = {done for done, result in self.results.items() if result == "passed"} | set(
            self.ended
        )
        assert set(self.after[name]) <= fine
        assert name not in self.never
        assert keep_going or "failed" not in self.results.values()

    def has_failed_before(self, name: str) -> bool:
        return any(
            self.results.get(other) == "failed" or self.has_failed_before(other)
            for other in self.after[name]
        )


@given(st.data(), graphs(), st.booleans())
def test_every_step_ends_exactly_once_and_after_what_it_needs(
    data: st.DataObject, after: dict[str, tuple[str, ...]], keep_going: bool
) -> None:
    simulated = SimulatedRun(data, after, keep_going=keep_going)
    assert sorted([*simulated.ended, *simulated.started, *simulated.never]) == sorted(after)
    assert set(simulated.started) == set(simulated.results)


@given(st.data(), graphs())
def test_keep_going_runs_all_but_what_a_failure_makes_impossible(
    data: st.DataObject, after: dict[str, tuple[str, ...]]
) -> None:
    simulated = SimulatedRun(data, after, keep_going=True)
    assert simulated.never == simulated.lost
    open_names = set(after) - set(simulated.ended)
    assert set(simulated.never) == {
        name for name in open_names if simulated.has_failed_before(name)
    }


@given(st.data(), graphs())
def test_without_failures_everything_runs(
    data: st.DataObject, after: dict[str, tuple[str, ...]]
) -> None:
    simulated = SimulatedRun(data, after, keep_going=data.draw(st.booleans()))
    if "failed" not in simulated.results.values():
        assert simulated.never == []


def test_independent_steps_start_in_the_plans_order() -> None:
    schedule = Schedule(_steps({"b": (), "a": (), "c": ("b",)}))
    assert [schedule.start(), schedule.start(), schedule.start()] == ["b", "a", None]
    assert schedule.running == {"a", "b"}
    assert schedule.end("b", "passed") == ()
    assert schedule.start() == "c"


def test_a_failure_ends_what_depends_on_it_in_the_plans_order() -> None:
    schedule = Schedule(_steps({"a": (), "b": ("a",), "c": ("b", "a"), "d": ()}))
    assert schedule.start() == "a"
    assert schedule.end("a", "failed") == ("b", "c")
    assert schedule.start() is None
    assert schedule.give_up() == ("d",)
