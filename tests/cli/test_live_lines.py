"""What a CI log shows of a run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nbci.cli.live import LineDisplay, NullDisplay, QuietDisplay, TreeDisplay, choose_display
from nbci.cli.live.printed import LONGEST_LINE, PrintedLines
from nbci.cli.live.summary import failure_cause, failure_lines, traceback_lines
from nbci.plan.model import Plan, PlannedCell, PlannedStep
from nbci.records.run_record import Attempt, CellRun, Failure, Metric, RunRecord, StepRecord

RUNS = Path(".nbci/runs")
SOURCE = "model.fit(X, y)\nscore = frame['acuracy']"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def planned(name: str, *after: str) -> PlannedStep:
    cells = (PlannedCell(role="step", number=7, source=SOURCE),)
    return PlannedStep(
        name=name, notebook="a.ipynb", kernel="python3", language="python", after=after, cells=cells
    )


PLAN = Plan(
    pipeline="digits",
    target="a.ipynb",
    steps=(planned("load"), planned("train", "load"), planned("roc", "train")),
)
FAILURE = Failure(
    kind="exception",
    message="KeyError: 'acuracy'",
    cell=7,
    first_line="model.fit(X, y)",
    line=2,
    error="KeyError",
    traceback="Traceback (most recent call last)\nKeyError: 'acuracy'",
    hint="the frame has 'accuracy'",
)
FAILED = StepRecord(
    name="train",
    result="failed",
    seconds=2.0,
    attempts=(Attempt(number=1, result="failed", started_utc="", seconds=2.0, failure=FAILURE),),
)
LOADED = StepRecord(
    name="load",
    result="passed",
    seconds=3.2,
    metrics=(Metric(name="rows", value=1797, source="scrap"),),
)
SKIPPED = StepRecord(name="roc", result="skipped", reason="train failed")


def record(result: Any, *steps: StepRecord) -> RunRecord:
    return RunRecord(
        run="R1",
        pipeline="digits",
        target="a.ipynb",
        result=result,
        nbci="0",
        seconds=5.25,
        steps=steps,
    )


def line_display(clock: Clock | None = None) -> tuple[LineDisplay, io.StringIO]:
    stream = io.StringIO()
    return LineDisplay(stream, runs_folder=RUNS, now=clock or Clock()), stream


def tell_failed_run(display: Any) -> None:
    display.run_started("R1", PLAN)
    display.step_started("load", 1)
    display.cell_started("load", 1, "import silent", 0, 2)
    display.cell_ended(
        "load", CellRun(role="imports", number=1, first_line="import silent", result="passed")
    )
    display.cell_started("load", 2, "print('[red]')", 1, 2)
    display.text_printed("load", "half ", "stdout")
    display.text_printed("load", "[red]line[/red]\nno end", "stdout")
    display.cell_ended("load", CellRun(role="step", number=2, first_line="", result="passed"))
    display.step_ended(LOADED)
    display.noticed("no GPU is there")
    display.noticed("no GPU is there")
    display.step_started("train", 1)
    display.cell_started("train", 7, "model.fit(X, y)", 0, 1)
    display.text_printed("train", "epoch 1\n", "stdout")
    display.step_ended(FAILED)
    display.step_ended(SKIPPED)
    display.run_ended(record("failed", LOADED, FAILED, SKIPPED))


FAILED_SUMMARY = """
metric     value
load:rows   1797

FAILED train
  notebook  a.ipynb
  cell 7    model.fit(X, y)
  line 2    score = frame['acuracy']
  error     KeyError: 'acuracy'
  hint      the frame has 'accuracy'
  printed last
    | epoch 1

digits FAILED in 5.2 s: 1 passed, 1 failed, 1 skipped
  record: .nbci/runs/R1
  page:   .nbci/runs/R1/report/index.html
  go on where it stopped:  nbci run --resume R1
  after editing a source:  nbci run a.ipynb
"""


def test_a_failed_run_in_a_log() -> None:
    display, stream = line_display()
    tell_failed_run(display)
    live = """\
run R1: digits, 3 steps
[load] started
[load] cell 2: print('[red]')
[load] half [red]line[/red]
[load] no end
[load] passed in 3.2 s
no GPU is there
[train] started
[train] cell 7: model.fit(X, y)
[train] epoch 1
[train] FAILED: cell 7, line 2: KeyError: 'acuracy'
[train]   Traceback (most recent call last)
[train]   KeyError: 'acuracy'
[train] hint: the frame has 'accuracy'
[roc] skipped: train failed
"""
    assert stream.getvalue() == live + FAILED_SUMMARY


def test_a_passed_run_says_where_the_page_is_and_nothing_of_resuming() -> None:
    display, stream = line_display()
    display.run_started("R1", Plan(pipeline="digits", target="a.ipynb", steps=(planned("load"),)))
    reused = StepRecord(
        name="load",
        result="reused",
        run="R0",
        metrics=(Metric(name="f1", value=float("nan"), source=""),),
    )
    display.step_ended(reused)
    display.run_ended(record("passed", reused))
    assert (
        stream.getvalue()
        == """\
run R1: digits, 1 step
[load] reused from run R0

metric   value
load:f1    NaN

digits passed in 5.2 s: 1 reused
  record: .nbci/runs/R1
  page:   .nbci/runs/R1/report/index.html
"""
    )


def test_heartbeat_after_half_a_minute_of_silence_and_not_before() -> None:
    clock = Clock()
    display, stream = line_display(clock)
    display.run_started("R1", PLAN)
    display.step_started("train", 1)
    display.cell_started("train", 7, "model.fit(X, y)", 3, 9)
    quiet = stream.getvalue()
    for second in range(1, 30):
        clock.seconds = second
        display.tick()
    assert stream.getvalue() == quiet
    clock.seconds = 30
    display.tick()
    clock.seconds = 59
    display.tick()
    display.text_printed("train", "Downloading... ", "stdout")
    clock.seconds = 90
    display.tick()
    assert stream.getvalue()[len(quiet) :] == (
        "[train] still running, cell 4 of 9 (model.fit(X, y)), 30.0 s\n"
        "[train] still running, cell 4 of 9 (model.fit(X, y)), 1 min 30 s; unfinished "
        "line: Downloading...\n"
    )


def test_a_printed_line_puts_the_heartbeat_off() -> None:
    clock = Clock()
    display, stream = line_display(clock)
    display.run_started("R1", PLAN)
    display.step_started("train", 1)
    clock.seconds = 29
    display.text_printed("train", "alive\n", "stdout")
    clock.seconds = 58
    display.tick()
    assert "still running" not in stream.getvalue()


def test_many_silent_steps_share_a_few_heartbeat_lines() -> None:
    clock = Clock()
    display, stream = line_display(clock)
    display.run_started(
        "R1", Plan(pipeline="p", target="t", steps=tuple(planned(f"s{i}") for i in range(50)))
    )
    for i in range(50):
        display.step_started(f"s{i}", 1)
    clock.seconds = 31
    display.tick()
    assert stream.getvalue().count("still running") == 6
    assert "45 more steps still running" in stream.getvalue()


def test_a_progress_bar_is_a_line_every_few_seconds_and_its_last_state() -> None:
    clock = Clock()
    display, stream = line_display(clock)
    display.run_started("R1", PLAN)
    display.step_started("train", 1)
    for percent in range(101):
        clock.seconds = percent / 12.5  # 8 s in all
        display.text_printed("train", f"\r{percent}%|###", "stderr")
    display.text_printed("train", "\n", "stderr")
    bars = [line for line in stream.getvalue().splitlines() if "%" in line]
    assert bars == ["[train] 1%|###", "[train] 64%|###", "[train] 100%|###"]


def test_the_last_state_of_a_bar_is_not_said_twice() -> None:
    display, stream = line_display()
    display.text_printed("train", "\r0%", "stderr")
    display.text_printed("train", "\r100%", "stderr")
    display.text_printed("train", "\n", "stderr")
    display.text_printed("train", "100%\n", "stderr")
    assert stream.getvalue() == "[train] 100%\n[train] 100%\n"


def test_retries_say_why_and_when() -> None:
    display, stream = line_display()
    display.step_started("load", 1)
    display.step_retried("load", Failure(kind="kernel-start", message="no kernel came up"), 2.0)
    display.step_started("load", 2)
    tries = tuple(Attempt(number=n, result="passed", started_utc="", seconds=1.0) for n in (1, 2))
    display.step_ended(
        StepRecord(
            name="load", result="passed", seconds=4.0, attempts=tries, warnings=("a thread died",)
        )
    )
    assert stream.getvalue() == (
        "[load] started\n[load] attempt 1 failed: no kernel came up\n[load] next attempt in 2.0 s\n"
        "[load] attempt 2 started\n[load] warning: a thread died\n"
        "[load] passed at attempt 2 in 4.0 s\n"
    )


def test_a_dead_kernel_shows_its_own_log() -> None:
    display, stream = line_display()
    failure = Failure(
        kind="kernel-died", message="the kernel was killed by SIGSEGV", cell=7, log="double free\n"
    )
    attempt = Attempt(number=1, result="failed", started_utc="", seconds=1.0, failure=failure)
    display.step_ended(StepRecord(name="train", result="failed", attempts=(attempt,)))
    assert stream.getvalue() == (
        "[train] FAILED: cell 7: the kernel was killed by SIGSEGV\n"
        "[train]   the kernel's own log:\n[train]   double free\n"
    )


@pytest.mark.parametrize(
    ("message", "error", "shown"),
    [
        (
            "value `f` of step load cannot be saved",
            "TypeError: no pickle",
            " (TypeError: no pickle)",
        ),
        ("the cell called exit() or quit()", "CellExit", ""),
        ("ValueError: bad\nnumbers", "ValueError", ""),
    ],
)
def test_an_error_is_added_where_it_says_more(message: str, error: str, shown: str) -> None:
    assert (
        failure_cause(Failure(kind="exception", message=message, error=error))
        == " ".join(message.split()) + shown
    )


def test_an_endless_message_does_not_flood_the_headline() -> None:
    assert len(failure_cause(Failure(kind="exception", message="x" * 10_000))) == 501


def test_a_failure_without_an_attempt_says_its_reason() -> None:
    display, stream = line_display()
    display.step_ended(StepRecord(name="s", result="failed", reason="a and b both changed x"))
    assert stream.getvalue() == "[s] FAILED: a and b both changed x\n"


def test_ansi_codes_are_taken_out_even_when_cut_in_two() -> None:
    printed = PrintedLines()
    chunks = ["\x1b[3", "1mred\x1b", "[0m \x1b]0;tit", "le\x07and\x00 plain\x9b\n"]
    assert [line for chunk in chunks for line in printed.feed(chunk)] == ["red and plain"]


def test_an_escape_without_an_end_loses_no_text() -> None:
    printed = PrintedLines()
    lines = printed.feed("\x1b]0;never ended\n") + printed.feed("\x1b[12") + printed.flush()
    assert lines == ["]0;never ended", "[12"]


def test_a_bar_that_wipes_itself_away_leaves_nothing_behind() -> None:
    printed = PrintedLines()
    assert printed.feed("\r 50%\r     \rdone\n") == ["done"]
    assert printed.feed("\r 50%\r     \r") + printed.flush() == []


def test_a_line_without_end_does_not_pile_up() -> None:
    printed = PrintedLines()
    lines = [line for _ in range(1000) for line in printed.feed("x" * 100)]
    assert len(printed.current) <= LONGEST_LINE
    assert "".join(lines) + printed.current == "x" * 100_000


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cc", "Zl", "Zp"])), max_size=20), st.data()
)
def test_no_printed_line_is_lost_however_it_is_cut(lines: list[str], data: st.DataObject) -> None:
    display, stream = line_display()
    text = "\n".join(lines)
    while text:
        cut = data.draw(st.integers(1, len(text)))
        display.text_printed("s", text[:cut], "stdout")
        text = text[cut:]
    display.cell_ended("s", CellRun(role="step", number=1, first_line="", result="passed"))
    ended = lines[:-1] if lines and not lines[-1] else lines
    shown = [line.encode("utf-8", "backslashreplace").decode() for line in ended]
    assert stream.getvalue() == "".join(f"[s] {line}\n" if line else "[s]\n" for line in shown)


@given(st.lists(st.tuples(st.text(max_size=30), st.sampled_from(["stdout", "stderr"]))))
def test_no_text_breaks_the_display_or_the_log(chunks: list[tuple[str, Any]]) -> None:
    display, stream = line_display()
    for text, kind in chunks:
        display.text_printed("s", text, kind)
    display.step_ended(StepRecord(name="s", result="passed"))
    shown = stream.getvalue()
    assert all(line.startswith("[s]") for line in shown.split("\n")[:-1])
    assert not any(character < " " and character not in "\n\t" for character in shown)


def test_a_closed_pipe_silences_the_display_and_not_the_run(tmp_path: Path) -> None:
    import os

    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        display = LineDisplay(stream, runs_folder=RUNS)
        tell_failed_run(display)
        stream.write("what Python would flush at its exit")


def test_an_ascii_terminal_gets_escapes_and_no_error() -> None:
    raw = io.BytesIO()
    display = LineDisplay(io.TextIOWrapper(raw, encoding="ascii"), runs_folder=RUNS)
    display.text_printed("s", "naïve 漢\n", "stdout")
    assert raw.getvalue() == b"[s] na\\xefve \\u6f22\n"


def test_quiet_shows_failures_and_one_line() -> None:
    stream = io.StringIO()
    tell_failed_run(QuietDisplay(stream, runs_folder=RUNS))
    failure = FAILED_SUMMARY[
        FAILED_SUMMARY.index("FAILED train") : FAILED_SUMMARY.index("\ndigits")
    ]
    assert stream.getvalue() == (
        f"{failure}digits FAILED in 5.2 s: 1 passed, 1 failed, 1 skipped; "
        "page: .nbci/runs/R1/report/index.html; go on: nbci run --resume R1\n"
    )


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_display_follows_the_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    pipe, terminal = io.StringIO(), Terminal()
    assert isinstance(
        choose_display(quiet=False, json=False, stdout=terminal, stderr=pipe), TreeDisplay
    )
    assert isinstance(
        choose_display(quiet=False, json=False, stdout=pipe, stderr=terminal), LineDisplay
    )
    assert isinstance(
        choose_display(quiet=False, json=True, stdout=pipe, stderr=terminal), TreeDisplay
    )
    assert isinstance(
        choose_display(quiet=True, json=False, stdout=terminal, stderr=pipe), QuietDisplay
    )
    ascii_terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    ascii_terminal.isatty = lambda: True  # type: ignore[method-assign]  # a terminal of the C locale
    assert isinstance(
        choose_display(quiet=False, json=False, stdout=ascii_terminal, stderr=pipe), LineDisplay
    )
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(
        choose_display(quiet=False, json=False, stdout=terminal, stderr=pipe), LineDisplay
    )


@pytest.mark.parametrize("quiet", [True, False])
def test_json_leaves_stdout_alone_and_has_no_summary(quiet: bool) -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    tell_failed_run(choose_display(quiet=quiet, json=True, stdout=stdout, stderr=stderr))
    assert stdout.getvalue() == ""
    assert "KeyError: 'acuracy'" in stderr.getvalue()
    assert "page:" not in stderr.getvalue()


def test_the_null_display_takes_everything() -> None:
    display = NullDisplay()
    tell_failed_run(display)
    display.tick()
    display.close()


def test_a_failed_run_is_run_again_with_the_same_parameters() -> None:
    for command, advice in (
        (("nbci", "run", "a.ipynb", "-p", "name=a b"), "nbci run a.ipynb -p 'name=a b'"),
        (("nbci", "run", "--resume", "R0"), "nbci run a.ipynb"),
        (("nbci", "finish", "--plan", "plan.json"), "nbci run a.ipynb"),
    ):
        display, stream = line_display()
        display.run_started("R1", PLAN)
        display.run_ended(replace(record("failed", FAILED), command=command))
        assert stream.getvalue().endswith(f"  after editing a source:  {advice}\n")


def test_a_shell_command_and_its_output_stand_on_lines_of_their_own() -> None:
    failure = Failure(
        kind="exception",
        message="command ended with status 1: make\nno rule\nstop",
        error="ShellError",
    )
    attempt = Attempt(number=1, result="failed", started_utc="", seconds=0.0, failure=failure)
    lines = failure_lines(StepRecord(name="build", result="failed", attempts=(attempt,)))
    assert lines == [
        "FAILED build",
        "  error   command ended with status 1: make",
        "  output  no rule stop",
    ]


def test_a_long_line_is_cut_and_the_file_named_that_has_all_of_it() -> None:
    failure = Failure(kind="exception", message="no", error="E", traceback="E: " + "t" * 9000)
    attempt = Attempt(number=1, result="failed", started_utc="", seconds=0.0, failure=failure)
    record = StepRecord(name="build", result="failed", attempts=(attempt,))
    lines = failure_lines(record, tail=("short", "y" * 9000), run_folder=Path("runs/R1"))

    assert lines[-3:] == [
        "    | short",
        f"    | {'y' * 300}… (8,700 more characters)",
        "    all of it is in runs/R1/steps/build/notebook.ipynb",
    ]
    assert traceback_lines(failure) == [f"E: {'t' * 297}… (8,703 more characters)"]
