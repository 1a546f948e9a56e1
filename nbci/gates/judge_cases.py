"""Judge by predictions: how many cases broke, which slices lost, what may be chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.behaviour.wording import slice_sentence
from nbci.closeness import ABSOLUTE_TOLERANCE
from nbci.formatting.numbers import counted, measured, rough
from nbci.gates.bounds import bounds_of, is_missed, margin, room_in_words
from nbci.gates.case import known_baseline, with_answer
from nbci.gates.cases import NoCases
from nbci.pipeline.metric_names import short_name
from nbci.records.verdict import CasesJudged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nbci.behaviour.slices import SliceChange
    from nbci.gates.case import Case
    from nbci.gates.cases import ComparedCases, PairedTest
    from nbci.pipeline.rules import Gate, Rule
    from nbci.records.verdict import GateResult

_NOT_COMPARED = NoCases(reason="nobody compared the predictions")
_CHANCE = ", which may be chance"
_ROUNDING = 1e-3
"""Metrics are often recorded in three digits."""


def judge_compared(
    judge: Callable[[Gate, ComparedCases, GateResult], GateResult],
    gate: Gate,
    case: Case,
    result: GateResult,
) -> GateResult:
    """The answer of `judge`, where there are predictions to compare and to compare with."""
    baseline, rule, reason = known_baseline(gate, case)
    if baseline is None:
        return with_answer(result, gate, rule, reason)
    result = replace(result, baseline_source=baseline.source)
    found = case.compared.get(gate.name, _NOT_COMPARED)
    if isinstance(found, NoCases):
        return with_answer(result, gate, *_rule_without_cases(gate, found))
    return judge(gate, found, _with_source(result, found))


def _rule_without_cases(gate: Gate, found: NoCases) -> tuple[Rule, str]:
    match found.rule:
        # As for a metric that the baseline does not have.
        case "first_run":
            return gate.first_run, f"first run: {found.reason}"
        case "missing":
            return gate.missing, found.reason
        case _:
            return "fail", found.reason


def _with_source(result: GateResult, found: ComparedCases) -> GateResult:
    """The result that says whose predictions counted."""
    # Of a metric it is said already which of two values counted.
    if result.recorded is not None or result.remeasured is not None:
        return result
    return replace(
        result,
        baseline_source=f"{result.baseline_source}, {found.data}",
        not_remeasured=found.not_remeasured,
    )


def judge_flips(gate: Gate, found: ComparedCases, result: GateResult) -> GateResult:
    """Whether few enough of all cases broke."""
    if found.outcomes is None:
        reason = f"{found.step} is a {found.task}: its cases are not right or wrong"
        return with_answer(result, gate, "fail", reason)
    # Not 100 times a share: 7 of 1,000 cases are to be 0.7 %, and nothing beside it.
    share = 100 * found.outcomes.broken / found.cases
    room = margin(share, bounds_of(gate, None)) or 0.0
    result = replace(result, found=share, unit="%", margin=room, cases=_cases(found))
    return _with_room(result, gate, room, _evidence(found), found)


def judge_slices(gate: Gate, found: ComparedCases, result: GateResult) -> GateResult:
    """Whether no slice lost too much."""
    # A limit that is above all slices would let pass whatever happens in them.
    if found.slices is None or not found.slices.compared:
        reason = "; ".join(("there is no slice to judge", *found.notes))
        return with_answer(result, gate, gate.missing, reason)
    slices = counted(found.slices.compared, "slice")
    if not found.slices.changes:
        result = replace(result, cases=replace(_cases(found), slices=found.slices.compared))
        reason = "; ".join((f"none of {slices} lost anything", *found.notes))
        return with_answer(result, gate, "pass", reason)

    worst = found.slices.changes[0]
    room = _room_of_slice(gate, worst)
    result = replace(
        result,
        found=worst.run,
        baseline=worst.baseline,
        margin=room,
        cases=_cases_of_slice(found, worst, found.slices.compared),
    )
    words = f"{_slice_words(worst)}, the worst of {slices}"
    if gate.significant is not None:
        words = f"{_slice_words(worst)}, p = {rough(worst.corrected)}, the worst of {slices}"
    # Who mends only the worst one would be refused again.
    refused = _count_of_refused(gate, found.slices.changes)
    if refused > 1:
        words += f", {refused} of which miss"
    return _with_room(result, gate, room, words, found, is_chance=_may_be_chance(gate, worst))


def _room_of_slice(gate: Gate, change: SliceChange) -> float:
    room = margin(change.run, bounds_of(gate, change.baseline)) or 0.0
    # Thirds of a hundred cases are no decimal fractions.
    if abs(room) < ABSOLUTE_TOLERANCE:
        return 0.0
    return room


def _count_of_refused(gate: Gate, changes: Iterable[SliceChange]) -> int:
    count = 0
    for change in changes:
        if _room_of_slice(gate, change) < 0 and not _may_be_chance(gate, change):
            count += 1
    return count


def _may_be_chance(gate: Gate, change: SliceChange) -> bool:
    return gate.significant is not None and change.corrected >= gate.significant


def judge_significance(gate: Gate, case: Case, result: GateResult) -> GateResult:
    """Whether a metric that moved too far did so beyond chance; a better one must be so beyond it.

    `result` has what was found, the baseline and the margin.
    """
    # The metric is known without its cases, so that its bounds hold in any event.
    found = case.compared.get(gate.name, _NOT_COMPARED)
    if isinstance(found, NoCases):
        return _without_test(gate, result, found.reason)
    test = _test_of(found, result)
    if isinstance(test, str):
        return _without_test(gate, result, test)

    p_value = test.p_value
    result = replace(_with_source(result, found), cases=replace(_cases(found), p_value=p_value))
    is_chance = p_value >= float(gate.significant or 0.0)
    words = f"{_evidence(found)}, p = {rough(p_value)}: {_move(gate, result)}"
    asks_for_move = gate.better is not None or is_missed(result.margin)
    if is_chance and asks_for_move and result.found != result.baseline:
        words += _CHANCE
    rule: Rule = "pass"
    if _is_refused(gate, result, is_chance=is_chance):
        rule = "fail"
    return with_answer(result, gate, rule, "; ".join((words, *found.notes)))


def _test_of(found: ComparedCases, result: GateResult) -> PairedTest | str:
    """The test of the metric that was measured; in words why there is none."""
    metric = short_name(str(result.metric))
    if metric not in found.tests:
        return f"{found.step} is a {found.task}, which has no {metric}"
    test = found.tests[metric]
    # What a test of other cases shows, or of a few of them, excuses nothing in these.
    for whose, measured_value, shared in (
        ("the run's", result.found, test.run),
        ("the baseline's", result.baseline, test.baseline),
    ):
        value = float(measured_value or 0.0)
        if not math.isclose(value, shared, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
            cases = counted(found.cases, "case")
            return (
                f"by {whose} predictions of the {cases} that both have, {metric} is {rough(shared)}"
            )
    return test


def _without_test(gate: Gate, result: GateResult, reason: str) -> GateResult:
    """The answer where it is not known whether a move is chance: nothing is excused by it."""
    rule: Rule = "pass"
    if _is_refused(gate, result, is_chance=gate.better is not None):
        rule = "fail"
    words = f"{_move(gate, result)}; whether by chance is not known: {reason}"
    return with_answer(result, gate, rule, words)


def _is_refused(gate: Gate, result: GateResult, *, is_chance: bool) -> bool:
    if gate.better is None:
        return is_missed(result.margin) and not is_chance
    return is_missed(result.margin) or result.found == result.baseline or is_chance


def _move(gate: Gate, result: GateResult) -> str:
    """How far the metric is from what was asked."""
    if gate.better is not None and result.found == result.baseline:
        return "no better than the baseline"
    return room_in_words(result.margin)


def _with_room(
    result: GateResult,
    gate: Gate,
    room: float,
    words: str,
    found: ComparedCases,
    *,
    is_chance: bool = False,
) -> GateResult:
    """The answer by the room that is left, in those words."""
    rule: Rule = "pass"
    if room < 0:
        words += f": misses by {measured(float(rough(-room)), result.unit)}"
    if room < 0 and is_chance:
        words += _CHANCE
    elif room < 0:
        rule = "fail"
    return with_answer(result, gate, rule, "; ".join((words, *found.notes)))


def _evidence(found: ComparedCases) -> str:
    cases = counted(found.cases, "case")
    if found.outcomes is None:
        return f"in {cases}"
    return f"{found.outcomes.broken:,} broken and {found.outcomes.fixed:,} fixed of {cases}"


def _slice_words(change: SliceChange) -> str:
    words = slice_sentence(change)
    if change.broken is not None:
        words += f" ({change.broken:,} broken, {change.fixed:,} fixed)"
    return words


def _cases(found: ComparedCases) -> CasesJudged:
    cases = CasesJudged(step=found.step, predictions=found.predictions, cases=found.cases)
    if found.outcomes is None:
        return cases
    return replace(cases, fixed=found.outcomes.fixed, broken=found.outcomes.broken)


def _cases_of_slice(found: ComparedCases, change: SliceChange, compared: int) -> CasesJudged:
    return CasesJudged(
        step=found.step,
        predictions=found.predictions,
        cases=change.cases,
        fixed=change.fixed,
        broken=change.broken,
        p_value=change.corrected,
        slice=dict(zip(change.columns, change.values, strict=True)),
        slices=compared,
    )
