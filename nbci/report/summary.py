"""Write `summary.md`: the run for a pull request's comment, at most 60 kB.

Its sections are in the order of a reviewer's questions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.behaviour.wording import summarise
from nbci.formatting.durations import duration, moment
from nbci.formatting.numbers import and_more, measured_or_dash, number_or_blank
from nbci.formatting.text import as_json, last_part, short_line
from nbci.pipeline.metric_names import short_name, step_of
from nbci.proofs.sentences import latest_proof
from nbci.records.seeds import NO_SEEDS
from nbci.report.data.change_wording import (
    cell_title,
    describe_metric_change,
    files_by_kind,
    group_by_cell,
    recorded_note,
)
from nbci.report.data.wording import (
    commit_text,
    describe_metric,
    gate_descriptions,
    headline,
    metric_changes,
    outcome_sentence,
    run_again,
    subject,
    warnings,
)
from nbci.report.markdown import bullets, code, details, fenced, image, link, prose, section, table
from nbci.report.pages.answers import answer_questions
from nbci.report.pages.failure import failed_place, last_output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.plan.compare import CellChange, Change, DataChange
    from nbci.plan.model import Plan
    from nbci.records.proof import Proof
    from nbci.records.run_record import Failure, RunRecord
    from nbci.report.charts import Figure
    from nbci.report.data.material import Material
    from nbci.report.data.view import ShownStep
    from nbci.report.pages.answers import Answer

LIMIT_BYTES = 60_000
"""GitHub takes comments of 65,536 characters."""
_NOTE_OF_CUT = "_The rest is left out here; `index.html` of the report has it all._"
# So that each section leaves room for the next ones.
_ROWS = 100
_FAILURES = 5
_POINTS = 8
_CELLS = 30
_FIGURES = 6
_DIFF_BYTES = 4_000
_TRACEBACK_BYTES = 4_000
_LOG_BYTES = 1_500
_VALUE_LENGTH = 150
_NOTE_LENGTH = 150
_DESCRIPTION_LENGTH = 300
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
_SIGNS_OF_ANSWERS = {"good": "✅", "bad": "❌", "look": "⚠️", "plain": "🔹"}
_SIGNS_OF_KINDS = {"added": "🆕", "removed": "🗑️", "changed": "✏️"}
_SIGNS_OF_BETTER = {True: "🟢 ", False: "🔴 ", None: ""}
_ROLES = {"in": "read", "out": "written"}


def summary(
    material: Material,
    steps: Sequence[ShownStep],
    figures: Sequence[Figure] = (),
    *,
    links: Mapping[str, str] | None = None,
) -> bytes:
    """Return the summary, verdict first; what does not fit is cut at the end, with a note.

    `links`: words and addresses. The figures are shown where the report has an address: a comment
    has no files beside it.
    """
    record, plan = material.run.record, material.run.plan
    failed = [step for step in steps if step.record.outcome == "failed"]
    blocks = [
        *_heading(material, steps, links or {}),
        *map(_answer, answer_questions(material, steps)),
        *map(_failure, failed[:_FAILURES]),
        section("Gates", _gates(record, plan)),
        _proof(material.proofs),
        section("How it behaves", bullets(list(_behaviour(material)), _POINTS)),
        section("Metrics", _metrics(material)),
        section("Charts", "\n\n".join(_charts(material.url, figures))),
        *_changes(material),
        section("Steps", _steps(steps)),
        section("Warnings", bullets(warnings(record, plan, steps), _ROWS)),
        section("Parameters", _parameters(record)),
        section("Run this again", fenced(run_again(record), "sh")),
        _about(record),
    ]
    return _within_limit(list(filter(None, blocks)))


def _behaviour(material: Material) -> Iterator[str]:
    for behaviour in material.behaviours:
        if behaviour.difference is None:
            yield f"{behaviour.step}: not compared, {behaviour.problem}"
            continue
        cases, *rest = summarise(behaviour.difference)
        if behaviour.on_same_data:
            cases += ", both models on the data of this run"
        yield from (cases, *rest)


def _within_limit(blocks: Sequence[str]) -> bytes:
    kept: list[str] = []
    # The limit is in characters; bytes are never fewer.
    left = LIMIT_BYTES - len(_NOTE_OF_CUT) - 2
    for block in blocks:
        left -= len(block.encode()) + 2
        # Only whole blocks: a table or a fence that is cut spoils all that follows.
        if left < 0:
            kept.append(_NOTE_OF_CUT)
            break
        kept.append(block)
    return ("\n\n".join(kept) + "\n").encode()


# ---------------------------------------------------------------------------------- the verdict
def _heading(
    material: Material, steps: Sequence[ShownStep], links: Mapping[str, str]
) -> Iterator[str]:
    record, description = material.run.record, material.run.plan.description
    result = headline(record)
    yield f"## {_SIGNS[result]} {prose(subject(material))}: {result}"
    yield prose(short_line(description or "", _DESCRIPTION_LENGTH))
    yield prose(outcome_sentence(record, steps))
    yield " · ".join(link(words, address) for words, address in links.items())
    if record.failure:
        yield _hint(record.failure)


def _hint(failure: Failure) -> str:
    if not failure.hint:
        return ""
    return f"**What to do:** {prose(failure.hint)}"


def _answer(answer: Answer) -> str:
    sign = _SIGNS_OF_ANSWERS[answer.sign]
    text = f"**{prose(answer.question)}** {sign} {prose(answer.sentence)}"
    if not answer.points:
        return text
    return f"{text}\n\n{bullets([point.text for point in answer.points], _POINTS)}"


def _proof(proofs: Sequence[Proof]) -> str:
    if not proofs:
        return ""
    sign = _SIGNS_OF_ANSWERS["good"]
    if proofs[0].agreement == "different":
        sign = _SIGNS_OF_ANSWERS["bad"]
    return f"**Does it give the same again?** {sign} {prose(latest_proof(proofs))}"


def _failure(step: ShownStep) -> str:
    failure = step.failure
    title = f"### Step {code(step.record.name)} failed"
    if failure is None:
        return title

    parts = [title, prose(failure.message)]
    place = failed_place(failure)
    if place:
        parts.append(f"In {code(place)}")
    parts.append(_hint(failure))
    # The end is where it failed.
    traceback = failure.traceback or failure.error
    if traceback:
        parts.append(fenced(last_part(traceback, _TRACEBACK_BYTES)))
    parts.append(_quote("Last output of the cell", last_output(step)))
    parts.append(_quote("End of the kernel's log", failure.log))
    return "\n\n".join(filter(None, parts))


def _quote(title: str, text: str | None) -> str:
    if not text:
        return ""
    return f"{title}:\n\n{fenced(last_part(text, _LOG_BYTES))}"


def _gates(record: RunRecord, plan: Plan) -> str:
    if record.verdict is None:
        return ""
    described = gate_descriptions(plan)
    rows = []
    for gate in record.verdict.gates:
        name = code(gate.title)
        if gate.gate in described:
            name += f" {prose(short_line(described[gate.gate], _NOTE_LENGTH))}"
        row = (
            name,
            code(gate.asked),
            prose(number_or_blank(gate.found)),
            prose(number_or_blank(gate.baseline)),
            f"{_SIGNS[gate.answer]} {gate.answer}",
            prose(gate.explanation),
        )
        rows.append(row)
    return table(("Gate", "Asked", "Found", "Baseline", "Verdict", "Reason"), rows, _ROWS)


# ---------------------------------------------------------------------------- beside the baseline
def _metrics(material: Material) -> str:
    """A row for each metric; without a baseline, two columns less."""
    heads = ["Metric", "Value", "Meaning", "Step"]
    if material.baseline is not None:
        heads[2:2] = ["Baseline", "Change"]
    seeds = material.run.record.seeds or NO_SEEDS
    if seeds.bands:
        heads.insert(2, seeds.heading.capitalize())
    rows = []
    for change in metric_changes(material):
        row = [
            code(short_name(change.name)),
            f"**{prose(measured_or_dash(change.after, change.unit))}**",
            prose(short_line(describe_metric(change, material.run.plan), _NOTE_LENGTH)),
            code(step_of(change.name) or ""),
        ]
        if material.baseline is not None:
            sign = _SIGNS_OF_BETTER[change.better]
            difference = prose(describe_metric_change(change))
            before = measured_or_dash(change.before)
            note = recorded_note(change)
            if note is not None:
                before += f" ({note})"
            row[2:2] = [prose(before), sign + difference]
        if seeds.bands:
            row.insert(2, prose(seeds.band(change.name)))
        rows.append(row)
    return table(heads, rows, _ROWS)


def _charts(url: str | None, figures: Sequence[Figure]) -> Iterator[str]:
    if url is None:
        return
    drawn = [figure for figure in figures if figure.path]
    for figure in drawn[:_FIGURES]:
        name = figure.title
        if figure.step:
            name = f"{figure.step}: {figure.title}"
        address = f"{url.rstrip('/')}/{figure.path}"
        yield f"{prose(name)}\n\n{image(figure.alt or figure.title, address)}"


def _changes(material: Material) -> Iterator[str]:
    """Folded: the answers above say it in short."""
    if material.baseline is None:
        return
    found = material.baseline.difference
    yield from _changed_code(found.code)

    values = list(map(_value_row, (*found.params, *found.environment)))
    if values:
        shown = table(("Name", "Before", "Now"), values, _ROWS)
        yield details(f"Parameters and packages: {len(values)} changed", shown)

    files = list(map(_data_row, found.data))
    if files:
        shown = table(("Path", "Was", "What", "Files in it"), files, _ROWS)
        yield details(f"Files: {len(files)} changed", shown)


def _changed_code(changes: Sequence[CellChange]) -> Iterator[str]:
    cells = group_by_cell(changes)
    if not cells:
        return
    parts = []
    for change, steps in cells[:_CELLS]:
        diff = fenced(last_part("\n".join(change.diff), _DIFF_BYTES), "diff")
        parts.append(f"{code(cell_title(change, steps))}\n\n{diff}")
    if len(cells) > _CELLS:
        parts.append(f"…{and_more(len(cells), _CELLS)}")
    yield details(f"Code: {len(cells)} changed", "\n\n".join(parts))


def _value_row(change: Change) -> tuple[str, ...]:
    before, after = _value(change.before), _value(change.after)
    return code(change.name), code(before, _VALUE_LENGTH), code(after, _VALUE_LENGTH)


def _value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return as_json(value)


def _data_row(change: DataChange) -> tuple[str, ...]:
    numbers = [f"{len(names)} {kind}" for kind, names in files_by_kind(change).items()]
    kind = f"{_SIGNS_OF_KINDS[change.kind]} {change.kind}"
    return code(change.path), _ROLES[change.role], kind, ", ".join(numbers)


# -------------------------------------------------------------------------------------- the run
def _steps(steps: Sequence[ShownStep]) -> str:
    # Failures first: where the table is cut, they are what must not be missing.
    if len(steps) > _ROWS:
        steps = sorted(steps, key=lambda step: step.record.result != "failed")
    rows = []
    for step in steps:
        result = f"{_SIGNS[step.word]} {step.word}"
        attempts = str(len(step.record.attempts) or "")
        why = prose(short_line(step.record.reason or "", 200))
        took = duration(step.record.seconds)
        rows.append((code(step.record.name), result, took, attempts, why))
    return table(("Step", "Result", "Took", "Attempts", "Why"), rows, _ROWS)


def _parameters(record: RunRecord) -> str:
    has_help = any(parameter.help for parameter in record.params)
    rows = []
    for parameter in record.params:
        value = code(as_json(parameter.value), _VALUE_LENGTH)
        row = [code(parameter.name), value, prose(short_line(parameter.source))]
        if has_help:
            row.append(prose(short_line(parameter.help or "", _NOTE_LENGTH)))
        rows.append(row)
    heads = ["Name", "Value", "From"]
    if has_help:
        heads.append("Meaning")
    return table(heads, rows, _ROWS)


def _about(record: RunRecord) -> str:
    parts = [f"Run {code(record.run)} of {code(record.target)}"]
    if record.started_utc:
        parts.append(f"started {moment(record.started_utc)}")
    its_commit = commit_text(record)
    if its_commit:
        parts.append(f"commit {prose(its_commit)}")
    if record.because is not None:
        parts.append(f"started {prose(str(record.because))}")
    if record.chosen is not None:
        parts.append(f"chosen as the {prose(record.chosen.sentence)}")
    if record.confirmed is not None:
        parts.append(f"confirmed: {prose(record.confirmed.sentence)}")
    parts.append(f"nbci {prose(record.nbci)}")
    return ", ".join(parts)
