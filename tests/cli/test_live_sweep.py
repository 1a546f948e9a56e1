"""What a person at a terminal sees of a sweep."""

from __future__ import annotations

import argparse
import io
import sys
from typing import Any

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from nbci.cli.live.sweep_progress import SweepProgress
from nbci.cli.live.sweep_table import SweepTable
from nbci.cli.sweep_display import listener
from nbci.cli.sweep_text import heading
from nbci.pipeline.search_space import Choices, Range
from nbci.sweeps.study_record import Objective, SweepRecord, Work
from tests.cli.test_live_tree import Clock, screen
from tests.sweeps.test_standing import sweep, trial

SWEEP: SweepRecord = sweep(
    space=(Range(name="x", low=0.0, high=1.0), Choices(name="kind", values=("a", "b"))),
    trials=10,
    parallel=2,
)
RUNNING: dict[str, Any] = {"state": "running", "params": {"x": 0.25, "kind": "a"}}


def table(width: int = 80, height: int = 24) -> tuple[SweepTable, io.StringIO, Clock]:
    stream = io.StringIO()
    console = Console(
        file=stream, force_terminal=True, width=width, height=height, highlight=False, markup=False
    )
    clock = Clock(0.0)
    return SweepTable(stream, now=clock, console=console), stream, clock


def begun(display: SweepTable, clock: Clock, record: SweepRecord = SWEEP) -> None:
    """Two trials that ended after two seconds each, and two that run for one."""
    display.begun(record)
    for number, value in ((0, 3.0), (1, 2.0)):
        display.trial_begun(trial(number, **RUNNING, worker="1"))
        display.step_begun(number, "main/fit")
        clock.seconds += 2
        work = {"computed": Work(steps=1, seconds=2.0), "reused": Work(steps=1, seconds=6.0)}
        display.ended(record, trial(number, value, seconds=2.0, **work))
    display.ended(record, trial(2, error="too\nlarge \x1b[31m", seconds=2.0))
    for number in (3, 4):
        display.trial_begun(trial(number, **RUNNING, worker=str(number - 2)))
    display.step_begun(3, "main/load")
    clock.seconds += 1
    display.ticked()


def test_the_table_says_what_runs_how_far_it_is_and_what_was_saved() -> None:
    display, stream, clock = table()
    begun(display, clock)
    assert screen(stream)[-6:] == [
        "▶ trial 3    1.0 s  worker 1  main/load  x=0.25, kind=a",
        "▶ trial 4    1.0 s  worker 2  begins  x=0.25, kind=a",
        "3 of 10 trials in 5.0 s, about 7.0 s left",
        "2 running, 2 complete, 1 failed",
        "best: trial 1, loss 2  (x=1)",
        "computed 4.0 s, saved 12.0 s (75%)",
    ]


def test_lines_of_trials_scroll_above_and_the_table_goes_at_the_end() -> None:
    display, stream, clock = table(width=200)
    begun(display, clock)
    display.noticed("the disk is nearly full")
    display.over()
    lines = [line for line in screen(stream) if line]
    assert [line.partition(":")[0] for line in lines[1:]] == [
        "trial 0",
        "trial 1",
        "trial 2",
        "nbci",
    ]
    assert lines[2].endswith("best so far")
    assert "too large" in lines[3]


@pytest.mark.parametrize(("width", "height"), [(60, 16), (30, 10), (12, 4), (80, 3)])
def test_rows_fit_into_narrow_and_low_terminals(width: int, height: int) -> None:
    display, stream, clock = table(width, height)
    display.begun(SWEEP)
    for number in range(20):
        display.trial_begun(trial(number, **RUNNING, worker=f"some-agent-{number}"))
    clock.seconds += 1
    display.ticked()
    rows = screen(stream)[-max(height - 1, 3) :]
    assert all(cell_len(row) < width for row in rows[1:])
    if width == 60:
        assert "worker" not in "".join(rows)
        assert rows[-4] == "… 10 more run"


def test_of_several_objectives_the_front_is_counted() -> None:
    display, stream, _ = table()
    goals = tuple(Objective(metric=name, direction="minimize") for name in ("loss", "size"))
    display.begun(replace(SWEEP, objectives=goals))
    for number, values in enumerate([(1.0, 2.0), (2.0, 1.0)]):
        display.ended(
            replace(SWEEP, objectives=goals),
            trial(number, state="complete", values=values),
        )
    display.ticked()
    assert "best: 2 trials that no other beats in all" in screen(stream)


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"trials": 10}, 8 * 4.0 / 2),
        ({"trials": 10, "minutes": 0.1}, 2.0),
        ({"trials": None, "minutes": 1.0}, 56.0),
        ({"trials": 100, "space": (Choices(name="x", values=(1, 2, 3, 4)),)}, 2 * 4.0 / 2),
        ({"trials": 2}, 0.0),
    ],
)
def test_time_left_is_by_the_budget_that_ends_first(fields: dict[str, Any], left: float) -> None:
    clock = Clock(0.0)
    progress = SweepProgress(replace(SWEEP, **fields), clock)
    assert (progress.seconds_left is None) == (progress.sweep.minutes is None)
    for number in range(2):
        progress.begin(trial(number, **RUNNING))
        progress.end(trial(number, 1.0, seconds=4.0))
    progress.end(trial(2, interrupted=True, error="interrupted", seconds=0.1))
    clock.seconds = 4.0
    assert progress.seconds_left == pytest.approx(left)


def test_trials_from_before_count_and_take_no_time() -> None:
    progress = SweepProgress(SWEEP, Clock(0.0))
    progress.know([trial(number, 1.0, seconds=100.0) for number in range(4)])
    assert (progress.done, progress.seconds_left) == (4, None)


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("NO_COLOR", "1"), ("TERM", "dumb")])
def test_lines_stay_where_people_want_no_codes(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for variable in ("CI", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    asked = argparse.Namespace(quiet=False, json=False, csv=False)
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    listener(asked).begun(SWEEP)
    assert "no trial yet" in terminal.getvalue()

    monkeypatch.setenv(name, value)
    plain = _Terminal()
    monkeypatch.setattr(sys, "stdout", plain)
    listener(asked).begun(SWEEP)
    assert plain.getvalue() == f"{heading(SWEEP)}\n"
