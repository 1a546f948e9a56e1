"""Verdicts as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, measured, number
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line

if TYPE_CHECKING:
    from nbci.records.verdict import GateResult, Verdict


def verdict_lines(verdict: Verdict | None) -> list[str]:
    """The gates as a table: what was asked, found, compared with, what came of it and why."""
    if verdict is None or not verdict.gates:
        return []
    rows = [("gate", "asked", "found", "baseline", "verdict", "reason")]
    rows += map(_gate_row, verdict.gates)
    return table(rows, right=frozenset({2, 3}))


def _gate_row(gate: GateResult) -> tuple[str, str, str, str, str, str]:
    # A gate may be overridden, and then refuses nothing although it was not met.
    word = "FAILED" if gate.refuses else gate.answer
    return (
        one_line(gate.title),
        one_line(gate.asked),
        _found(gate),
        "" if gate.baseline is None else number(gate.baseline),
        word,
        one_line(gate.explanation),
    )


def _found(gate: GateResult) -> str:
    if gate.found is None:
        return ""
    # Units are text of the pipeline file, and a fork may have written that.
    return measured(gate.found, one_line(gate.unit or ""))


def gates_word(verdict: Verdict | None) -> str:
    """What the gates add to the line of the result."""
    if verdict is None:
        return ""
    refusing = [one_line(gate.title) for gate in verdict.gates if gate.refuses]
    if not refusing:
        return f"; gates {verdict.result}"
    count = f"{len(refusing)} of {counted(len(verdict.gates), 'gate')}"
    return f"; REFUSED by {count}: {', '.join(refusing)}"
