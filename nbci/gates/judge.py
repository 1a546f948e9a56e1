"""Judging: gates and metrics in, a verdict out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.errors import UsageError, nearest
from nbci.gates.baseline import Baseline, NoBaseline
from nbci.gates.bounds import bounds_of, margin
from nbci.pipeline.conditions import holds
from nbci.pipeline.formulas import UNDECIDABLE, evaluate, names, parse
from nbci.pipeline.metric_names import meant_by, short_name, step_of
from nbci.pipeline.rules import DeclaredMetric, Gate, declared_for, shown
from nbci.records.verdict import BaselineUsed, GateResult, Override, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.pipeline.rules import Rule
    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import GateAnswer, VerdictResult

_ANSWERS: Mapping[Rule, GateAnswer] = {"pass": "passed", "warn": "warned", "fail": "failed"}


class Case(Struct, frozen=True, kw_only=True):
    """What is judged: the gates, the run, and what they are compared with.

    `measures` holds the metrics that each step was seen to measure before it ran; it explains
    missing ones.
    """

    gates: tuple[Gate, ...]
    record: RunRecord
    declared: Mapping[str, DeclaredMetric] = field(default_factory=dict)
    baselines: Mapping[str, Baseline | NoBaseline] = field(default_factory=dict)
    measures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()


def judge(case: Case, judged_utc: str) -> Verdict:
    """The verdict over a run that has ended."""
    results = tuple(_overridden(_judged(gate, case), case.overrides) for gate in case.gates)
    return Verdict(
        result=_overall(results),
        judged_utc=judged_utc,
        gates=results,
        baselines=tuple(map(_used, case.baselines.values())),
        overrides=case.overrides,
    )


def _overall(results: Sequence[GateResult]) -> VerdictResult:
    if any(result.refuses for result in results):
        return "failed"
    return (
        "warned" if any(result.result in ("failed", "warned") for result in results) else "passed"
    )


def _used(baseline: Baseline | NoBaseline) -> BaselineUsed:
    if isinstance(baseline, Baseline):
        return BaselineUsed(
            asked=baseline.asked, source=baseline.source, identity=baseline.identity
        )
    return BaselineUsed(asked=baseline.asked, source=baseline.reason)


def _overridden(result: GateResult, overrides: Sequence[Override]) -> GateResult:
    """An override holds for what stood there when it was given; where something else stands there
    now, it lapses.
    """
    if result.result == "failed":
        for override in reversed(overrides):
            if override.gate == result.gate and _stands(override) == _stands(result):
                return replace(result, override=override)
    return result


def _stands(said: Override | GateResult) -> str:
    return repr(
        (said.asked, said.found, said.baseline)
    )  # as text, since NaN is not equal to itself


def _judged(gate: Gate, case: Case) -> GateResult:
    values = {parameter.name: parameter.value for parameter in case.record.params}
    begun = GateResult(
        gate=gate.name, asked=gate.asked, result="passed", reason="", severity=gate.severity
    )
    try:
        if gate.when is not None and not holds(gate.when, values, {}):
            return replace(
                begun, result="left out", reason=f"its condition `{gate.when}` does not hold"
            )
    except UsageError as error:
        return _answered(begun, gate, "fail", error.message)
    return _expression(gate, case, begun) if gate.expr is not None else _bounds(gate, case, begun)


def _expression(gate: Gate, case: Case, begun: GateResult) -> GateResult:
    formula = parse(str(gate.expr), "gate")
    found: dict[str, float] = {}
    for name in names(formula):
        value = _metric(name, case)
        if isinstance(value, str):
            return _answered(replace(begun, values=found or None), gate, gate.missing, value)
        found[name] = value[1]
    begun = replace(begun, values=found)
    try:
        holds_true = bool(evaluate(formula, found.__getitem__))
    except UNDECIDABLE as error:
        return _answered(begun, gate, "fail", f"cannot be decided: {error}")
    listed = ", ".join(f"{name} is {shown(value)}" for name, value in found.items())
    return _answered(begun, gate, "pass" if holds_true else "fail", listed)


def _bounds(gate: Gate, case: Case, begun: GateResult) -> GateResult:
    found = _metric(str(gate.metric), case)
    if isinstance(found, str):
        return _answered(begun, gate, gate.missing, found)
    full, value = found
    declared = declared_for(full, case.declared)
    begun = replace(begun, metric=full, found=value, unit=declared.unit)
    compared: float | None = None
    rule: Rule = "pass"
    reason = ""
    if gate.baseline is not None:
        begun, rule, reason = _compared(gate, case, begun, declared)
        compared = begun.baseline
        if rule == "fail":
            return _answered(begun, gate, rule, reason)
    limits = bounds_of(gate, compared)
    room = margin(value, limits)
    begun = replace(begun, margin=room)
    if room is not None and (room < 0 or math.isnan(room)):
        return _answered(begun, gate, "fail", f"misses by {-room:.4g}")
    return _answered(begun, gate, rule, reason or f"{room or 0.0:.4g} to spare")


def _compared(
    gate: Gate, case: Case, begun: GateResult, declared: DeclaredMetric
) -> tuple[GateResult, Rule, str]:
    """The result with its baseline; where there is none to compare with, the rule that holds then,
    and why.
    """
    baseline = case.baselines.get(str(gate.baseline)) or NoBaseline(
        asked=str(gate.baseline), reason="nobody looked for it", certain=False
    )
    if isinstance(baseline, NoBaseline):
        rule = gate.first_run if baseline.certain else "fail"
        return begun, rule, f"first run: {baseline.reason}" if baseline.certain else baseline.reason
    begun = replace(begun, baseline_source=baseline.source)
    meant = meant_by(str(begun.metric), baseline.metrics) or meant_by(
        short_name(str(begun.metric)), baseline.metrics
    )
    if not meant:
        return (
            begun,
            gate.first_run,
            f"first run: {baseline.source} has no {short_name(str(begun.metric))}",
        )
    if len(meant) > 1:
        return begun, "fail", f"{baseline.source} has several: {', '.join(meant)}"
    value = baseline.metrics[meant[0]]
    begun = replace(begun, baseline=value)
    before = declared_for(meant[0], baseline.declared)
    if before.unit and declared.unit and before.unit != declared.unit:
        return begun, "fail", f"the baseline is in {before.unit}, the metric in {declared.unit}"
    if before.direction and declared.direction and before.direction != declared.direction:
        return (
            begun,
            "fail",
            f"the baseline's direction is {before.direction}, the metric's {declared.direction}",
        )
    if not math.isfinite(value):
        return begun, gate.missing, f"the baseline is {shown(value)}"
    return begun, "pass", ""


def _answered(result: GateResult, gate: Gate, rule: Rule, reason: str) -> GateResult:
    """The result under that rule; a gate that only warns never fails."""
    answer = _ANSWERS[rule]
    if answer == "failed" and gate.severity == "warn":
        answer = "warned"
    return replace(result, result=answer, reason=reason)


def _metric(name: str, case: Case) -> tuple[str, float] | str:
    """The metric's full name and value; in words why there is none to judge."""
    metrics = case.record.metrics
    meant = meant_by(name, metrics)
    if len(meant) > 1:
        return f"several steps measure {name}: {', '.join(meant)}"
    if not meant:
        return _why_missing(name, case)
    value = metrics[meant[0]]
    return f"{name} is NaN" if math.isnan(value) else (meant[0], value)


def _why_missing(name: str, case: Case) -> str:
    step, short = step_of(name), short_name(name)
    for record in case.record.steps:
        named = step is not None and (record.name == step or record.name.startswith(f"{step}/"))
        measures = step is None and short in case.measures.get(record.name, ())
        if (named or measures) and record.result == "skipped":
            return f"step {record.name} was skipped" + (
                f": {record.reason}" if record.reason else ""
            )
        if (named or measures) and record.result == "failed":
            return f"step {record.name} failed"
    known = case.record.metrics
    close = nearest(name, {**known, **dict.fromkeys(map(short_name, known))})
    return f"no step measured {name}" + (f"; did you mean {close}?" if close else "")
