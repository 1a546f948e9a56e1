"""A trial climbs from rung to rung, over a lane and a judge that are fakes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from nbci.app.sweeps.rungs import budget_of, climb, with_all_of_it
from nbci.errors import UsageError
from nbci.params import Parameter
from nbci.params.types import type_of
from nbci.pipeline.fidelity import Fidelity
from nbci.pipeline.search_space import Sweep
from nbci.records.run_record import FileRef, Metric, ParameterValue, RunRecord, StepRecord
from nbci.sweeps.brackets import bracket_of
from nbci.sweeps.study_record import Work
from tests.sweeps.test_standing import sweep, trial

if TYPE_CHECKING:
    from nbci.app.sweeps.lane import Lane
    from nbci.sweeps.study_record import TrialRecord

FIDELITY = Fidelity(param="epochs", low=1, high=10, resume_from="state.pt")


class FakeLane:
    """Its loss is 10 less the epochs; the first rung was computed before."""

    def __init__(self, results: dict[int, str]) -> None:
        self._results = results
        self.carried_out: list[tuple[int, dict[str, Any], str | None]] = []

    async def carry_out(
        self, number: int, point: dict[str, Any], *, continued: FileRef | None
    ) -> RunRecord:
        found = None if continued is None else continued.digest
        self.carried_out.append((number, point, found))
        epochs = point["epochs"]
        result: Any = self._results.get(epochs, "passed")
        of_step: Any = "reused" if epochs == 1 else "passed"
        step = StepRecord(
            name="a",
            result=of_step,
            seconds=float(epochs),
            metrics=(Metric(name="loss", value=10 - epochs, source="cell"),),
            outs=(FileRef(path="state.pt", digest=f"d{epochs}", bytes=1),),
        )
        return RunRecord(
            run=f"r{epochs}",
            pipeline="p",
            target="p",
            result=result,
            nbci="0",
            seconds=float(epochs),
            steps=(step,),
        )


class FakeJudge:
    """Stops trials at that step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self._stop_at = stop_at
        self.told: list[tuple[int, float]] = []

    def report(self, number: int, step: int, value: float) -> None:
        assert number == 4
        self.told.append((step, value))

    def should_stop(self, number: int) -> bool:
        return self.told[-1][0] == self._stop_at


def climbed(
    *,
    stop_at: int | None = None,
    results: dict[int, str] | None = None,
    fidelity: Fidelity = FIDELITY,
    interrupted_after: int = 99,
) -> tuple[TrialRecord, FakeLane, FakeJudge]:
    lane, judge = FakeLane(results or {}), FakeJudge(stop_at)
    begun = trial(4, state="running", params={"x": 1}, worker="2")
    record = sweep(fidelity=fidelity)

    def is_stopping() -> bool:
        return len(lane.carried_out) >= interrupted_after

    ended = asyncio.run(climb(cast("Lane", lane), begun, record, judge, is_stopping))
    return ended, lane, judge


def test_a_trial_that_is_never_stopped_has_the_values_of_the_last_rung() -> None:
    ended, lane, judge = climbed()
    assert lane.carried_out == [
        (4, {"x": 1, "epochs": 1}, None),
        (4, {"x": 1, "epochs": 3}, "d1"),
        (4, {"x": 1, "epochs": 10}, "d3"),
    ]
    assert judge.told == [(1, 9), (3, 7), (9, 0)]
    assert [ended.state, ended.values, ended.run] == ["complete", (0.0,), "r10"]
    assert [ended.rung, ended.resource, ended.worker] == [2, 10, "2"]
    assert [*ended.curve] == [(1, 9.0), (3, 7.0), (10, 0.0)]
    assert ended.seconds == 14
    assert ended.computed == Work(steps=2, seconds=13.0)
    assert ended.reused == Work(steps=1, seconds=1.0)


def test_a_trial_that_is_stopped_has_no_value_that_others_are_compared_with() -> None:
    ended, lane, _ = climbed(stop_at=3)
    assert len(lane.carried_out) == 2
    assert (ended.state, ended.values, ended.resource) == ("pruned", (), 3)
    assert ended.curve == ((1, 9.0), (3, 7.0))


def test_the_last_rung_is_judged_no_more() -> None:
    assert climbed(stop_at=9)[0].state == "complete"


def test_a_rung_that_fails_ends_the_trial() -> None:
    ended, lane, judge = climbed(results={3: "failed"})
    assert (ended.state, ended.error, ended.resource) == ("failed", "it failed", 3)
    assert len(lane.carried_out) == 2
    assert judge.told == [(1, 9)]
    assert ended.curve == ((1, 9.0),)


def test_a_stop_between_two_rungs_interrupts_the_trial() -> None:
    ended, lane, _ = climbed(interrupted_after=1)
    assert len(lane.carried_out) == 1
    assert (ended.state, ended.interrupted, ended.values) == ("failed", True, ())


def test_without_an_out_to_go_on_from_a_trial_begins_where_it_is_compared_first() -> None:
    fidelity = Fidelity(param="epochs", low=1, high=10)
    first = bracket_of(sweep(fidelity=fidelity), 4)
    ended, lane, judge = climbed(fidelity=fidelity)
    assert first == 1
    assert [point["epochs"] for _, point, _ in lane.carried_out] == [3, 10]
    assert [continued for _, _, continued in lane.carried_out] == [None, None]
    assert judge.told == [(3, 7), (9, 0)]
    assert [*ended.curve] == [(3, 7.0), (10, 0.0)]
    assert ended.rung == 2


def test_a_whole_trial_has_all_of_the_budget() -> None:
    params = (
        ParameterValue(name="epochs", value=2, source="p.yaml"),
        ParameterValue(name="x", value=2, source="-p"),
    )
    found = with_all_of_it(params, FIDELITY)
    assert [(param.value, param.source) for param in found] == [(10, "fidelity"), (2, "-p")]
    assert with_all_of_it(params, None) == params


def test_the_command_line_changes_the_budget_of_the_file() -> None:
    parameters = (
        Parameter(name="epochs", default=1, type=type_of(1), source="p.yaml"),
        Parameter(name="rate", default=0.5, type=type_of(0.5), source="p.yaml"),
    )
    asked = Sweep(name="s", space=(), objectives=("loss",), fidelity=FIDELITY)
    changed = budget_of({"resume_from": "other.pt"}, asked, parameters)
    assert changed == Fidelity(param="epochs", low=1, high=10, resume_from="other.pt")
    whole = budget_of({"param": "rate", "low": 1, "high": 4}, asked, parameters)
    assert whole == Fidelity(param="rate", low=1.0, high=4.0, resume_from="state.pt")
    with pytest.raises(UsageError, match="--resume-from goes with a budget"):
        budget_of({"resume_from": "other.pt"}, replace(asked, fidelity=None), parameters)
