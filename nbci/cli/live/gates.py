"""Verdicts as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, measured, number
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line

if TYPE_CHECKING:
    from nbci.records.verdict import GateResult, Verdict


def verdict_lines(verdict: Verdict | None) -> list[str]:
    """The results of the gates as a table."""
    if verdict is None or not verdict.gates:
        return []
    rows = [("gate", "asked", "found", "baseline", "verdict", "reason")]
    rows += map(_gate_row, verdict.gates)
    return table(rows, right=frozenset({2, 3}))


def _gate_row(gate: GateResult) -> tuple[str, str, str, str, str, str]:
    found = baseline = ""
    if gate.found is not None:
        # Units are text of the pipeline file, and a fork may have written that.
        found = measured(gate.found, one_line(gate.unit or ""))
    if gate.baseline is not None:
        baseline = number(gate.baseline)
    verdict: str = gate.answer
    # A gate may be overridden, and then refuses nothing although it was not met.
    if gate.refuses:
        verdict = "FAILED"
    reason = one_line(gate.explanation)
    return one_line(gate.title), one_line(gate.asked), found, baseline, verdict, reason


def gates_word(verdict: Verdict | None) -> str:
    """What is appended to the line with the result of a run: the verdict, the gates that refuse."""
    if verdict is None:
        return ""
    refusing = [one_line(gate.title) for gate in verdict.refusing_gates]
    if not refusing:
        return f"; gates {verdict.result}"
    count = f"{len(refusing)} of {counted(len(verdict.gates), 'gate')}"
    return f"; REFUSED by {count}: {', '.join(refusing)}"
