"""Verdicts as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, number
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line

if TYPE_CHECKING:
    from nbci.records.verdict import GateResult, Verdict


def verdict_lines(verdict: Verdict | None) -> list[str]:
    """The gates as a table: what was asked, found, compared with, what came of it and why."""
    if verdict is None or not verdict.gates:
        return []
    rows = [
        (
            one_line(gate.title),
            one_line(gate.asked),
            _found(gate),
            "" if gate.baseline is None else number(gate.baseline),
            "FAILED" if gate.refuses else gate.answer,
            one_line(gate.explanation),
        )
        for gate in verdict.gates
    ]
    return table(
        [("gate", "asked", "found", "baseline", "verdict", "reason"), *rows],
        right=frozenset({2, 3}),
    )


def gates_word(verdict: Verdict | None) -> str:
    """What the gates add to the line of the result."""
    if verdict is None:
        return ""
    refused = [one_line(gate.title) for gate in verdict.gates if gate.refuses]
    if refused:
        return f"; REFUSED by {len(refused)} of {counted(len(verdict.gates), 'gate')}: {', '.join(refused)}"
    return f"; gates {verdict.result}"


def _found(gate: GateResult) -> str:
    if gate.found is None:
        return ""
    unit = f" {one_line(gate.unit)}" if gate.unit and gate.unit != "ratio" else ""
    return f"{number(gate.found)}{unit}"
