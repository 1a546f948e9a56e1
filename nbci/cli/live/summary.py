"""The end of a run for people: result, metrics, failures, where to look and how to go on."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from nbci.cli.live.gates import gates_word, verdict_lines
from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted, listed, number
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line, without_controls
from nbci.formatting.text import indented
from nbci.proofs.audits import audited_steps
from nbci.records.seeds import NO_SEEDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nbci.cli.live.progress import RunProgress
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import Failure, RunOutcome, RunRecord, StepRecord

TRACEBACK_LINES = 60
# In characters. Messages may hold a whole table or array; the record and the notebook have all.
LONGEST_CAUSE = 500
LONGEST_PRINTED = 300
_RESULTS: Mapping[RunOutcome, str] = {
    "passed": "passed",
    "refused": "REFUSED",
    "failed": "FAILED",
    "interrupted": "INTERRUPTED",
    "running": "still runs",
}
_NAMED = 3
_COUNTED = ("passed", "reused", "failed", "interrupted", "skipped")


def failure_place(failure: Failure) -> str:
    """`cell 7, line 3`, or the part of it that is known."""
    parts = []
    if failure.cell is not None:
        parts.append(f"cell {failure.cell}")
    if failure.line is not None:
        parts.append(f"line {failure.line}")
    return ", ".join(parts)


def failure_cause(failure: Failure) -> str:
    """The message in one line, cut at LONGEST_CAUSE; the traceback has the rest."""
    cause = one_line(_message_and_output(failure)[0])
    error = one_line(failure.error or "")
    # An error is often the bare name of the exception, with which the message begins.
    if " " in error and error not in cause:
        cause = f"{cause} ({error})"
    if len(cause) > LONGEST_CAUSE:
        return f"{cause[:LONGEST_CAUSE]}…"
    return cause


def _message_and_output(failure: Failure) -> tuple[str, str]:
    """The message, and the output of a shell command that failed."""
    # `inkernel.failures` puts a command's output below the message, so that both are recorded.
    if failure.error != "ShellError":
        return failure.message, ""
    message, _, output = failure.message.partition("\n")
    return message, output


def failed_word(failure: Failure) -> str:
    """`FAILED`, or `INTERRUPTED` for a step that was stopped."""
    if failure.kind == "interrupted":
        return "INTERRUPTED"
    return "FAILED"


def failure_headline(failure: Failure) -> str:
    """`cell 7, line 3: ValueError: no such column`."""
    parts = (failure_place(failure), failure_cause(failure))
    return ": ".join(filter(None, parts))


def traceback_lines(failure: Failure) -> list[str]:
    """The end of the traceback and of the kernel's own log."""
    lines = _tail(failure.traceback)
    # A kernel that died leaves no traceback: its own log is all that is known.
    if failure.log:
        lines += ["the kernel's own log:", *_tail(failure.log)]
    return lines


def _tail(text: str | None) -> list[str]:
    """The last TRACEBACK_LINES lines, and how many are left out before them."""
    # A progress bar would leave the log as one line of all its states.
    text = (text or "").replace("\r", "\n").replace("\b", "")
    shown = without_controls(text).rstrip()
    if not shown:
        return []

    lines = shown.split("\n")
    left_out = len(lines) - TRACEBACK_LINES
    last = [*map(_shorten, lines[-TRACEBACK_LINES:])]
    if left_out > 0:
        last.insert(0, f"... {counted(left_out, 'line')} left out ...")
    return last


def _shorten(line: str) -> str:
    left_out = len(line) - LONGEST_PRINTED
    if left_out <= 0:
        return line
    return f"{line[:LONGEST_PRINTED]}… ({counted(left_out, 'more character')})"


def ended_words(record: StepRecord) -> str:
    """`passed in 3.2 s`, `reused from run 7`, `skipped: train failed`."""
    if record.result == "passed":
        return _passed_words(record)

    # The outcome of a step that was stopped is "interrupted", whatever its result.
    words = "FAILED"
    if record.outcome in ("skipped", "interrupted"):
        words = record.outcome
    elif record.result == "reused":
        words = "reused"
        if record.run:
            words += f" from run {record.run}"
    if record.reason:
        words += f": {one_line(record.reason)}"
    return words


def _passed_words(record: StepRecord) -> str:
    words = "passed"
    # Said aloud: a step that passes only now and then should not look like one that always does.
    if len(record.attempts) > 1:
        words += f" at attempt {len(record.attempts)}"
    if record.seconds is not None:
        words += f" in {duration(record.seconds)}"
    return words


def failure_lines(
    step: StepRecord,
    *,
    plan: Plan | None = None,
    tail: Sequence[str] = (),
    run_folder: Path | None = None,
) -> list[str]:
    """A failed step: its failure as a table, and what it printed last.

    `plan` has the notebook and the source line; `run_folder` the rest of lines that are cut.
    """
    failure = step.failure
    if failure is None:
        # It failed before an attempt was made, as when two steps changed the same value.
        reason = one_line(step.reason or "no reason is recorded")
        return [f"FAILED {step.name}", f"  {reason}"]

    lines = [f"{failed_word(failure)} {step.name}"]
    lines += indented(table(_failure_rows(failure, plan, step.name)))
    if tail:
        lines += ["  printed last", *indented(map(_shorten, tail), "    | ")]
    if run_folder is not None and max(map(len, tail), default=0) > LONGEST_PRINTED:
        lines.append(f"    all of it is in {run_folder / 'steps' / step.name / 'notebook.ipynb'}")
    return lines


def _failure_rows(failure: Failure, plan: Plan | None, step: str) -> Iterator[tuple[str, str]]:
    """The rows of the table, name and text: place, error, output, hint."""
    planned = _planned_step(plan, step)
    if planned is not None:
        yield "notebook", planned.notebook
    if failure.cell is not None:
        yield f"cell {failure.cell}", one_line(failure.first_line or "")
    if failure.line is not None:
        yield f"line {failure.line}", _source_line(planned, failure)
    yield "error", failure_cause(failure)

    output = one_line(_message_and_output(failure)[1])
    if len(output) > LONGEST_CAUSE:
        # Its end: a command says last what it failed of.
        output = f"…{output[-LONGEST_CAUSE:]}"
    if output:
        yield "output", output
    if failure.hint:
        yield "hint", one_line(failure.hint)


def run_failure_lines(failure: Failure) -> list[str]:
    """A failure of the run, such as of the disk, that is none of a step."""
    rows = [("error", failure_cause(failure))]
    if failure.hint:
        rows.append(("hint", one_line(failure.hint)))
    return ["FAILED the run", *indented(table(rows))]


def _planned_step(plan: Plan | None, name: str) -> PlannedStep | None:
    if plan is None:
        return None
    return plan.step(name)


def _source_line(step: PlannedStep | None, failure: Failure) -> str:
    """The line as the plan has it: the file may have changed while the step ran."""
    if step is None:
        return ""
    index = (failure.line or 1) - 1
    for cell in step.cells:
        lines = cell.source.split("\n")
        if cell.number == failure.cell and index < len(lines):
            return one_line(lines[index])
    return ""


def metric_lines(record: RunRecord) -> list[str]:
    """The metrics by their full names, aligned; with several seeds, the band of each."""
    if not record.metrics:
        return []
    seeds = record.seeds or NO_SEEDS
    rows = [("metric", "value", seeds.heading)]
    for name, value in record.metrics.items():
        rows.append((one_line(name), number(value), seeds.band(name)))
    return table(rows, right=frozenset({1, 2}))


def result_line(record: RunRecord) -> str:
    """`digits passed in 12 s: 4 passed, 1 reused; gates passed`."""
    line = f"{record.pipeline} {_RESULTS[record.outcome]}"
    if record.seconds is not None:
        line += f" in {duration(record.seconds)}"
    counts = _counts(record)
    if counts:
        line += f": {counts}"
    return line + _audits_word(record) + gates_word(record.verdict)


def _audits_word(record: RunRecord) -> str:
    """`; 3 audited, other results: train`; empty where none was to be audited."""
    names = audited_steps(record.steps)
    if not names:
        return ""
    unchecked = names.pop(None, [])
    word = f"; {sum(map(len, names.values()))} audited"
    if "different" in names:
        word += f", other results: {listed(names['different'], _NAMED)}"
    if unchecked:
        word += f", not checked: {listed(unchecked, _NAMED)}"
    return word


def _counts(record: RunRecord) -> str:
    """`4 passed, 1 reused`."""
    counts: Counter[str] = Counter()
    for step in record.steps:
        # Nothing runs any more: a step whose end was never recorded was cut short.
        counts["failed" if step.result == "running" else step.outcome] += 1
    return ", ".join(f"{counts[word]} {word}" for word in _COUNTED if counts[word])


def summary_lines(record: RunRecord, progress: RunProgress, runs_folder: Path) -> list[str]:
    """The summary of a run; its last lines are the commands to go on with."""
    folder = runs_folder / record.run
    blocks = [metric_lines(record), verdict_lines(record.verdict)]
    for step in record.steps:
        if step.result == "failed":
            tail = tuple(progress.step(step.name).tail)
            blocks.append(failure_lines(step, plan=progress.plan, tail=tail, run_folder=folder))
    if record.failure is not None:
        blocks.append(run_failure_lines(record.failure))

    lines = [""]
    for block in blocks:
        if block:
            lines += [*block, ""]
    lines += [
        result_line(record),
        f"  record: {folder}",
        f"  page:   {folder / 'report' / 'index.html'}",
    ]
    if record.result in {"failed", "interrupted"}:
        lines.append(f"  go on where it stopped:  nbci run --resume {record.run}")
        # A resumed run has the plan of the first: an edited notebook needs a new one.
        lines.append(f"  after editing a source:  {_command_from_start(record)}")
    return lines


def _command_from_start(record: RunRecord) -> str:
    """The command that starts the same run from its beginning."""
    is_run = record.command[:2] == ("nbci", "run")
    # argparse takes any beginning of an option for it: --res is --resume.
    resumes = any(word.startswith("--res") for word in record.command)
    if is_run and not resumes:
        return shlex.join(record.command)
    # `nbci finish` or a resumed run: neither names what was run.
    return shlex.join(("nbci", "run", record.target))
