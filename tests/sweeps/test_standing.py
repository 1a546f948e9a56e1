from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from nbci.errors import IntegrityError
from nbci.pipeline.search_space import Range
from nbci.records.codec import to_json_line
from nbci.sweeps.standing import (
    KILLED,
    best_of,
    common_error,
    front_of,
    interrupted_points,
    is_over,
    ranked,
    read_trials,
    without_dead,
    work_of,
)
from nbci.sweeps.study_record import Objective, SweepRecord, TrialRecord, Work


def sweep(**fields: Any) -> SweepRecord:
    known: dict[str, Any] = {
        "sweep": "s",
        "pipeline": "p",
        "target": "p.yaml",
        "space": (Range(name="x", low=0.0, high=1.0),),
        "objectives": (Objective(metric="loss", direction="minimize"),),
        "method": "tpe",
        "seed": 1,
        "nbci": "0",
        "started_utc": "2026-11-29T00:00:00Z",
    }
    return SweepRecord(**{**known, **fields})


def trial(number: int, value: float | None = None, **fields: Any) -> TrialRecord:
    if value is not None:
        fields |= {"state": "complete", "values": (value,)}
    return TrialRecord(number=number, **{"state": "failed", "params": {"x": number}, **fields})


def numbers(trials: tuple[TrialRecord, ...]) -> list[int]:
    return [each.number for each in trials]


def test_earlier_runs_are_nothing_that_the_budget_pays_for() -> None:
    trials = (trial(0, 1.0, earlier=True), trial(1, 2.0), trial(2, 3.0))
    assert numbers(front_of(sweep(), trials)) == [0]
    assert is_over(sweep(no_better_in=2), trials, 2, 0)
    assert not is_over(sweep(no_better_in=3), trials, 2, 0)


def test_the_last_line_of_a_trial_counts_and_half_a_line_does_not() -> None:
    lines = [trial(1, state="running"), trial(0, 0.5), trial(1, 0.25)]
    text = b"".join(map(to_json_line, lines))
    expected = (trial(0, 0.5), trial(1, 0.25))
    assert read_trials(text, "t") == expected
    assert read_trials(text + b'{"number": 7, "sta', "t") == expected
    with pytest.raises(IntegrityError, match="line 1"):
        read_trials(b"{}\n" + text, "t")


def test_the_best_is_first_in_either_direction_and_those_without_value_last() -> None:
    trials = (trial(0, error="e"), trial(1, 3.0), trial(2, 1.0), trial(3, 3.0))
    assert numbers(ranked(sweep(), trials)) == [2, 1, 3, 0]
    upwards = sweep(objectives=(Objective(metric="loss", direction="maximize"),))
    assert numbers(ranked(upwards, trials)) == [1, 3, 2, 0]
    assert best_of(sweep(), trials) == trials[2]
    assert best_of(sweep(), trials[:1]) is None


def test_of_several_objectives_those_are_the_front_that_no_other_beats_in_all() -> None:
    both = sweep(
        objectives=(
            Objective(metric="loss", direction="minimize"),
            Objective(metric="accuracy", direction="maximize"),
        )
    )
    values = [(2.0, 0.9), (1.0, 0.5), (3.0, 0.9), (1.0, 0.5), (2.0, 0.4), (4.0, 0.95)]
    trials = [trial(number, state="complete", values=pair) for number, pair in enumerate(values)]
    assert numbers(front_of(both, trials)) == [1, 0, 5]
    assert best_of(both, trials) is None
    failed = trial(6, error="e")
    assert numbers(ranked(both, [failed, *trials])) == [1, 0, 5, 2, 3, 4, 6]
    # The last one joined the front.
    waits = replace(both, no_better_in=2)
    assert not is_over(waits, trials, 6, 0.0)
    assert is_over(waits, [*trials, failed, trial(7, error="e")], 8, 0.0)


def test_what_nobody_is_at_work_at_has_failed_and_is_tried_again() -> None:
    dead = without_dead((trial(0, 1.0), trial(1, state="running")))
    assert [each.state for each in dead] == ["complete", "failed"]
    assert (dead[1].error, dead[1].interrupted) == (KILLED, True)
    assert numbers(interrupted_points(dead)) == [1]
    # Tried again, it is settled.
    assert interrupted_points((*dead, trial(2, 4.0, params={"x": 1}))) == ()


def test_trials_that_all_fail_alike_stop_the_sweep() -> None:
    alike = [trial(number, error="no such file") for number in range(3)]
    assert common_error(alike[:2]) is None
    assert common_error(alike) == "no such file"
    assert common_error([*alike[:2], trial(2, error="another")]) is None
    assert common_error([*alike, trial(3, 1.0)]) is None
    # Neither an interrupted one nor one that took its error from an equal one says so.
    assert common_error([*alike[:2], trial(2, error="no such file", same_as=0)]) is None
    assert common_error([*alike[:2], trial(2, error="no such file", interrupted=True)]) is None


def test_a_budget_ends_the_sweep() -> None:
    trials = [trial(0, 2.0), trial(1, 1.0), trial(2, 1.5), trial(3, error="e")]
    assert is_over(sweep(trials=4), trials, 4, 0.0)
    assert not is_over(sweep(trials=5), trials, 4, 0.0)
    assert is_over(sweep(minutes=0.5), trials, 4, 30.0)
    assert not is_over(sweep(minutes=0.5), trials, 4, 29.0)
    assert is_over(sweep(no_better_in=2), trials, 4, 0.0)
    assert not is_over(sweep(no_better_in=3), trials, 4, 0.0)
    assert not is_over(sweep(no_better_in=1), [trials[3]], 1, 0.0)


def test_what_was_computed_and_reused_is_added_up() -> None:
    one = trial(0, 1.0, computed=Work(steps=2, seconds=3.0))
    two = trial(1, 1.0, computed=Work(steps=1, seconds=0.5), reused=Work(steps=1, seconds=2.0))
    assert work_of([one, two]) == (Work(steps=3, seconds=3.5), Work(steps=1, seconds=2.0))
