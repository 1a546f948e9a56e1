"""Judge a run: gates and metrics in, a verdict out."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.errors import UsageError, nearest
from nbci.gates.baseline import Baseline
from nbci.gates.bounds import bounds_of, is_missed, margin, room_in_words
from nbci.gates.case import known_baseline, with_answer
from nbci.gates.choice import find_confirmed, how_confirmed
from nbci.gates.judge_cases import (
    judge_compared,
    judge_flips,
    judge_significance,
    judge_slices,
)
from nbci.gates.noise import answer_beyond_noise, with_means
from nbci.gates.watched import judge_watched
from nbci.pipeline.conditions import holds
from nbci.pipeline.formulas import UNDECIDABLE, evaluate, names, parse
from nbci.pipeline.metric_names import meant_by, short_name, step_of
from nbci.pipeline.rules import declared_for, number_text
from nbci.records.verdict import BaselineUsed, GateResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbci.gates.baseline import NoBaseline
    from nbci.gates.case import Case
    from nbci.pipeline.rules import DeclaredMetric, Gate, Rule
    from nbci.records.run_record import StepRecord
    from nbci.records.verdict import Override, VerdictResult


def judge(case: Case, judged_utc: str) -> Verdict:
    """The verdict over a run that has ended."""
    results: list[GateResult] = []
    for gate in case.gates:
        results.append(_with_override(_judge_gate(gate, case), case.overrides))
    return Verdict(
        result=_overall_result(results),
        judged_utc=judged_utc,
        gates=tuple(results),
        baselines=tuple(map(_baseline_used, case.baselines.values())),
        overrides=case.overrides,
    )


def _overall_result(results: Sequence[GateResult]) -> VerdictResult:
    overall: VerdictResult = "passed"
    for result in results:
        if result.refuses:
            return "failed"
        # A gate that failed and was overridden still shows as a warning of the whole.
        if result.result in ("failed", "warned"):
            overall = "warned"
    return overall


def _baseline_used(baseline: Baseline | NoBaseline) -> BaselineUsed:
    if isinstance(baseline, Baseline):
        return BaselineUsed(
            asked=baseline.asked, source=baseline.source, identity=baseline.identity
        )
    return BaselineUsed(asked=baseline.asked, source=baseline.reason)


def _with_override(result: GateResult, overrides: Sequence[Override]) -> GateResult:
    """The failed result with the newest override that was given for just this result.

    An override lapses where the rule, the metric or the baseline is another by now.
    """
    if result.result != "failed":
        return result
    for override in reversed(overrides):
        if override.gate == result.gate and _judged_facts(override) == _judged_facts(result):
            return replace(result, override=override)
    return result


def _judged_facts(judged: Override | GateResult) -> str:
    # As text, since NaN is not equal to itself.
    return repr((judged.asked, judged.found, judged.baseline, judged.cases))


def _judge_gate(gate: Gate, case: Case) -> GateResult:
    values = case.record.param_values
    result = GateResult(
        gate=gate.name, asked=gate.asked, result="passed", reason="", severity=gate.severity
    )
    try:
        if gate.when is not None and not holds(gate.when, values, {}):
            reason = f"its condition `{gate.when}` does not hold"
            return replace(result, result="left out", reason=reason)
    except UsageError as error:
        return with_answer(result, gate, "fail", error.message)
    return JUDGEMENTS[gate.kind](gate, case, result)


def _judge_expression(gate: Gate, case: Case, result: GateResult) -> GateResult:
    # `gates_document` refused what cannot be parsed.
    formula = parse(str(gate.expr), "gate")
    values: dict[str, float] = {}
    for name in names(formula):
        metric = _find_metric(name, case)
        if isinstance(metric, str):
            return with_answer(replace(result, values=values or None), gate, gate.missing, metric)
        values[name] = metric[1]

    result = replace(result, values=values)
    listed = ", ".join(f"{name} is {number_text(value)}" for name, value in values.items())
    try:
        is_true = bool(evaluate(formula, values.__getitem__))
    except UNDECIDABLE as error:
        return with_answer(result, gate, "fail", f"cannot be decided: {error}")
    if is_true:
        return with_answer(result, gate, "pass", listed)
    return with_answer(result, gate, "fail", listed)


def _judge_bounds(gate: Gate, case: Case, result: GateResult) -> GateResult:
    metric = _find_metric(str(gate.metric), case)
    # Where a search chose the run, its own value is not what is asked for.
    if gate.of is not None and case.record.chosen is not None:
        metric = find_confirmed(str(gate.metric), case.record)
    if isinstance(metric, str):
        return with_answer(result, gate, gate.missing, metric)
    full, value = metric
    declared = declared_for(full, case.declared)
    result = replace(result, metric=full, found=value, unit=declared.unit)

    rule: Rule = "pass"
    reason = ""
    if gate.baseline is not None:
        result, rule, reason = _with_baseline(gate, case, result, declared)
        if rule == "fail":
            return with_answer(result, gate, rule, reason)

    if gate.beyond_noise and result.baseline is not None:
        result = with_means(result, case.baselines[str(gate.baseline)], case.record.seeds)
        value = float(result.found or 0.0)

    # Without a baseline the other bounds of the gate still hold, on a first run too.
    room = margin(value, bounds_of(gate, result.baseline))
    result = replace(result, margin=room)
    if _may_be_chance(gate, result):
        return judge_significance(gate, case, result)
    if result.noise is not None:
        return with_answer(result, gate, *answer_beyond_noise(gate, result, result.noise))
    if is_missed(room):
        reason = room_in_words(room)
        if gate.of is not None:
            reason = f"{reason} {how_confirmed(case.record)}"
        return with_answer(result, gate, "fail", reason)
    if gate.better is not None and value == result.baseline:
        return with_answer(result, gate, "fail", "no better than the baseline")
    reason = reason or room_in_words(room)
    if gate.of is not None:
        reason = f"{reason} {how_confirmed(case.record)}"
    return with_answer(result, gate, rule, reason)


def _may_be_chance(gate: Gate, result: GateResult) -> bool:
    """Whether chance decides: there is a baseline to differ from, and no fixed bound is missed."""
    if gate.significant is None or result.baseline is None or not math.isfinite(result.baseline):
        return False
    room = margin(float(result.found or 0.0), bounds_of(gate, None))
    return room is None or room >= 0


def _with_baseline(
    gate: Gate, case: Case, result: GateResult, declared: DeclaredMetric
) -> tuple[GateResult, Rule, str]:
    """The result with its baseline, the rule that holds, and why.

    The rule is another than `pass` where there is nothing to compare with.
    """
    baseline, rule, reason = known_baseline(gate, case)
    if baseline is None:
        return result, rule, reason

    result = replace(result, baseline_source=baseline.source)
    full, short = str(result.metric), short_name(str(result.metric))
    # The step that measures it may have had another name then.
    meant = meant_by(full, baseline.metrics) or meant_by(short, baseline.metrics)
    if len(meant) > 1:
        return result, "fail", f"{baseline.source} has several: {', '.join(meant)}"

    if meant:
        result = replace(result, recorded=baseline.metrics[meant[0]])
    # What it never recorded, such as the accuracy on data that are new, its files may give today.
    value, again = _which_value(gate, case, result)
    if value is None:
        return result, gate.first_run, f"first run: {baseline.source} has no {short}"
    result = replace(again, baseline=value)
    if result.not_remeasured is not None and gate.remeasure == "required":
        return result, "fail", f"it must be measured again, and {result.not_remeasured}"
    before = declared_for(meant[0] if meant else full, baseline.declared)
    difference = _declared_otherwise(before, declared)
    if difference is not None:
        return result, "fail", difference
    if not math.isfinite(value):
        return result, gate.missing, f"the baseline is {number_text(value)}"
    return result, "pass", ""


def _which_value(gate: Gate, case: Case, result: GateResult) -> tuple[float | None, GateResult]:
    """The baseline's value that counts, and the result with both or with why there is one only.

    None where it neither recorded one nor was measured again.
    """
    recorded = result.recorded
    full = str(result.metric)
    if gate.remeasure == "no":
        return recorded, replace(result, recorded=None)
    for found in case.remeasured:
        if found.asked != gate.baseline or found.step != step_of(full):
            continue
        if found.reason is not None:
            return recorded, replace(result, not_remeasured=found.reason)
        value = (found.metrics or {}).get(full)
        if value is None:
            why = f"step {found.step} did not measure {short_name(full)} with its files"
            return recorded, replace(result, not_remeasured=why)
        return value, replace(result, remeasured=value)
    if gate.remeasure == "required":
        why = f"no model is measured by step {step_of(full)}"
        return recorded, replace(result, not_remeasured=why)
    # Nothing to tell apart: there is only the value that was recorded.
    return recorded, replace(result, recorded=None)


def _declared_otherwise(before: DeclaredMetric, now: DeclaredMetric) -> str | None:
    """Why the numbers of two declarations cannot be compared; None where they can."""
    if before.unit and now.unit and before.unit != now.unit:
        return f"the baseline is in {before.unit}, the metric in {now.unit}"
    if before.direction and now.direction and before.direction != now.direction:
        return f"the baseline's direction is {before.direction}, the metric's {now.direction}"
    return None


def _find_metric(name: str, case: Case) -> tuple[str, float] | str:
    """The metric's full name and value; in words why there is none to judge."""
    metrics = case.record.metrics
    meant = meant_by(name, metrics)
    if len(meant) > 1:
        return f"several steps measure {name}: {', '.join(meant)}"
    if not meant:
        return _why_missing(name, case)
    value = metrics[meant[0]]
    # NaN is neither above nor below any bound, so no gate can judge it.
    if math.isnan(value):
        return f"{name} is NaN"
    return meant[0], value


def _why_missing(name: str, case: Case) -> str:
    for record in case.record.steps:
        if not _should_measure(record, name, case):
            continue
        if record.result == "skipped" and record.reason:
            return f"step {record.name} was skipped: {record.reason}"
        if record.result == "skipped":
            return f"step {record.name} was skipped"
        if record.result == "failed":
            return f"step {record.name} failed"

    known = case.record.metrics
    close = nearest(name, {**known, **dict.fromkeys(map(short_name, known))})
    if close:
        return f"no step measured {name}; did you mean {close}?"
    return f"no step measured {name}"


def _should_measure(record: StepRecord, name: str, case: Case) -> bool:
    """Whether the step is the one that the metric's name says, or was seen to measure it."""
    step = step_of(name)
    if step is None:
        return short_name(name) in case.measures.get(record.name, ())
    # A node of a pipeline file stands for the steps of its notebook, `NODE/STEP`.
    return record.name == step or record.name.startswith(f"{step}/")


JUDGEMENTS: Mapping[str, Callable[[Gate, Case, GateResult], GateResult]] = {
    "metric": _judge_bounds,
    "expr": _judge_expression,
    "flips": partial(judge_compared, judge_flips),
    "slices": partial(judge_compared, judge_slices),
    "watched": judge_watched,
}
"""How a gate is judged, by its kind."""
