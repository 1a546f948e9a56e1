"""Answer a reviewer's first questions from the record.

May the run be released, what changed, and can the run be trusted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nbci.formatting.numbers import counted, listed, measured, number, rough
from nbci.formatting.text import short_line
from nbci.pipeline.metric_names import short_name
from nbci.report.data.wording import warnings
from nbci.report.pages.changes import has_new_input, has_new_result, in_words, kinds, moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.plan.compare import MetricChange
    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import GateResult, Verdict
    from nbci.report.data.material import Baseline, Material
    from nbci.report.data.view import ShownStep

Sign = Literal["good", "bad", "look", "plain"]
_NAMED = 4
_BETTER: dict[bool | None, Sign] = {True: "good", False: "look", None: "plain"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One reason; `anchor` is the part of the page that says more."""

    text: str
    sign: Sign = "plain"
    anchor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A question with its answer in a sentence, and what it rests on."""

    question: str
    said: str
    sign: Sign
    points: tuple[Point, ...] = ()


def answers(material: Material, steps: Sequence[ShownStep]) -> tuple[Answer, ...]:
    """The three questions in order."""
    return _may_go_out(material), _changed(material), _trust(material, steps)


def _may_go_out(material: Material) -> Answer:
    record, plan = material.run.record, material.run.plan
    question = "May it go out?"
    if record.result != "passed":
        said = {"failed": "No, the run failed", "interrupted": "No, the run was interrupted"}.get(
            record.result
        )
        return Answer(
            question=question,
            said=said or "Not yet, the run goes on",
            sign="bad" if said else "look",
        )
    promoted = tuple(
        Point(
            text=f"{it.model}@{it.version} was made of it"
            + (f" and is in {it.stage}" if it.stage else ""),
            sign="good",
        )
        for it in material.releases
    )
    verdict = record.verdict
    if verdict is None or not verdict.gates:
        why = (
            "steps were left out, so no gate judged it"
            if plan.leaves_out and plan.gates
            else "no gate asks anything of it"
        )
        return Answer(question=question, said=f"Not judged: {why}", sign="look", points=promoted)
    return _judged(question, verdict, promoted)


def _judged(question: str, verdict: Verdict, promoted: tuple[Point, ...]) -> Answer:
    refusing = [gate for gate in verdict.gates if gate.refuses]
    warning = [gate for gate in verdict.gates if gate.answer in ("warned", "overridden")]
    total = counted(len(verdict.gates), "gate")
    points = [_gate(gate, "bad") for gate in refusing] + [_gate(gate, "look") for gate in warning]
    if refusing:
        said = (
            f"No, {len(refusing)} of {total} refused it"
            if len(verdict.gates) > 1
            else "No, its gate refused it"
        )
        return Answer(question=question, said=said, sign="bad", points=(*points, *promoted))
    tightest = _tightest(verdict.gates)
    if tightest is not None and not points:
        points.append(tightest)
    if warning:
        said = f"Yes, but {len(warning)} of {total} warned or was overridden"
        return Answer(question=question, said=said, sign="look", points=(*points, *promoted))
    said = f"Yes, {total} let it pass"
    return Answer(question=question, said=said, sign="good", points=(*points, *promoted))


def _gate(gate: GateResult, sign: Sign) -> Point:
    found = "" if gate.found is None else f"{measured(gate.found, gate.unit)} found, "
    why = (
        f"overridden by {gate.override.by}: {gate.override.reason}"
        if gate.override
        else gate.reason
    )
    return Point(text=f"{gate.title} {gate.asked}: {found}{why}", sign=sign, anchor="gates")


def _tightest(gates: Sequence[GateResult]) -> Point | None:
    """Return the gate with the least room, in its metric's own unit.

    Only where all gates with a bound are on one metric: room in different units cannot be compared.
    """
    bounded = [gate for gate in gates if gate.margin is not None and math.isfinite(gate.margin)]
    if not bounded or len({gate.metric for gate in bounded}) > 1:
        return None
    gate = min(bounded, key=lambda gate: gate.margin or 0.0)
    return Point(
        text=f"the closest: {gate.title} {gate.asked}, {rough(gate.margin or 0.0)} to spare",
        anchor="gates",
    )


def _changed(material: Material) -> Answer:
    question, baseline = "What changed?", material.baseline
    if baseline is None:
        return Answer(question=question, said=f"Not compared: {material.no_baseline}", sign="plain")
    inputs = [Point(text=line, anchor="changes") for line in in_words(baseline.difference)]
    results = _results(baseline, is_whole=material.run.record.result == "passed")
    if not inputs and not has_new_result(baseline.difference):
        return Answer(question=question, said="Nothing", sign="plain", points=(_since(baseline),))
    said = kinds(baseline.difference) or "Nothing but the results"
    return Answer(
        question=question, said=said, sign="plain", points=(*inputs, *results, _since(baseline))
    )


def _since(baseline: Baseline) -> Point:
    return Point(text=f"since {baseline.title}", anchor="changes")


def _results(baseline: Baseline, *, is_whole: bool) -> Iterator[Point]:
    """The metrics that moved: what got worse first, then what got better.

    Only a whole run can lack one.
    """
    found = baseline.difference.metrics
    changes = [
        change
        for change in found
        if moved(change) != "the same" and (is_whole or change.after is not None)
    ]
    order = {False: 0, True: 1, None: 2}
    changes.sort(key=lambda change: order[change.better])
    for change in changes[:_NAMED]:
        yield Point(text=_moved(change), sign=_BETTER[change.better], anchor="metrics")
    if len(changes) > _NAMED:
        yield Point(text=f"and {counted(len(changes) - _NAMED, 'more metric')}", anchor="metrics")


def _moved(change: MetricChange) -> str:
    old = "—" if change.before is None else number(change.before)
    new = "—" if change.after is None else measured(change.after, change.unit)
    return f"{short_line(short_name(change.name))} {old} → {new} ({moved(change)})"


def _trust(material: Material, steps: Sequence[ShownStep]) -> Answer:
    record = material.run.record
    doubts = [*_doubts(material, steps)]
    points = (*doubts, *_assurances(record, steps))
    said = (
        "Nothing speaks against it"
        if not doubts
        else f"{counted(len(doubts), 'reason')} to look twice"
    )
    return Answer(
        question="Can I trust the run?", said=said, sign="look" if doubts else "good", points=points
    )


def _doubts(material: Material, steps: Sequence[ShownStep]) -> Iterator[Point]:
    record, baseline = material.run.record, material.baseline
    if record.git is None or record.git.commit is None:
        yield Point(
            text="it was made from files that are in no commit", sign="look", anchor="about"
        )
    elif record.git.dirty:
        yield Point(
            text="the working tree held changes that are in no commit", sign="look", anchor="again"
        )
    if (
        baseline is not None
        and not has_new_input(baseline.difference)
        and has_new_result(baseline.difference)
    ):
        text = "the results differ from the baseline's though code, data, parameters and packages are the same"
        yield Point(text=text, sign="look", anchor="changes")
    odd = [name for name, value in record.metrics.items() if not math.isfinite(value)]
    if odd:
        yield Point(text=f"no number: {_some(map(short_name, odd))}", sign="look", anchor="metrics")
    left_out = [step.record.name for step in steps if step.record.result == "skipped"]
    if left_out and record.result == "passed":
        yield Point(
            text=f"{counted(len(left_out), 'step')} did not run: {_some(left_out)}",
            sign="look",
            anchor="steps",
        )
    again = [step.record.name for step in steps if len(step.record.attempts) > 1]
    if again:
        yield Point(
            text=f"needed more than one attempt: {_some(again)}", sign="look", anchor="steps"
        )
    hosts = {
        part.label for step in steps for part in step.record.observed if part.kind == "network"
    }
    if hosts:
        yield Point(
            text=f"steps used the network: {_some(sorted(hosts))}", sign="look", anchor="steps"
        )
    if found := warnings(record, material.run.plan, steps):
        yield Point(text=counted(len(found), "warning"), sign="look", anchor="warnings")
    if record.verdict is not None and record.verdict.overrides:
        text = f"{counted(len(record.verdict.overrides), 'gate')} overridden"
        yield Point(text=text, sign="look", anchor="gates")


def _assurances(record: RunRecord, steps: Sequence[ShownStep]) -> Iterator[Point]:
    git = record.git
    if git is not None and git.commit is not None and not git.dirty:
        yield Point(
            text=f"made from commit {git.commit[:10]}, with nothing uncommitted",
            sign="good",
            anchor="again",
        )
    ran = sum(step.record.result in ("passed", "failed") for step in steps)
    reused = [step for step in steps if step.record.result == "reused"]
    if reused:
        runs = {step.record.run for step in reused}
        of = f"of run {runs.pop()}" if len(runs) == 1 else f"of {counted(len(runs), 'run')}"
        text = f"{counted(ran, 'step')} ran; {len(reused):,} reused the results {of}, made from the same inputs"
        yield Point(text=text, sign="good", anchor="steps")
    elif ran:
        every = "all " if ran > 1 and ran == len(steps) else ""
        yield Point(text=f"{every}{counted(ran, 'step')} ran anew", sign="good", anchor="steps")


def _some(names: Iterable[str]) -> str:
    return listed([short_line(name) for name in names], _NAMED)
