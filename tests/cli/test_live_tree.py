"""What a person at a terminal sees of a run."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from nbci.cli.live import TreeDisplay
from nbci.cli.live.tree_rows import depths
from nbci.plan.model import Plan, PlannedStep
from nbci.records.run_record import Attempt, CellRun, Failure, RunRecord, StepRecord

CODES = re.compile(r"\x1b\[[0-9;]*m")
WIPE = re.compile(r"\r\x1b\[(\d+)A\x1b\[K\n\x1b\[J\x1b\[A")


class Clock:
    """A clock that each look moves on, so that nothing is too early to be drawn."""

    def __init__(self, step: float = 1.0) -> None:
        self.seconds = 0.0
        self.step = step

    def __call__(self) -> float:
        self.seconds += self.step
        return self.seconds


def planned(name: str, *after: str) -> PlannedStep:
    return PlannedStep(
        name=name, notebook="a.ipynb", kernel="python3", language="python", after=after, cells=()
    )


def plan(*steps: PlannedStep) -> Plan:
    return Plan(pipeline="digits", target="a.ipynb", steps=steps)


FORK = plan(
    planned("load"),
    planned("svm", "load"),
    planned("forest", "load"),
    planned("judge", "svm", "forest"),
    planned("end", "judge"),
)


def tree(
    width: int = 80, height: int = 24, clock: Any = None, **options: Any
) -> tuple[TreeDisplay, io.StringIO]:
    stream = io.StringIO()
    console = Console(
        file=stream,
        force_terminal=True,
        width=width,
        height=height,
        highlight=False,
        markup=False,
        **options,
    )
    return TreeDisplay(
        stream, runs_folder=Path(".nbci/runs"), now=clock or Clock(0.0), console=console
    ), stream


def screen(stream: io.StringIO) -> list[str]:
    """The lines as they stand after all wiping; every row must fit, so that counting lines is
    right.
    """
    lines: list[str] = []
    for i, part in enumerate(WIPE.split(CODES.sub("", stream.getvalue()))):
        if i % 2:
            assert int(part) <= len(lines)
            del lines[len(lines) - int(part) :]
        else:
            lines += part.split("\n")[:-1]
            assert part == "" or part.endswith("\n")
    return lines


def failed(name: str, **known: Any) -> StepRecord:
    failure = Failure(
        kind="exception",
        message="ValueError: [red]bad[/red]",
        cell=7,
        line=2,
        error="ValueError",
        **known,
    )
    attempt = Attempt(number=1, result="failed", started_utc="", seconds=1.0, failure=failure)
    return StepRecord(name=name, result="failed", seconds=1.0, attempts=(attempt,))


def test_steps_side_by_side_one_of_them_failing() -> None:
    display, stream = tree()
    display.run_started("R1", FORK)
    display.step_ended(StepRecord(name="load", result="reused", run="R0"))
    display.step_started("svm", 1)
    display.step_started("forest", 1)
    display.cell_started("svm", 7, "svm.fit(X)  # [bold]", 2, 9)
    display.text_printed("svm", "\x1b[31m\r 1%\r99%", "stderr")
    display.step_ended(failed("forest", traceback="Traceback\n  line 2", hint="look at [it]"))
    display.tick()
    assert screen(stream) == [
        "run R1: digits",
        "forest FAILED: cell 7, line 2: ValueError: [red]bad[/red]",
        "  Traceback",
        "    line 2",
        "  hint: look at [it]",
        "↺ reused   load             from run R0",
        "▶ running    svm      0 ms  cell 3 of 9  svm.fit(X) # [bold]",
        "           99%",
        "✗ failed     forest  1.0 s  cell 7, line 2: ValueError: [red]bad[/red]",
        "· waiting  judge",
        "· waiting  end",
        "0 ms: 1 running, 1 failed, 1 reused, 2 waiting",
    ]


def test_the_end_of_a_run_leaves_the_tree_and_the_summary() -> None:
    display, stream = tree()
    steps = (StepRecord(name="load", result="passed", seconds=1.5), failed("svm"))
    display.run_started("R1", plan(planned("load"), planned("svm", "load")))
    for step in steps:
        display.step_ended(step)
    display.run_ended(
        RunRecord(
            run="R1", pipeline="digits", target="a.ipynb", result="failed", nbci="0", steps=steps
        )
    )
    display.tick()
    display.close()
    assert screen(stream)[2:] == [
        "✓ passed   load  1.5 s",
        "✗ failed   svm   1.0 s  cell 7, line 2: ValueError: [red]bad[/red]",
        "0 ms: 1 failed, 1 passed",
        "",
        "FAILED svm",
        "  notebook  a.ipynb",
        "  cell 7",
        "  line 2",
        "  error     ValueError: [red]bad[/red]",
        "",
        "digits FAILED: 1 passed, 1 failed",
        "  record: .nbci/runs/R1",
        "  page:   .nbci/runs/R1/report/index.html",
        "  go on where it stopped:  nbci run --resume R1",
        "  after editing a source:  nbci run a.ipynb",
    ]


def test_a_narrow_terminal_keeps_the_progress_and_shows_the_cell_below() -> None:
    display, stream = tree(width=40)
    display.run_started("R1", plan(planned("train/model=random-forest")))
    display.step_started("train/model=random-forest", 2)
    display.cell_started(
        "train/model=random-forest", 7, "model.fit(X_train, y_train, sample_weight=w)", 2, 9
    )
    display.tick()
    assert screen(stream)[1:] == [
        "▶ running  train/…forest   0 ms  3/9",
        "           model.fit(X_train, y_train,…",
        "0 ms: 1 running",
    ]


def test_a_thousand_steps_fold_to_what_matters_now() -> None:
    display, stream = tree(height=24)
    display.run_started("R1", plan(*(planned(f"s{i:03}") for i in range(1000))))
    for i in range(500):
        display.step_started(f"s{i:03}", 1)
        display.step_ended(
            failed("s007") if i == 7 else StepRecord(name=f"s{i:03}", result="passed", seconds=1.0)
        )
    for i in range(500, 504):
        display.step_started(f"s{i:03}", 1)
    display.tick()
    rows = screen(stream)[2:]
    assert len(rows) <= 22
    assert [row[11:15] for row in rows if "running" in row[:9]] == ["s500", "s501", "s502", "s503"]
    assert any("failed   s007" in row for row in rows)
    assert any("passed   s499" in row for row in rows)
    assert any("waiting  s504" in row for row in rows)
    assert rows[-1].startswith("0 ms: 4 running, 1 failed, 499 passed, 496 waiting (")


def test_text_does_not_draw_faster_than_the_eye_sees() -> None:
    clock = Clock(0.0)
    display, stream = tree(clock=clock)
    display.run_started("R1", FORK)
    display.step_started("load", 1)
    for _ in range(20_000):
        display.text_printed("load", "flood\n", "stdout")
    assert len(WIPE.findall(stream.getvalue())) <= 2


def test_a_terminal_that_became_narrower_is_wiped_of_the_broken_rows_too() -> None:
    display, stream = tree(width=80)
    display.run_started("R1", plan(planned("load")))
    display.step_started("load", 1)
    display.cell_started("load", 1, "x" * 100, 0, 1)
    display.tick()
    display._area.console.width = 40
    stream.seek(0)
    stream.truncate()
    display.tick()
    found = WIPE.match(stream.getvalue())
    assert found is not None
    assert int(found[1]) == 4  # two rows of the step, one of them broken in two, and the counts


def test_forks_are_indented_and_joins_come_back_out() -> None:
    assert depths(FORK) == {"load": 0, "svm": 1, "forest": 1, "judge": 0, "end": 0}
    assert depths(plan(planned("a"), planned("b"), planned("c", "a"))) == {"a": 0, "b": 0, "c": 0}


@pytest.mark.parametrize("width", [1, 12, 40, 80])
@given(
    texts=st.lists(st.text(max_size=40), max_size=8),
    name=st.text(
        st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30
    ),
)
def test_no_row_is_wider_than_the_terminal(width: int, texts: list[str], name: str) -> None:
    display, stream = tree(width=width, height=10)
    display.run_started("R1", plan(planned(name), planned("other", name)))
    display.step_started(name, 1)
    for text in texts:
        display.cell_started(name, 1, text, 0, 1)
        display.text_printed(name, text, "stdout")
        display.tick()
        rows = screen(stream)[1:]
        assert max(map(cell_len, rows)) <= max(width - 1, 1)
    display.cell_ended(name, CellRun(role="step", number=1, first_line="", result="passed"))
    assert "\x1b" not in "".join(screen(stream))
