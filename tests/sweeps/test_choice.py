from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.errors import UsageError
from nbci.gates.case import Case
from nbci.gates.choice import with_choice_warnings
from nbci.gates.judge import judge
from nbci.pipeline.rules import Gate
from nbci.records.chosen import Confirmed, ConfirmedValue
from nbci.records.codec import from_json, to_json
from nbci.records.run_record import Metric, RunRecord, StepRecord
from nbci.records.seeds import Band, SeedRun
from nbci.records.verdict import GateResult, Verdict
from nbci.sweeps.choice import choose_trial, evidence_of
from nbci.sweeps.study_record import Objective, SweepRecord, TrialRecord
from tests.sweeps.test_standing import sweep, trial

if TYPE_CHECKING:
    from nbci.records.chosen import Chosen

TRIALS: tuple[TrialRecord, ...] = (
    trial(0, 4.0),
    trial(1, 1.0, run="r1"),
    trial(2),
    trial(3, 2.0),
    trial(4, state="pruned", values=()),
    trial(5, 1.0, same_as=1, run="r1"),
    trial(6, interrupted=True),
    trial(7, state="running"),
    trial(8, 3.0, earlier=True),
)


def run(chosen: Chosen | None, gate: GateResult, value: float = 1.0) -> RunRecord:
    step = StepRecord(
        name="fit",
        result="passed",
        metrics=(Metric(name="loss", value=value, source="cell"),),
    )
    verdict = Verdict(result="passed", judged_utc="2026-11-29T00:00:00Z", gates=(gate,))
    record = RunRecord(run="r", pipeline="p", target="p.yaml", result="passed", nbci="0")
    return replace(record, steps=(step,), verdict=verdict, chosen=chosen)


def gate(metric: str | None = None, values: dict[str, float] | None = None) -> GateResult:
    return GateResult(
        gate="g", asked="at most 2", result="passed", reason="", metric=metric, values=values
    )


def test_the_evidence_has_the_search_and_the_distribution() -> None:
    found = evidence_of(sweep(name="best"), TRIALS, TRIALS[1])
    assert (found.complete, found.pruned, found.failed, found.of) == (4, 1, 1, 6)
    assert found.space == {"x": {"type": "range", "low": 0.0, "high": 1.0}}
    (loss,) = found.objectives
    assert loss.values == (4.0, 1.0, 2.0, 3.0)
    assert (loss.minimum, loss.lower_quartile, loss.median) == (1.0, 1.75, 2.5)
    assert (loss.upper_quartile, loss.maximum, loss.chosen) == (3.25, 4.0, 1.0)
    assert found.sentence == "best of 6 trials of sweep s by loss"
    record = run(found, gate())
    assert from_json(to_json(record), RunRecord, "r") == record


def test_a_trial_that_is_as_good_as_the_best_is_no_worse_and_another_is_said_to_be() -> None:
    assert evidence_of(sweep(), TRIALS, TRIALS[5]).is_best
    other = evidence_of(sweep(), TRIALS, TRIALS[3])
    assert other.sentence == "trial 3 of 6 trials of sweep s, though another was better by loss"
    alone = evidence_of(sweep(), TRIALS[:1], TRIALS[0])
    assert alone.sentence == "best of 1 trial of sweep s by loss"
    two = sweep(
        objectives=tuple(Objective(metric=name, direction="minimize") for name in ("loss", "kb"))
    )
    both = [trial(at, state="complete", values=(at, -at)) for at in range(2)]
    assert evidence_of(two, both, both[1]).sentence == (
        "one of 2 trials of sweep s to which none was better in all of loss and kb"
    )


@pytest.mark.parametrize(
    "judged", [gate(metric="fit:loss"), gate(values={"loss": 1.0, "fit:loss": 1.0})]
)
def test_a_gate_over_the_metric_that_chose_is_warned_of_once(judged: GateResult) -> None:
    chosen = evidence_of(sweep(), TRIALS, TRIALS[1])
    record = with_choice_warnings(run(chosen, judged))
    (warning,) = record.warnings
    assert warning.startswith(
        "a gate judges fit:loss, and by this very metric the run was chosen from 6 trials"
    )
    # Judged again, it says no more.
    assert with_choice_warnings(record).warnings == record.warnings


def test_other_gates_and_other_runs_need_no_warning() -> None:
    chosen = evidence_of(sweep(), TRIALS, TRIALS[1])
    assert with_choice_warnings(run(chosen, gate(metric="fit:other"))).warnings == ()
    assert with_choice_warnings(run(None, gate(metric="fit:loss"))).warnings == ()


def test_another_value_than_the_trial_had_is_warned_of() -> None:
    chosen = evidence_of(sweep(), TRIALS, TRIALS[1])
    (warning,) = with_choice_warnings(run(chosen, gate(), value=1.5)).warnings
    assert warning.startswith("fit:loss is 1.5, and was 1 in trial 1: data or packages")


TWO: SweepRecord = sweep(
    objectives=(
        Objective(metric="loss", direction="minimize"),
        Objective(metric="kb", direction="minimize"),
    )
)


def test_the_best_one_is_chosen_or_the_one_that_is_named() -> None:
    trials = (trial(0, 2.0), trial(1, 1.0), trial(2), trial(3, 1.5))
    assert choose_trial(sweep(), trials).number == 1
    assert choose_trial(sweep(), trials, 3).number == 3
    assert choose_trial(TWO, (trial(0, state="complete", values=(1.0, 2.0)),), 0).number == 0


@pytest.mark.parametrize(
    ("number", "message"),
    [(7, "has no trial 7"), (1, "trial 1 of sweep s is failed, and has no value")],
)
def test_a_trial_without_a_value_is_none_to_choose(number: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_trial(sweep(), (trial(0, 2.0), trial(1)), number)


def test_nothing_is_chosen_where_nothing_or_several_are_best() -> None:
    with pytest.raises(UsageError, match="no trial of sweep s has a value"):
        choose_trial(sweep(), (trial(0),))
    both = [trial(number, state="complete", values=(number, -number)) for number in range(3)]
    with pytest.raises(UsageError, match="no trial is the best") as refused:
        choose_trial(TWO, both)
    assert refused.value.hint == "name one of the front with --trial N: 0, 1, 2"


def confirmed_run(confirmed: Confirmed | None, at_most: float) -> RunRecord:
    asked = Gate(name="g", metric="fit:loss", of="confirmed", at_most=at_most)
    chosen = evidence_of(sweep(), TRIALS, TRIALS[1])
    record = replace(run(chosen, gate()), confirmed=confirmed)
    return replace(record, verdict=judge(Case(gates=(asked,), record=record), "now"))


def answer(record: RunRecord) -> tuple[str, str | None, str]:
    assert record.verdict is not None
    (result,) = record.verdict.gates
    return result.result, result.metric, result.reason


def test_a_gate_judges_what_a_step_measured_where_no_trial_had_looked() -> None:
    found = Confirmed(step="check", metrics={"check:loss": 2.5})
    record = confirmed_run(found, at_most=2)
    assert answer(record) == (
        "failed",
        "check:loss",
        "misses by 0.5 (confirmed by step check)",
    )
    assert with_choice_warnings(record).warnings == ()


def test_a_gate_judges_the_mean_over_seeds_and_no_warning_is_left() -> None:
    seeds = tuple(SeedRun(value=at, metrics={"fit:loss": 1.0 + at}) for at in (1, 2))
    band = Band(mean=2.5, low=2.0, high=3.0, seeds=2)
    value = ConfirmedValue(objective="loss", metric="fit:loss", chosen=1.0, value=2.5, band=band)
    found = Confirmed(parameter="seed", seeds=seeds, metrics={"fit:loss": 2.5}, values=(value,))
    record = confirmed_run(found, at_most=3)
    how = "as the mean of 2 seeds that no trial saw"
    assert answer(record) == ("passed", "fit:loss", f"0.5 to spare (confirmed {how})")
    assert with_choice_warnings(record).warnings == ()
    assert found.sentence == f"fit:loss 2.5 ± 0.5 (1 when it was chosen), {how}"


@pytest.mark.parametrize(
    ("confirmed", "reason"),
    [
        (None, "nothing was confirmed: the sweep that chose this run has no `confirm`"),
        (Confirmed(step="c", reason="it broke"), "nothing was confirmed: it broke"),
        (Confirmed(step="c", metrics={"c:kb": 1.0}), "loss was not measured by step c"),
        (
            Confirmed(step="c", metrics={"c/a:loss": 1.0, "c/b:loss": 1.0}),
            "several are confirmed: c/a:loss, c/b:loss",
        ),
        (Confirmed(step="c", metrics={"c:loss": math.nan}), "c:loss is NaN by step c"),
    ],
)
def test_a_chosen_run_without_a_confirmed_value_is_refused(
    confirmed: Confirmed | None, reason: str
) -> None:
    assert answer(confirmed_run(confirmed, at_most=2)) == ("failed", None, reason)
