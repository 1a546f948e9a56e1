from __future__ import annotations

import csv
import io

from nbci.cli.sweep_text import (
    best_line,
    heading,
    render,
    sweep_document,
    trial_line,
    trials_csv,
)
from nbci.pipeline.search_space import Choices, Range
from nbci.records.run_record import ParameterValue
from nbci.sweeps.run_command import run_command
from nbci.sweeps.study_record import SweepRecord, TrialRecord, Work
from tests.sweeps.test_standing import sweep, trial

SWEEP: SweepRecord = sweep(
    space=(Range(name="x", low=0.0, high=1.0), Choices(name="kind", values=("a b", "c"))),
    trials=4,
    no_better_in=2,
    params=(
        ParameterValue(name="x", value=0.5, source="p.yaml"),
        ParameterValue(name="rate", value=3, source="-p"),
        ParameterValue(name="seed", value=7, source="p.yaml"),
    ),
)
TRIALS: tuple[TrialRecord, ...] = (
    trial(
        0,
        2.0,
        params={"x": 0.25, "kind": "a b"},
        run="r0",
        seconds=3.0,
        computed=Work(steps=2, seconds=2.5),
    ),
    trial(1, params={"x": 1.0}, error="ValueError: no\nluck", run="r1", seconds=1.0),
    trial(2, 1.5, params={"x": 0.5, "kind": "c"}, run="r2", reused=Work(steps=1, seconds=2.0)),
    trial(3, 1.5, params={"x": 0.5, "kind": "c"}, run="r2", same_as=2),
)


def test_the_table_has_the_best_first_and_a_column_for_each_parameter() -> None:
    lines = render(SWEEP, TRIALS, ".nbci/sweeps/s").splitlines()
    cells = [line.split() for line in lines]
    assert cells[0] == ["trial", "loss", "x", "kind", "state", "took", "run"]
    assert [row[0] for row in cells[1:5]] == ["2", "3", "0", "1"]
    assert "as trial 2" in lines[2]
    assert lines[4].endswith("ValueError: no luck")
    assert lines[6] == "best: trial 2, loss 1.5"
    assert lines[7] == "  4 trials: 2 steps ran in 2.5 s, 1 reused that took 2.0 s"
    assert lines[8] == "  run it with: nbci run p.yaml -p rate=3 -p x=0.5 -p kind=c"
    assert lines[9] == "  record: .nbci/sweeps/s"


def test_the_table_is_no_longer_than_a_screen() -> None:
    many = tuple(trial(number, float(number), params={"x": 0.5}) for number in range(50))
    shown = render(SWEEP, many, "f")
    assert "and 30 more: --json and --csv have all of them" in shown
    assert render(SWEEP, (), "f").splitlines()[1] == "no trial yet"


def test_a_line_says_what_a_trial_gave() -> None:
    assert heading(SWEEP) == (
        "sweep s of p.yaml: x, kind by tpe, at most 4 trials, none better in 2; "
        "loss as low as can be"
    )
    assert trial_line(SWEEP, TRIALS[0]) == (
        "trial 0: loss 2  (x=0.25, kind=a b; 2 steps ran, 0 reused, 3.0 s)"
    )
    assert trial_line(SWEEP, TRIALS[1]).startswith("trial 1: failed: ValueError: no luck  (x=1;")
    assert trial_line(SWEEP, TRIALS[3]) == "trial 3: loss 1.5  (x=0.5, kind=c; as trial 2)"
    assert best_line(SWEEP, TRIALS[0], TRIALS[:1]) == "  best so far"
    assert not best_line(SWEEP, TRIALS[0], TRIALS[:3])


def test_the_command_of_a_trial_can_be_pasted() -> None:
    assert run_command(SWEEP, TRIALS[0]) == "nbci run p.yaml -p rate=3 -p x=0.25 -p 'kind=a b'"
    shown = render(SWEEP, TRIALS, "f", "folder/p.yaml")
    assert "run it with: nbci run folder/p.yaml -p" in shown


def test_programs_get_all_trials_in_their_order() -> None:
    document = sweep_document(SWEEP, TRIALS)
    assert (document["sweep"], document["objective"], document["best"]) == ("s", "loss", 2)
    assert [
        (each["number"], each["state"], each["values"], each["run"]) for each in document["trials"]
    ] == [
        (0, "complete", [2.0], "r0"),
        (1, "failed", None, "r1"),
        (2, "complete", [1.5], "r2"),
        (3, "complete", [1.5], "r2"),
    ]
    assert sweep_document(SWEEP, ())["best"] is None
    rows = list(csv.reader(io.StringIO(trials_csv(SWEEP, TRIALS))))
    assert rows[0] == ["trial", "state", "loss", "x", "kind", "run", "error"]
    assert rows[2] == ["1", "failed", "", "1.0", "", "r1", "ValueError: no\nluck"]
