"""Answer a reviewer's first questions from the record.

May the run be released, what changed, and can the run be trusted. The page of the run and
`summary.md` show the same answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nbci.behaviour.wording import outcome_sentence
from nbci.formatting.numbers import counted, listed, measured, measured_or_dash, rough
from nbci.formatting.text import short_line
from nbci.pipeline.metric_names import short_name
from nbci.proofs.audits import audited_steps
from nbci.report.data.change_wording import (
    describe_inputs,
    describe_metric_change,
    has_new_input,
    has_new_result,
    summarize_inputs,
)
from nbci.report.data.wording import warnings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.behaviour.of_runs import StepBehaviour
    from nbci.plan.compare import MetricChange
    from nbci.records.git_state import GitState
    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import GateResult, Verdict
    from nbci.report.data.material import Baseline, Material, Release
    from nbci.report.data.view import ShownStep

Sign = Literal["good", "bad", "look", "plain"]
_NAMED = 4
_SIGN_OF_BETTER: dict[bool | None, Sign] = {True: "good", False: "look", None: "plain"}
_WORST_FIRST: dict[bool | None, int] = {False: 0, True: 1, None: 2}

_MAY_IT_GO_OUT = "May it go out?"
_WHAT_CHANGED = "What changed?"
_CAN_I_TRUST_IT = "Can I trust the run?"
_WITHOUT_PASSING: dict[str, tuple[str, Sign]] = {
    "failed": ("No, the run failed", "bad"),
    "interrupted": ("No, the run was interrupted", "bad"),
    "running": ("Not yet, the run goes on", "look"),
}
"""The answer to the first question by the result of a run that did not pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One reason; `anchor` is the part of the page that says more."""

    text: str
    sign: Sign = "plain"
    anchor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A question with its answer in a sentence, and the reasons for it."""

    question: str
    sentence: str
    sign: Sign
    points: tuple[Point, ...] = ()


def answer_questions(material: Material, steps: Sequence[ShownStep]) -> tuple[Answer, ...]:
    """The three questions in order."""
    return (
        _answer_whether_it_may_go_out(material),
        _answer_what_changed(material),
        _answer_whether_to_trust_it(material, steps),
    )


# ------------------------------------------------------------------------------ may it go out
def _answer_whether_it_may_go_out(material: Material) -> Answer:
    record = material.run.record
    if record.result != "passed":
        sentence, sign = _WITHOUT_PASSING[record.result]
        return Answer(question=_MAY_IT_GO_OUT, sentence=sentence, sign=sign)

    releases = tuple(_release_point(release) for release in material.releases)
    verdict = record.verdict
    if verdict is None or not verdict.gates:
        sentence = f"Not judged: {_why_not_judged(material)}"
        return Answer(question=_MAY_IT_GO_OUT, sentence=sentence, sign="look", points=releases)
    return _answer_of_gates(verdict, releases)


def _release_point(release: Release) -> Point:
    text = f"{release.model}@{release.version} was made of it"
    if release.stage:
        text += f" and is in {release.stage}"
    return Point(text=text, sign="good")


def _why_not_judged(material: Material) -> str:
    plan = material.run.plan
    # Gates judge whole runs only: metrics of the steps that were left out would be missing.
    if plan.leaves_out and plan.gates:
        return "steps were left out, so no gate judged it"
    return "no gate asks anything of it"


def _answer_of_gates(verdict: Verdict, releases: tuple[Point, ...]) -> Answer:
    refusing = verdict.refusing_gates
    warning = [gate for gate in verdict.gates if gate.answer in ("warned", "overridden")]
    total = counted(len(verdict.gates), "gate")

    points = [_gate_point(gate, "bad") for gate in refusing]
    points += [_gate_point(gate, "look") for gate in warning]
    sign: Sign
    if refusing:
        sentence, sign = f"No, {len(refusing)} of {total} refused it", "bad"
        if len(verdict.gates) == 1:
            sentence = "No, its gate refused it"
    elif warning:
        sentence, sign = f"Yes, but {len(warning)} of {total} warned or was overridden", "look"
    else:
        sentence, sign = f"Yes, {total} let it pass", "good"
        points += _closest_gate(verdict.gates)
    return Answer(
        question=_MAY_IT_GO_OUT, sentence=sentence, sign=sign, points=(*points, *releases)
    )


def _gate_point(gate: GateResult, sign: Sign) -> Point:
    why = gate.reason
    if gate.override:
        why = f"overridden by {gate.override.by}: {gate.override.reason}"
    if gate.found is not None:
        why = f"{measured(gate.found, gate.unit)} found, {why}"
    return Point(text=f"{gate.question}: {why}", sign=sign, anchor="gates")


def _closest_gate(gates: Sequence[GateResult]) -> Iterator[Point]:
    """The gate with the smallest margin, in its metric's own unit.

    Only where all gates with a bound are on one metric: margins in different units cannot be
    compared.
    """
    closest, smallest = None, math.inf
    metrics = set()
    for gate in gates:
        if gate.margin is None or not math.isfinite(gate.margin):
            continue
        metrics.add(gate.metric or gate.gate)
        if gate.margin < smallest:
            closest, smallest = gate, gate.margin

    if closest is not None and len(metrics) == 1:
        text = f"the closest: {closest.question}, {rough(smallest)} to spare"
        yield Point(text=text, anchor="gates")


# ------------------------------------------------------------------------------- what changed
def _answer_what_changed(material: Material) -> Answer:
    baseline = material.baseline
    if baseline is None:
        sentence = f"Not compared: {material.no_baseline}"
        return Answer(question=_WHAT_CHANGED, sentence=sentence, sign="plain")

    lines = describe_inputs(baseline.difference)
    points = [Point(text=line, anchor="changes") for line in lines]
    if points or has_new_result(baseline.difference):
        sentence = summarize_inputs(baseline.difference) or "Nothing but the results"
        points += _changed_metrics(baseline, is_whole=material.run.record.result == "passed")
        points += _turned_cases(material.behaviours)
    else:
        sentence = "Nothing"
    points.append(Point(text=f"since {baseline.title}", anchor="changes"))
    return Answer(question=_WHAT_CHANGED, sentence=sentence, sign="plain", points=tuple(points))


def _changed_metrics(baseline: Baseline, *, is_whole: bool) -> Iterator[Point]:
    """The metrics that moved: what got worse first, then what got better."""
    changes = []
    for change in baseline.difference.metrics:
        # A run that is not whole has metrics yet to come, which are not gone.
        is_yet_to_come = change.after is None and not is_whole
        if not is_yet_to_come and describe_metric_change(change) != "the same":
            changes.append(change)
    changes.sort(key=lambda change: _WORST_FIRST[change.better])

    for change in changes[:_NAMED]:
        sign = _SIGN_OF_BETTER[change.better]
        yield Point(text=_before_and_after(change), sign=sign, anchor="metrics")
    if len(changes) > _NAMED:
        yield Point(text=f"and {counted(len(changes) - _NAMED, 'more metric')}", anchor="metrics")


def _turned_cases(behaviours: Iterable[StepBehaviour]) -> Iterator[Point]:
    """How many cases broke, and how many were fixed: equal metrics may hide both."""
    for behaviour in behaviours:
        difference = behaviour.difference
        if difference is None or difference.outcomes is None:
            continue
        sign: Sign = "plain"
        if difference.outcomes.broken:
            sign = "look"
        yield Point(text=outcome_sentence(difference), sign=sign, anchor="behaviour")


def _before_and_after(change: MetricChange) -> str:
    name = short_line(short_name(change.name))
    before = measured_or_dash(change.before)
    after = measured_or_dash(change.after, change.unit)
    return f"{name} {before} → {after} ({describe_metric_change(change)})"


# --------------------------------------------------------------------------- can it be trusted
def _answer_whether_to_trust_it(material: Material, steps: Sequence[ShownStep]) -> Answer:
    record = material.run.record
    doubts = tuple(_doubts(material, steps))
    assurances = tuple(_assurances(record, steps))
    sign: Sign
    sentence, sign = "Nothing speaks against it", "good"
    if doubts:
        sentence, sign = f"{counted(len(doubts), 'reason')} to look twice", "look"
    return Answer(
        question=_CAN_I_TRUST_IT, sentence=sentence, sign=sign, points=(*doubts, *assurances)
    )


def _doubts(material: Material, steps: Sequence[ShownStep]) -> Iterator[Point]:
    """The reasons to look twice, those first that make the others hard to judge."""
    record = material.run.record
    yield from _doubts_about_sources(record.git)
    yield from _doubts_about_results(record, material.baseline)
    yield from _doubts_about_steps(record, steps)

    all_warnings = warnings(record, material.run.plan, steps)
    if all_warnings:
        yield _doubt(counted(len(all_warnings), "warning"), "warnings")
    if record.verdict is not None and record.verdict.overrides:
        yield _doubt(f"{counted(len(record.verdict.overrides), 'gate')} overridden", "gates")


def _doubt(text: str, anchor: str) -> Point:
    return Point(text=text, sign="look", anchor=anchor)


def _doubts_about_sources(git: GitState | None) -> Iterator[Point]:
    if git is None or git.commit is None:
        yield _doubt("it was made from files that are in no commit", "about")
    elif git.dirty:
        yield _doubt("the working tree held changes that are in no commit", "again")


def _doubts_about_results(record: RunRecord, baseline: Baseline | None) -> Iterator[Point]:
    # Other results of the same inputs: a seed that is not set, or an input that nbci does not see.
    if (
        baseline is not None
        and has_new_result(baseline.difference)
        and not has_new_input(baseline.difference)
    ):
        yield _doubt(
            "the results differ from the baseline's though code, data, parameters and packages "
            "are the same",
            "changes",
        )
    not_finite = [name for name, value in record.metrics.items() if not math.isfinite(value)]
    if not_finite:
        yield _doubt(f"no number: {_list_names(map(short_name, not_finite))}", "metrics")


def _doubts_about_steps(record: RunRecord, steps: Sequence[ShownStep]) -> Iterator[Point]:
    skipped: list[str] = []
    repeated: list[str] = []
    hosts: set[str] = set()
    for step in steps:
        if step.record.result == "skipped":
            skipped.append(step.record.name)
        if len(step.record.attempts) > 1:
            repeated.append(step.record.name)
        hosts.update(part.label for part in step.record.observed if part.kind == "network")

    # In a run that did not pass, steps are skipped because of what stopped it, which is shown.
    if skipped and record.result == "passed":
        text = f"{counted(len(skipped), 'step')} did not run: {_list_names(skipped)}"
        yield _doubt(text, "steps")
    if repeated:
        yield _doubt(f"needed more than one attempt: {_list_names(repeated)}", "steps")
    others = audited_steps(step.record for step in steps).get("different")
    if others:
        yield _doubt(f"gave another result than was kept: {_list_names(others)}", "warnings")
    if hosts:
        yield _doubt(f"steps used the network: {_list_names(sorted(hosts))}", "steps")


def _assurances(record: RunRecord, steps: Sequence[ShownStep]) -> Iterator[Point]:
    git = record.git
    if git is not None and git.commit is not None and not git.dirty:
        text = f"made from commit {git.commit[:10]}, with nothing uncommitted"
        yield Point(text=text, sign="good", anchor="again")

    audited = audited_steps(step.record for step in steps)
    confirmed = [*audited.get("identical", ()), *audited.get("close", ())]
    if confirmed:
        text = f"run again for an audit, and the same: {_list_names(confirmed)}"
        yield Point(text=text, sign="good", anchor="steps")

    ran = 0
    runs_reused_from = []
    for step in steps:
        if step.record.result in ("passed", "failed"):
            ran += 1
        elif step.record.result == "reused":
            runs_reused_from.append(step.record.run)
    if runs_reused_from:
        text = f"{counted(ran, 'step')} ran; {_describe_reuse(runs_reused_from)}"
        yield Point(text=text, sign="good", anchor="steps")
    elif ran:
        text = f"{counted(ran, 'step')} ran anew"
        if ran == len(steps) > 1:
            text = f"all {text}"
        yield Point(text=text, sign="good", anchor="steps")


def _describe_reuse(runs: Sequence[str | None]) -> str:
    """How many steps were reused, by the run that each was taken from."""
    different = set(runs)
    source = f"run {runs[0]}"
    if len(different) > 1:
        source = counted(len(different), "run")
    return f"{len(runs):,} reused the results of {source}, made from the same inputs"


def _list_names(names: Iterable[str]) -> str:
    return listed([short_line(name) for name in names], _NAMED)
