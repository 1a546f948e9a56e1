"""What a build's page in a CI shows: page.json, from the material of the report.

The file is bounded whatever the run is: each list has its share of it, and says what is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted, measured, measured_or_dash, rough
from nbci.formatting.text import clean, last_part, short_line, without_ansi
from nbci.pipeline.metric_names import short_name, step_of
from nbci.records.page import (
    FORMAT,
    BuildPage,
    PageBadge,
    PageFailure,
    PageGate,
    PageMetric,
    PageRelease,
    PageStep,
)
from nbci.report.charts.plain_graph import plain_graph
from nbci.report.charts.step_graph import graph_of
from nbci.report.data.change_wording import direction_of, moved_by
from nbci.report.data.wording import (
    commit_text,
    full_outcome,
    headline,
    judged_first,
    judged_metrics,
    metric_changes,
    warnings,
)
from nbci.report.pages.failure import exact_place, failed_place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbci.plan.compare import MetricChange
    from nbci.records.page import GateWord, PageEnding, PageGraph, PageModel, PageParameter
    from nbci.records.run_record import Failure, RunRecord
    from nbci.records.verdict import GateResult
    from nbci.report.data.material import Material
    from nbci.report.data.view import ShownStep
    from nbci.secrets import Mask

# A controller keeps such a file for each of its builds, and reads it for each of its pages.
LIMIT_BYTES = 500_000
_SHARES = {
    "failure": (10, 100_000),
    "gate": (100, 60_000),
    "metric": (200, 60_000),
    "step": (500, 100_000),
    "model": (50, 10_000),
    "parameter": (100, 40_000),
    "warning": (50, 15_000),
}
"""How many there are of each at most, and in how many bytes."""
_GRAPH_BYTES = 90_000
_MESSAGE_LENGTH = 1_000
_TRACEBACK_BYTES = 4_000
_NAME_LENGTH = 150
_TEXT_LENGTH = 500
_NOTE_LENGTH = 200
_BADGE_LENGTH = 40
_COMMIT_DIGITS = 7
_REPORT = "index.html"
_GATE_WORDS: dict[str, GateWord] = {
    "passed": "passed",
    "failed": "refused",
    "warned": "warned",
    "overridden": "overridden",
    "left out": "skipped",
}
_BADGE_KINDS: dict[str, Literal["good", "bad", "plain"]] = {
    "passed": "good",
    "refused": "bad",
    "failed": "bad",
}

_ARROWS = {True: " ▲", False: " ▼"}

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class AroundRun:
    """What a page shows beside the run itself."""

    ending: PageEnding
    description: str
    models: Sequence[PageModel] = ()
    parameters: Sequence[PageParameter] = ()


def build_page(
    material: Material, steps: Sequence[ShownStep], around: AroundRun, mask: Mask
) -> BuildPage:
    """The page of a run that has ended."""
    texts, left_out = _Texts(mask), _LeftOut()
    record, ending = material.run.record, around.ending
    return BuildPage(
        format=FORMAT,
        run=texts.name(record.run),
        pipeline=texts.name(record.pipeline),
        target=texts.line(record.target),
        nbci=texts.name(record.nbci),
        result=record.outcome,
        headline=texts.line(full_outcome(record, steps)),
        ending=replace(ending, message=texts.line(ending.message, _MESSAGE_LENGTH)),
        description=texts.line(around.description),
        started_utc=record.started_utc,
        took=duration(record.seconds) or None,
        commit=texts.line(commit_text(record, length=_COMMIT_DIGITS) or ""),
        report=_REPORT,
        badge=_badge(material, texts),
        failures=left_out.fit("failure", _failures(record, steps), texts.failure),
        gates=left_out.fit("gate", _gates(record), texts.gate),
        metrics=left_out.fit("metric", _metrics(material), texts.metric(record)),
        steps=left_out.fit("step", _steps(steps), texts.step),
        graph=_graph(steps, texts, left_out),
        models=left_out.fit("model", around.models, texts.model),
        release=_release(material, texts),
        parameters=left_out.fit("parameter", around.parameters, texts.parameter),
        warnings=left_out.fit("warning", _warnings(material, steps), texts.line),
        # The last one: what is above adds to it.
        left_out=tuple(left_out.notes),
    )


def page_json(page: BuildPage) -> bytes:
    """The page as JSON that every reader takes: it has no NaN."""
    return msgspec.json.encode(page) + b"\n"


class _LeftOut:
    """Cuts lists to their share of the file, and says what is left out."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def fit(self, noun: str, items: Sequence[S], make: Callable[[S], T]) -> tuple[T, ...]:
        most, left_bytes = _SHARES[noun]
        kept: list[T] = []
        for item in items[:most]:
            made = make(item)
            # A comma follows it in the list.
            left_bytes -= len(msgspec.json.encode(made)) + 1
            if left_bytes < 0:
                break
            kept.append(made)
        if len(kept) < len(items):
            missing = len(items) - len(kept)
            self.notes.append(f"{missing:,} of {counted(len(items), noun)} are not listed here")
        return tuple(kept)


# ------------------------------------------------------------------------------------ the parts
def _failures(
    record: RunRecord, steps: Sequence[ShownStep]
) -> list[tuple[ShownStep | None, Failure]]:
    """The failure of the whole run, then those of its steps; one that was stopped did not fail."""
    found: list[tuple[ShownStep | None, Failure]] = []
    if record.failure is not None:
        found.append((None, record.failure))
    for step in steps:
        if step.failure is not None and step.word == "failed":
            found.append((step, step.failure))
    return found


def _gates(record: RunRecord) -> Sequence[GateResult]:
    if record.verdict is None:
        return ()
    # Where the list is cut, what refused must not be missing.
    return sorted(record.verdict.gates, key=lambda gate: not gate.refuses)


def _metrics(material: Material) -> list[MetricChange]:
    """The metrics of the run: first those that gates judged, then those that got worse."""
    changes = [change for change in metric_changes(material) if change.after is not None]
    return judged_first(material.run.record, changes)


def _steps(steps: Sequence[ShownStep]) -> Sequence[ShownStep]:
    most, _ = _SHARES["step"]
    if len(steps) <= most:
        return steps
    # Where the list is cut, failures must not be missing.
    return sorted(steps, key=lambda step: step.record.result != "failed")


def _graph(steps: Sequence[ShownStep], texts: _Texts, left_out: _LeftOut) -> PageGraph | None:
    graph = graph_of(steps)
    if graph is None:
        return None
    plain = plain_graph(graph, texts.line)
    if len(msgspec.json.encode(plain)) > _GRAPH_BYTES:
        left_out.notes.append(f"the graph of {counted(len(steps), 'step')} is not drawn here")
        return None
    return plain


def _release(material: Material, texts: _Texts) -> PageRelease | None:
    if not material.releases:
        return None
    # The newest, where a run was promoted more than once.
    release = material.releases[-1]
    return PageRelease(model=texts.name(release.model), version=texts.name(release.version))


def _warnings(material: Material, steps: Sequence[ShownStep]) -> list[str]:
    """The warnings, and what could not be had for the report."""
    return [*warnings(material.run.record, material.run.plan, steps), *material.problems]


def _badge(material: Material, texts: _Texts) -> PageBadge:
    record = material.run.record
    text: str = record.outcome
    kind = _BADGE_KINDS.get(headline(record), "plain")
    if record.outcome == "failed":
        failed = [step.name for step in record.steps if step.outcome == "failed"]
        text = ": ".join([text, *failed[:1]])
    elif record.outcome == "passed":
        text = _badge_of_metric(material) or text
    return PageBadge(text=texts.line(text, _BADGE_LENGTH), kind=kind)


def _badge_of_metric(material: Material) -> str | None:
    """The metric that counts most, and which way it went; None where no metric counts."""
    judged = judged_metrics(material.run.record)
    for change in _metrics(material):
        if change.after is None or not (change.name in judged or change.direction):
            continue
        value = f" {rough(change.after)}"
        if change.difference and not math.isnan(change.difference):
            value += _ARROWS[change.difference > 0]
        name = short_line(short_name(change.name), _BADGE_LENGTH - len(value))
        return f"{name}{value}"
    return None


# ------------------------------------------------------------------------------------ its texts
@dataclass(frozen=True, slots=True)
class _Texts:
    """Makes what is shown: masked before it is cut, since half a secret is not recognised."""

    mask: Mask

    def line(self, text: str, limit: int = _TEXT_LENGTH) -> str:
        return short_line(clean(without_ansi(self.mask.text(text))), limit)

    def name(self, text: str) -> str:
        return self.line(text, _NAME_LENGTH)

    def failure(self, failed: tuple[ShownStep | None, Failure]) -> PageFailure:
        step, failure = failed
        name, link = "", f"{_REPORT}#failure"
        place = failed_place(failure)
        if step is not None:
            name, link = step.record.name, step.failure_page or ""
            place = exact_place(step, failure)
        traceback = self.mask.text(failure.traceback or failure.error or "")
        return PageFailure(
            step=self.name(name),
            message=self.line(failure.message, _MESSAGE_LENGTH),
            place=self.line(place, _NOTE_LENGTH),
            traceback=last_part(without_ansi(traceback), _TRACEBACK_BYTES),
            hint=self.line(failure.hint or ""),
            link=link,
        )

    def gate(self, gate: GateResult) -> PageGate:
        step = None
        if gate.metric is not None:
            step = step_of(gate.metric)
        elif gate.cases is not None:
            step = gate.cases.step
        value, margin = "", ""
        if gate.found is not None:
            value = measured(gate.found, gate.unit)
        if gate.margin is not None and math.isfinite(gate.margin):
            margin = f"by {rough(abs(gate.margin))}"
        return PageGate(
            gate=self.line(gate.question, _NOTE_LENGTH),
            step=self.name(step or ""),
            result=_GATE_WORDS[gate.answer],
            value=self.name(value),
            explanation=self.line(gate.explanation),
            margin=margin,
        )

    def metric(self, record: RunRecord) -> Callable[[MetricChange], PageMetric]:
        judged = judged_metrics(record)

        def make(change: MetricChange) -> PageMetric:
            number = change.after
            if number is not None and not math.isfinite(number):
                number = None
            return PageMetric(
                name=self.line(change.name, 2 * _NAME_LENGTH),
                short=self.name(short_name(change.name)),
                number=number,
                value=self.name(measured_or_dash(change.after, change.unit)),
                change=moved_by(change),
                direction=direction_of(change),
                judged=change.name in judged,
            )

        return make

    def step(self, step: ShownStep) -> PageStep:
        record = step.record
        note = record.reason or ""
        # Nothing ran for the others in this run, whatever time their records have.
        if record.result in ("passed", "failed"):
            note = duration(record.seconds)
        return PageStep(
            name=self.name(record.name),
            result=step.word,
            note=self.line(note, _NOTE_LENGTH),
            link=step.page or "",
        )

    def model(self, model: PageModel) -> PageModel:
        return replace(model, model=self.name(model.model), stage=self.name(model.stage))

    def parameter(self, parameter: PageParameter) -> PageParameter:
        return replace(
            parameter,
            name=self.name(parameter.name),
            # Not cut: a form would give a part of it back as the value.
            default=clean(self.mask.text(parameter.default)),
            choices=tuple(clean(self.mask.text(choice)) for choice in parameter.choices),
            help=self.line(parameter.help),
        )
