"""Judge a window: rules and what was measured in, answers and a sentence out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.errors import nearest
from nbci.formatting.numbers import and_more, counted, listed, rough
from nbci.gates.bounds import bounds_of, is_missed, margin, room_in_words
from nbci.gates.case import answer_of
from nbci.pipeline.metric_names import meant_by, short_name
from nbci.pipeline.rules import number_text
from nbci.records.verdict import GateResult

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from nbci.pipeline.monitor_rules import DriftRule, Measure, MonitorRule
    from nbci.pipeline.rules import Rule
    from nbci.records.profile import ColumnDrift, SchemaFinding
    from nbci.records.verdict import VerdictResult

FEWEST_ROWS = 20
"""The distance of fewer rows to any distribution is chance."""
TESTED_ROWS = 1000
"""Where a side has fewer, chance alone may take a column beyond a usual limit, so it is tested.

PSI of ten bins comes to `9 * (1 / rows + 1 / others)` by chance, and to five times that now and
then: 0.09 of 1,000 rows each, and far beyond 0.2 of a hundred.
"""
TEST_LEVEL = 0.05
_NAMED = 3
_ESTIMATED = "estimated_"
_VERBS = {"failed": "refuse", "warned": "warn"}


class Observed(Struct, frozen=True, kw_only=True):
    """What was measured of a window.

    `drifts` are of the columns of the release's profile. `reference` are the release's metrics by
    full name, of which `release` is what people call it. `unknown` says of metrics that the window
    cannot give why that is so.
    """

    release: str
    rows: int
    drifts: tuple[ColumnDrift, ...] = ()
    findings: tuple[SchemaFinding, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    reference: Mapping[str, float] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


class _Answer(Struct, frozen=True, kw_only=True):
    """What a rule comes to, why, and the figures behind it."""

    rule: Rule
    reason: str
    metric: str | None = None
    found: float | None = None
    margin: float | None = None
    values: Mapping[str, float] | None = None
    baseline: float | None = None
    baseline_source: str | None = None


def judge_window(rules: Iterable[MonitorRule], window: Observed) -> tuple[GateResult, ...]:
    """The answer to each rule, in the words of gates."""
    return tuple(_judge(rule, window) for rule in rules)


def _judge(rule: MonitorRule, window: Observed) -> GateResult:
    answer = JUDGEMENTS[rule.kind](rule, window)
    return GateResult(
        gate=rule.name,
        asked=rule.asked,
        result=answer_of(answer.rule, rule.severity),
        reason=answer.reason,
        severity=rule.severity,
        metric=answer.metric,
        found=answer.found,
        margin=answer.margin,
        values=answer.values,
        baseline=answer.baseline,
        baseline_source=answer.baseline_source,
    )


def _judge_drift(rule: MonitorRule, window: Observed) -> _Answer:
    assert rule.drift is not None
    # Before anything else: whatever the distances say, they would say it by chance.
    if window.rows < FEWEST_ROWS:
        rows = counted(window.rows, "row")
        reason = f"the window has {rows}; drift needs {FEWEST_ROWS}"
        return _Answer(rule=rule.missing, reason=reason)
    chosen = columns_of(rule.drift, window.drifts)
    absent = _absent_columns(rule.drift, window.drifts)
    if absent:
        return _Answer(rule=rule.missing, reason=absent)
    effects = effects_of(rule.drift, chosen)
    # A column that is asked for by name has to answer; of all columns, some cannot.
    if not effects or (rule.drift.columns is not None and len(effects) < len(chosen)):
        return _Answer(rule=rule.missing, reason=_why_not_compared(chosen))
    return _with_drifted(rule.drift, effects, chosen)


def columns_of(rule: DriftRule, drifts: Sequence[ColumnDrift]) -> list[ColumnDrift]:
    """Those columns that the rule is of."""
    if rule.columns is None:
        return list(drifts)
    return [drift for drift in drifts if drift.column in rule.columns]


def effects_of(rule: DriftRule, drifts: Iterable[ColumnDrift]) -> dict[str, float]:
    """How far each column is by the rule's measure, the furthest first; those that can be told."""
    effects: dict[str, float] = {}
    for drift in drifts:
        # All measures are known of a column, whichever of them is its effect.
        effect = getattr(drift, rule.measure)
        if effect is not None and not math.isnan(effect):
            effects[drift.column] = effect
    return dict(sorted(effects.items(), key=lambda item: -item[1]))


def is_beyond(rule: DriftRule, drift: ColumnDrift) -> bool:
    """Whether the column is further than the rule allows, and not by chance if it asks so."""
    effect = getattr(drift, rule.measure)
    if effect is None or not effect > rule.at_most:
        return False
    return not may_be_chance(rule, drift)


def may_be_chance(rule: DriftRule, drift: ColumnDrift) -> bool:
    """Whether the rule lets chance excuse the column; what has no test has no excuse."""
    level = rule.significant
    if level is None and drift.rows is not None and drift.rows < TESTED_ROWS:
        level = TEST_LEVEL
    if not level or drift.p_corrected is None:
        return False
    return drift.p_corrected >= level


def _absent_columns(rule: DriftRule, drifts: Sequence[ColumnDrift]) -> str:
    """Which columns of the rule the release does not know; nothing where it knows all."""
    known = [drift.column for drift in drifts]
    for name in rule.columns or ():
        if name not in known:
            close = nearest(name, known)
            meant = f"; did you mean {close}?" if close else ""
            return f"the release's profile has no column {name}{meant}"
    return ""


def _why_not_compared(drifts: Sequence[ColumnDrift]) -> str:
    reasons = [f"{drift.column}: {drift.why}" for drift in drifts if drift.effect is None]
    if not reasons:
        return "the release's profile has no column to compare"
    return f"no distance is known of {listed(reasons, _NAMED, between='; ')}"


def _with_drifted(
    rule: DriftRule, effects: Mapping[str, float], chosen: Sequence[ColumnDrift]
) -> _Answer:
    """The answer to a rule over columns whose distances are known, the furthest first."""
    total = len(chosen)
    drifted = {drift.column for drift in chosen if is_beyond(rule, drift)}
    beyond = {name: effect for name, effect in effects.items() if name in drifted}
    by_chance = _beyond_by_chance(rule, effects, drifted)
    # The largest distance that counts; of those that may all be chance, the largest.
    counting = {name: effect for name, effect in effects.items() if name not in by_chance}
    largest_of = counting or effects
    (worst, most), *_ = largest_of.items()
    named = _columns_in_words(rule, beyond)
    others = ""
    if by_chance:
        columns = counted(len(by_chance), "column")
        others = f"; {columns} may be beyond {number_text(rule.at_most)} by chance"
    if len(effects) < total:
        others += f"; {counted(total - len(effects), 'column')} cannot be compared"
    shown = dict(list(effects.items())[:_NAMED])
    if rule.share is None:
        reason = f"{rule.measure} of {worst} is {rough(most)}, the largest of {len(largest_of)}"
        if beyond:
            reason = f"{named}, more than {number_text(rule.at_most)}"
        return _Answer(
            rule="fail" if beyond else "pass",
            reason=reason + others,
            metric=f"{rule.measure} of {worst}",
            found=most,
            margin=rule.at_most - most if counting else None,
            values=shown,
        )
    share = len(beyond) / len(effects)
    reason = f"{len(beyond)} of {counted(len(effects), 'column')} drifted"
    if beyond:
        reason += f": {named}"
    return _Answer(
        rule="fail" if share > rule.share else "pass",
        reason=reason + others,
        metric="drifted_share",
        found=share,
        margin=rule.share - share,
        values=shown,
    )


def _beyond_by_chance(
    rule: DriftRule, effects: Mapping[str, float], drifted: Collection[str]
) -> list[str]:
    """The columns that are beyond the limit and have not drifted all the same."""
    return [
        name for name, effect in effects.items() if effect > rule.at_most and name not in drifted
    ]


def _columns_in_words(rule: DriftRule, beyond: Mapping[str, float]) -> str:
    parts = [f"{rule.measure} of {name} is {rough(effect)}" for name, effect in beyond.items()]
    return listed(parts, _NAMED)


def _judge_schema(rule: MonitorRule, window: Observed) -> _Answer:
    assert rule.schema is not None
    if not window.rows:
        return _Answer(rule=rule.missing, reason="the window has no rows")
    found = []
    for finding in window.findings:
        if finding.column not in rule.schema.exceptions:
            found.append(finding)
    reason = "all columns are as the release's"
    if found:
        # One is enough to know where to look: the others stand below, and on the page.
        reason = found[0].sentence + and_more(len(found), 1)
    return _Answer(
        rule="fail" if found else "pass",
        reason=reason,
        metric="schema_findings",
        found=float(len(found)),
        margin=float(-len(found)),
    )


def _judge_metric(rule: MonitorRule, window: Observed) -> _Answer:
    gate = rule.metric
    assert gate is not None
    name = str(gate.metric)
    # NaN is neither above nor below any bound, so no rule can judge it.
    value = window.metrics.get(name)
    if value is None or math.isnan(value):
        return _Answer(rule=rule.missing, reason=_why_unknown(name, window))
    baseline: float | None = None
    source = None
    if gate.baseline is not None:
        recorded = _recorded(name, window)
        if isinstance(recorded, str):
            return _Answer(rule=rule.missing, reason=recorded, metric=name, found=value)
        baseline, source = recorded, window.release
    room = margin(value, bounds_of(gate, baseline))
    return _Answer(
        rule="fail" if is_missed(room) else "pass",
        reason=room_in_words(room),
        metric=name,
        found=value,
        margin=room,
        baseline=baseline,
        baseline_source=source,
    )


def _why_unknown(name: str, window: Observed) -> str:
    # A metric that a monitor knows is no misspelling of another one.
    if name in window.unknown:
        return window.unknown[name]
    close = nearest(name, window.metrics)
    known = f"it has {listed(list(window.metrics), 8)}"
    if close:
        known = f"did you mean {close}?"
    return f"the window has no {name}; {known}"


def _recorded(name: str, window: Observed) -> float | str:
    """The release's own value of the metric; in words why it has none."""
    short = short_name(name)
    # What is estimated stands for what was measured at training.
    for asked in (name, short, short.removeprefix(_ESTIMATED)):
        meant = meant_by(asked, window.reference)
        if len(meant) > 1:
            return f"{window.release} has several: {listed(meant, _NAMED)}"
        if meant and not math.isnan(window.reference[meant[0]]):
            return window.reference[meant[0]]
    return f"{window.release} has no {short.removeprefix(_ESTIMATED)} in its evidence"


JUDGEMENTS: Mapping[str, Callable[[MonitorRule, Observed], _Answer]] = {
    "drift": _judge_drift,
    "schema": _judge_schema,
    "metric": _judge_metric,
}
"""How a rule is judged, by its kind; a row for each reader of `pipeline.monitor_rules`."""


def overall(gates: Sequence[GateResult]) -> VerdictResult:
    """What the rules make of the window together."""
    results = {gate.result for gate in gates}
    if "failed" in results:
        return "failed"
    if "warned" in results:
        return "warned"
    return "passed"


def sentence_of(gates: Sequence[GateResult], window: Observed) -> str:
    """The answer for people: the first thing that is wrong, or that nothing is."""
    for result in ("failed", "warned"):
        told = [gate for gate in gates if gate.result == result]
        if len(told) > 1:
            return f"{_told(told[0])} ({counted(len(told), 'rule')} {_VERBS[result]})"
        if told:
            return _told(told[0])
    rows = counted(window.rows, "row")
    return f"{rows} within {counted(len(gates), 'rule')}"


def _told(gate: GateResult) -> str:
    """The gate's reason, after the metric where the reason is only by how much it misses."""
    if gate.reason.startswith("misses by") and gate.found is not None:
        return f"{gate.metric} is {rough(gate.found)}, {gate.asked}: {gate.reason}"
    return gate.reason


def with_limits(
    rules: Iterable[MonitorRule], drifts: Iterable[ColumnDrift]
) -> tuple[ColumnDrift, ...]:
    """The columns' drifts, each with the least that the rules of its measure allow of it."""
    limits: dict[str, float] = {}
    by_chance: dict[str, float] = {}
    drifts = list(drifts)
    for rule in rules:
        if rule.drift is None:
            continue
        for drift in columns_of(rule.drift, drifts):
            # `effect` is by one measure, and the limit of another would not go with it.
            if drift.measure != rule.drift.measure:
                continue
            is_beyond_it = drift.effect is not None and drift.effect > rule.drift.at_most
            is_excused = is_beyond_it and may_be_chance(rule.drift, drift)
            known = by_chance if is_excused else limits
            least = known.get(drift.column, math.inf)
            known[drift.column] = min(least, rule.drift.at_most)
    return tuple(_with_limit(drift, limits, by_chance) for drift in drifts)


def _with_limit(
    drift: ColumnDrift, limits: Mapping[str, float], by_chance: Mapping[str, float]
) -> ColumnDrift:
    limit = limits.get(drift.column)
    # What one rule excuses, another one may judge.
    excused = by_chance.get(drift.column) if limit is None else None
    return replace(drift, limit=limit, chance_limit=excused)


def measure_of(rules: Iterable[MonitorRule]) -> Measure:
    """The measure that columns are told by: that of the first rule over drift."""
    for rule in rules:
        if rule.drift is not None:
            return rule.drift.measure
    return "psi"
