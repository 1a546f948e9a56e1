"""Write `summary.md`: the run for a pull request's comment, at most 60 kB.

Its sections are in the order of a reviewer's questions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.durations import duration, moment
from nbci.formatting.numbers import measured, number
from nbci.formatting.text import as_json, last_part, short_line
from nbci.pipeline.metric_names import short_name, step_of
from nbci.report.data.change_wording import cell_title, describe_metric_change, group_by_cell
from nbci.report.data.wording import (
    commit,
    gate_rows,
    headline,
    metric_changes,
    outcome,
    run_again,
    warnings,
)
from nbci.report.markdown import bullets, code, details, fenced, image, link, prose, section, table
from nbci.report.pages.answers import answer_questions
from nbci.report.pages.failure import failed_place, last_output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.plan.compare import DataChange, RunDifference
    from nbci.records.run_record import RunRecord
    from nbci.report.charts import Figure
    from nbci.report.data.material import Material
    from nbci.report.data.view import ShownStep
    from nbci.report.pages.answers import Answer

LIMIT_BYTES = 60_000
_ROWS = 100
_FAILURES = 5
_POINTS = 8
_CELLS = 30
_FIGURES = 6
_DIFF_BYTES = 4_000
_SIGNS = {
    "passed": "✅",
    "failed": "❌",
    "reused": "♻️",
    "skipped": "⏭️",
    "running": "⏳",
    "waiting": "⏸️",
    "interrupted": "🛑",
    "refused": "❌",
    "warned": "⚠️",
    "overridden": "⚠️",
    "left out": "⏭️",
}
_ANSWERED = {"good": "✅", "bad": "❌", "look": "⚠️", "plain": "🔹"}
_KINDS = {"added": "🆕", "removed": "🗑️", "changed": "✏️"}


def summary(
    material: Material,
    steps: Sequence[ShownStep],
    figures: Sequence[Figure] = (),
    *,
    links: Mapping[str, str] | None = None,
) -> bytes:
    """Return the summary, verdict first; what does not fit is cut at the end, with a note.

    `links`: words and addresses.

    The figures are shown where the report has an address: a comment has no files beside it.
    """
    record = material.run.record
    failed = [step for step in steps if step.record.outcome == "failed"]
    difference = material.baseline.difference if material.baseline else None
    blocks = [
        f"## {_SIGNS[headline(record)]} {prose(record.pipeline)}: {headline(record)}",
        prose(outcome(record, steps)),
        " · ".join(link(words, address) for words, address in (links or {}).items()),
        f"**What to do:** {prose(record.failure.hint)}"
        if record.failure and record.failure.hint
        else "",
        *(_answer(answer) for answer in answer_questions(material, steps)),
        *(_failure(step) for step in failed[:_FAILURES]),
        section("Gates", _gates(record)),
        section("Metrics", _metrics(material)),
        section("Charts", "\n\n".join(_charts(material.url, figures))),
        *(_changes(difference) if difference is not None else ()),
        section("Steps", _steps(steps)),
        section("Warnings", bullets(warnings(record, material.run.plan, steps), _ROWS)),
        section("Parameters", _parameters(record)),
        section("Run this again", fenced(run_again(record), "sh")),
        _about(record),
    ]
    return _within_limit([block for block in blocks if block])


def _answer(answer: Answer) -> str:
    said = f"**{prose(answer.question)}** {_ANSWERED[answer.sign]} {prose(answer.sentence)}"
    points = [point.text for point in answer.points]
    return f"{said}\n\n{bullets(points, _POINTS)}" if points else said


def _failure(step: ShownStep) -> str:
    failure = step.failure
    title = f"### Step {code(step.record.name)} failed"
    if failure is None:
        return title
    said = last_output(step)
    where = failed_place(failure)
    parts = (
        title,
        prose(failure.message),
        f"In {code(where)}" if where else "",
        f"**What to do:** {prose(failure.hint)}" if failure.hint else "",
        fenced(last_part(failure.traceback or failure.error or "", 4_000))
        if failure.traceback or failure.error
        else "",
        f"Last output of the cell:\n\n{fenced(last_part(said, 1_500))}" if said else "",
        f"End of the kernel's log:\n\n{fenced(last_part(failure.log, 1_500))}"
        if failure.log
        else "",
    )
    return "\n\n".join(part for part in parts if part)


def _gates(record: RunRecord) -> str:
    rows = [
        (
            code(title),
            code(asked),
            prose(found),
            prose(compared),
            f"{_SIGNS[answer]} {answer}",
            prose(reason),
        )
        for title, asked, found, compared, answer, reason in gate_rows(record.verdict)
    ]
    return table(("Gate", "Asked", "Found", "Baseline", "Verdict", "Reason"), rows, _ROWS)


def _metrics(material: Material) -> str:
    is_compared = material.baseline is not None
    better = {True: "🟢 ", False: "🔴 ", None: ""}
    rows = [
        (
            code(short_name(change.name)),
            f"**{prose('—' if change.after is None else measured(change.after, change.unit))}**",
            *(
                (
                    prose("—" if change.before is None else number(change.before)),
                    better[change.better] + prose(describe_metric_change(change)),
                )
                if is_compared
                else ()
            ),
            {"up": "higher is better", "down": "lower is better"}.get(change.direction or "", ""),
            code(step_of(change.name) or ""),
        )
        for change in metric_changes(material)
    ]
    heads = ("Metric", "Value", *(("Baseline", "Change") if is_compared else ()), "Meaning", "Step")
    return table(heads, rows, _ROWS)


def _charts(url: str | None, figures: Sequence[Figure]) -> Iterator[str]:
    if url is None:
        return
    for figure in [figure for figure in figures if figure.path][:_FIGURES]:
        name = f"{figure.step}: {figure.title}" if figure.step else figure.title
        address = f"{url.rstrip('/')}/{figure.path}"
        yield f"{prose(name)}\n\n{image(figure.alt or figure.title, address)}"


def _changes(found: RunDifference) -> Iterator[str]:
    """Folded: the answers above say it in short."""
    cells = group_by_cell(found.code)
    if cells:
        shown = [
            f"{code(cell_title(change, steps))}\n\n{fenced(last_part(chr(10).join(change.diff), _DIFF_BYTES), 'diff')}"
            for change, steps in cells[:_CELLS]
        ]
        more = [f"… and {len(cells) - _CELLS} more"] if len(cells) > _CELLS else []
        yield details(f"Code: {len(cells)} changed", "\n\n".join([*shown, *more]))
    others = [
        (change.name, change.before, change.after) for change in (*found.params, *found.environment)
    ]
    if others:
        rows = [
            (code(name), code(_value(before), 150), code(_value(after), 150))
            for name, before, after in others
        ]
        yield details(
            f"Parameters and packages: {len(rows)} changed",
            table(("Name", "Before", "Now"), rows, _ROWS),
        )
    if found.data:
        files = [_data_row(change) for change in found.data]
        yield details(
            f"Files: {len(files)} changed",
            table(("Path", "Was", "What", "Files in it"), files, _ROWS),
        )


def _value(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else as_json(value)


def _data_row(change: DataChange) -> tuple[str, ...]:
    role = "read" if change.role == "in" else "written"
    counts = [
        f"{len(names)} {word}"
        for word, names in (
            ("added", change.added),
            ("removed", change.removed),
            ("changed", change.changed),
        )
        if names
    ]
    return code(change.path), role, f"{_KINDS[change.kind]} {change.kind}", ", ".join(counts)


def _steps(steps: Sequence[ShownStep]) -> str:
    # Failures first: where the table is cut, they are what must not be missing.
    ordered = (
        sorted(steps, key=lambda step: step.record.result != "failed")
        if len(steps) > _ROWS
        else steps
    )
    rows = [
        (
            code(step.record.name),
            f"{_SIGNS[step.word]} {step.word}",
            duration(step.record.seconds),
            str(len(step.record.attempts) or ""),
            prose(short_line(step.record.reason or "", 200)),
        )
        for step in ordered
    ]
    return table(("Step", "Result", "Took", "Attempts", "Why"), rows, _ROWS)


def _parameters(record: RunRecord) -> str:
    rows = [
        (code(value.name), code(as_json(value.value), 150), prose(short_line(value.source)))
        for value in record.params
    ]
    return table(("Name", "Value", "From"), rows, _ROWS)


def _about(record: RunRecord) -> str:
    said = commit(record)
    parts = [
        f"Run {code(record.run)} of {code(record.target)}",
        f"started {moment(record.started_utc)}" if record.started_utc else "",
        f"commit {prose(said)}" if said else "",
        f"nbci {prose(record.nbci)}",
    ]
    return ", ".join(part for part in parts if part)


def _within_limit(blocks: Sequence[str]) -> bytes:
    note = "_The rest is left out here; `index.html` of the report has it all._"
    kept: list[str] = []
    left = LIMIT_BYTES - len(note) - 2
    for block in blocks:
        left -= len(block.encode()) + 2
        if left < 0:
            kept.append(note)
            break
        kept.append(block)
    return ("\n\n".join(kept) + "\n").encode()
