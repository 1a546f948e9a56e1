"""What is judged, and the answer to it, whatever the kind of the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.gates.baseline import Baseline, NoBaseline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.gates.cases import ComparedCases, NoCases
    from nbci.pipeline.rules import DeclaredMetric, Gate, Rule
    from nbci.records.monitoring import MonitorResult
    from nbci.records.run_record import Remeasured, RunRecord
    from nbci.records.verdict import GateAnswer, GateResult, Override

_ANSWERS: Mapping[Rule, GateAnswer] = {"pass": "passed", "warn": "warned", "fail": "failed"}


class Case(Struct, frozen=True, kw_only=True):
    """What is judged: the gates, the run, and what they are compared with.

    `remeasured` are models of baselines on the data of the run. `measures` holds the metrics that
    each step was seen to measure before it ran; it explains missing ones. `compared` has what a
    gate judges by predictions, by its name. `monitors` has what steps found that watch data, by
    step, or why that is not known.
    """

    gates: tuple[Gate, ...]
    record: RunRecord
    declared: Mapping[str, DeclaredMetric] = field(default_factory=dict)
    baselines: Mapping[str, Baseline | NoBaseline] = field(default_factory=dict)
    remeasured: tuple[Remeasured, ...] = ()
    measures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    compared: Mapping[str, ComparedCases | NoCases] = field(default_factory=dict)
    monitors: Mapping[str, MonitorResult | str] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()


def known_baseline(gate: Gate, case: Case) -> tuple[Baseline | None, Rule, str]:
    """What the gate compares with; where there is nothing, the rule that holds then, and why."""
    baseline = case.baselines.get(str(gate.baseline))
    if baseline is None:
        return None, "fail", "nobody looked for it"
    if isinstance(baseline, Baseline):
        return baseline, "pass", ""
    # A remote that cannot be asked makes no first run.
    if baseline.certain:
        return None, gate.first_run, f"first run: {baseline.reason}"
    return None, "fail", baseline.reason


def with_answer(result: GateResult, gate: Gate, rule: Rule, reason: str) -> GateResult:
    """The result under that rule; a gate that only warns never fails."""
    return replace(result, result=answer_of(rule, gate.severity), reason=reason)


def answer_of(rule: Rule, severity: Literal["fail", "warn"]) -> GateAnswer:
    """What the rule comes to in a gate of that severity: one that only warns never fails."""
    answer = _ANSWERS[rule]
    if answer == "failed" and severity == "warn":
        return "warned"
    return answer
