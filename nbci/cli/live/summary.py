"""What stands at the end of a run for people: its result, metrics, failures, and where to look and
how to go on.
"""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from nbci.cli.live.gates import gates_word, verdict_lines
from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted, number
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line, without_controls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nbci.cli.live.progress import RunProgress
    from nbci.plan.model import Plan
    from nbci.records.run_record import Failure, RunOutcome, RunRecord, StepRecord

TRACEBACK_LINES = 60
LONGEST_CAUSE = 500  # characters
LONGEST_PRINTED = 300
_ENDED = {"skipped": "skipped", "interrupted": "interrupted"}
_RESULTS: Mapping[RunOutcome, str] = {
    "passed": "passed",
    "refused": "REFUSED",
    "failed": "FAILED",
    "interrupted": "INTERRUPTED",
    "running": "still runs",
}


def failure_place(failure: Failure) -> str:
    """`cell 7, line 3`, as far as it is known."""
    cell = None if failure.cell is None else f"cell {failure.cell}"
    line = None if failure.line is None else f"line {failure.line}"
    return ", ".join(part for part in (cell, line) if part)


def failure_cause(failure: Failure) -> str:
    """What went wrong, in one line; the traceback has the rest of a long message."""
    message, error = one_line(_said_and_output(failure)[0]), one_line(failure.error or "")
    says_more = (
        " " in error and error not in message
    )  # an error is often the bare name of the exception
    cause = f"{message} ({error})" if says_more else message
    return cause if len(cause) <= LONGEST_CAUSE else f"{cause[:LONGEST_CAUSE]}…"


def _said_and_output(failure: Failure) -> tuple[str, str]:
    """The message, and apart from it what a shell command printed before it failed."""
    if failure.error != "ShellError":
        return failure.message, ""
    said, _, output = failure.message.partition("\n")
    return said, output


def failed_word(failure: Failure) -> str:
    """`FAILED`, or what is said of a step that was stopped."""
    return "INTERRUPTED" if failure.kind == "interrupted" else "FAILED"


def failure_headline(failure: Failure) -> str:
    """`cell 7, line 3: ValueError: no such column`."""
    return ": ".join(part for part in (failure_place(failure), failure_cause(failure)) if part)


def traceback_lines(failure: Failure) -> list[str]:
    """The end of the traceback, and of what the kernel's process wrote beside the cells."""
    lines = _tail(failure.traceback)
    return [*lines, "the kernel's own log:", *_tail(failure.log)] if failure.log else lines


def _tail(text: str | None) -> list[str]:
    lines = (
        without_controls((text or "").replace("\r", "\n").replace("\b", "")).rstrip().split("\n")
    )
    left_out = len(lines) - TRACEBACK_LINES
    head = [f"... {counted(left_out, 'line')} left out ..."] if left_out > 0 else []
    return [*head, *map(_shortened, lines[-TRACEBACK_LINES:])] if lines != [""] else []


def ended_words(record: StepRecord) -> str:
    """`passed in 3.2 s`, `reused from run 7`, `skipped: train failed`."""
    reason = f": {one_line(record.reason)}" if record.reason else ""
    if record.result == "passed":
        tries = f" at attempt {len(record.attempts)}" if len(record.attempts) > 1 else ""
        return f"passed{tries}" + (
            f" in {duration(record.seconds)}" if record.seconds is not None else ""
        )
    if record.result == "reused":
        return f"reused from run {record.run}{reason}" if record.run else f"reused{reason}"
    return f"{_ENDED.get(record.outcome, 'FAILED')}{reason}"


def failure_lines(
    step: StepRecord,
    *,
    plan: Plan | None = None,
    tail: Sequence[str] = (),
    run_folder: Path | None = None,
) -> list[str]:
    """A failed step for the end of the run: where, what, what to do, and what it printed last.

    The run's folder is where the rest of long lines is.
    """
    failure = step.failure
    word = "FAILED" if failure is None else failed_word(failure)
    if failure is None:
        return [f"FAILED {step.name}", f"  {one_line(step.reason or 'no reason is recorded')}"]
    rows = [("notebook", _notebook(plan, step.name))] if plan else []
    if failure.cell is not None:
        rows.append((f"cell {failure.cell}", one_line(failure.first_line or "")))
    if failure.line is not None:
        rows.append((f"line {failure.line}", _source_line(plan, step.name, failure)))
    rows.append(("error", failure_cause(failure)))
    if output := one_line(_said_and_output(failure)[1]):
        rows.append(
            ("output", output if len(output) <= LONGEST_CAUSE else f"…{output[-LONGEST_CAUSE:]}")
        )
    if failure.hint:
        rows.append(("hint", one_line(failure.hint)))
    lines = [f"{word} {step.name}", *(f"  {line}" for line in table(rows))]
    if not tail:
        return lines
    lines += ["  printed last", *(f"    | {_shortened(line)}" for line in tail)]
    if run_folder is not None and any(len(line) > LONGEST_PRINTED for line in tail):
        lines.append(f"    all of it is in {run_folder / 'steps' / step.name / 'notebook.ipynb'}")
    return lines


def _shortened(line: str) -> str:
    left_out = len(line) - LONGEST_PRINTED
    return (
        line
        if left_out <= 0
        else f"{line[:LONGEST_PRINTED]}… ({counted(left_out, 'more character')})"
    )


def run_failure_lines(failure: Failure) -> list[str]:
    """A failure that belongs to no single step."""
    rows = [
        ("error", failure_cause(failure)),
        *([("hint", one_line(failure.hint))] if failure.hint else []),
    ]
    return ["FAILED the run", *(f"  {line}" for line in table(rows))]


def _notebook(plan: Plan | None, name: str) -> str:
    return next((step.notebook for step in plan.steps if step.name == name), "") if plan else ""


def _source_line(plan: Plan | None, name: str, failure: Failure) -> str:
    cells = (
        [cell for step in plan.steps if step.name == name for cell in step.cells] if plan else []
    )
    sources = [cell.source.split("\n") for cell in cells if cell.number == failure.cell]
    index = (failure.line or 1) - 1
    return next((one_line(lines[index]) for lines in sources if index < len(lines)), "")


def metric_lines(metrics: Mapping[str, float]) -> list[str]:
    """The metrics by their full names, aligned."""
    if not metrics:
        return []
    return table(
        [
            ("metric", "value"),
            *((one_line(name), number(value)) for name, value in metrics.items()),
        ],
        right=frozenset({1}),
    )


def result_line(record: RunRecord) -> str:
    """`digits passed in 12 s: 4 passed, 1 reused; gates passed`."""
    counts: Counter[str] = Counter(
        "failed" if step.result == "running" else step.outcome for step in record.steps
    )
    words = ("passed", "reused", "failed", "interrupted", "skipped")
    shown = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
    result = _RESULTS[record.outcome]
    time = "" if record.seconds is None else f" in {duration(record.seconds)}"
    return (
        f"{record.pipeline} {result}{time}"
        + (f": {shown}" if shown else "")
        + gates_word(record.verdict)
    )


def _failed_step(step: StepRecord, progress: RunProgress, folder: Path) -> list[str]:
    tail = tuple(progress.step(step.name).tail)
    return failure_lines(step, plan=progress.plan, tail=tail, run_folder=folder)


def summary_lines(record: RunRecord, progress: RunProgress, runs_folder: Path) -> list[str]:
    """The end of the run; the last lines say what a person does next."""
    folder = runs_folder / record.run
    lines = [""]
    if metrics := metric_lines(record.metrics):
        lines += [*metrics, ""]
    if verdict := verdict_lines(record.verdict):
        lines += [*verdict, ""]
    for step in record.steps:
        if step.result == "failed":
            lines += [*_failed_step(step, progress, folder), ""]
    if record.failure is not None:
        lines += [*run_failure_lines(record.failure), ""]
    lines += [
        result_line(record),
        f"  record: {folder}",
        f"  page:   {folder / 'report' / 'index.html'}",
    ]
    if record.result in {"failed", "interrupted"}:
        lines.append(f"  go on where it stopped:  nbci run --resume {record.run}")
        lines.append(f"  after editing a source:  {_from_the_start(record)}")
    return lines


def _from_the_start(record: RunRecord) -> str:
    """The command that runs the same anew; a resumed or gathered run was asked for in another way."""
    began = record.command[:2] == ("nbci", "run") and not any(
        word.startswith("--res") for word in record.command
    )
    return shlex.join(record.command if began else ("nbci", "run", record.target))
