"""The first things on the run's page: the three answers, and the gates behind the first of them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from nbci.formatting.numbers import measured, number, rough
from nbci.formatting.text import short_line
from nbci.report.data.wording import gate_descriptions
from nbci.report.html.markup import Markup, element, fragment, optional, table
from nbci.report.html.page import section, verdict, with_note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import GateResult
    from nbci.report.pages.answers import Answer, Point, Sign

# The colours of the answers only repeat the signs.
_SIGNS: dict[Sign, str] = {"good": "✓", "bad": "✗", "look": "!", "plain": "·"}
# What `gates.judge` writes before or behind a margin.
_ROOM = " to spare"
_MISSED = "misses by "
# In characters: names and reasons are texts of the pipeline file, of any length.
_LONGEST = 500
HEADS = ("Verdict", "Asked", "Found", "Baseline", "Margin")


def answers_section(answers: Iterable[Answer]) -> Markup:
    """The questions side by side."""
    shown = map(_answer, answers)
    return element("section", *shown, id="answers", class_="answers", aria_label="In short")


def _answer(answer: Answer) -> Markup:
    return element(
        "div",
        element("h2", answer.question),
        element("p", answer.sentence, class_=f"said {answer.sign}"),
        optional("ul", fragment(*map(_point, answer.points))),
    )


def _point(point: Point) -> Markup:
    text: str = short_line(point.text, _LONGEST)
    if point.anchor:
        text = element("a", text, href=f"#{point.anchor}")
    sign = element("span", _SIGNS[point.sign], class_="sign", aria_hidden="true")
    return element("li", sign, " ", text, class_=point.sign)


def gates_section(record: RunRecord, plan: Plan) -> Markup | None:
    """What each gate is for, asked, found and compared with, by how much, and what it answered."""
    if record.verdict is None or not record.verdict.gates:
        return None
    described = gate_descriptions(plan)
    rows = [gate_row(gate, described.get(gate.gate)) for gate in record.verdict.gates]
    shown = table("Gates", ("Gate", *HEADS), rows, class_="gates", is_stacked=True)
    refusing = record.verdict.refusing_gates
    if not refusing:
        return section("Gates", shown, anchor="gates")
    # One command is enough as an example: each gate is overridden on its own.
    note = _how_to_override(record, refusing[0])
    return section("Gates", shown, note, anchor="gates", class_="failed")


def _how_to_override(record: RunRecord, gate: GateResult) -> Markup:
    words = ["nbci", "gate", record.run, "--override", gate.gate, "--reason", "WHY"]
    command = element("code", short_line(shlex.join(words), _LONGEST))
    return element("p", "If it may pass all the same: ", command, class_="note")


def gate_row(gate: GateResult, description: str | None = None) -> tuple[str, ...]:
    """What the gate asked, found and answered, in the columns of `HEADS` behind its name."""
    return (
        with_note(short_line(gate.title, _LONGEST), description),
        with_note(verdict(gate.answer), _why(gate)),
        short_line(gate.asked, _LONGEST),
        _found_value(gate),
        _baseline(gate),
        _margin(gate.margin),
    )


def _why(gate: GateResult) -> str:
    # The last column has the margin; a reason that says only that would be read twice.
    reason = gate.reason
    if _says_only_margin(gate):
        reason = ""
    override = ""
    if gate.override:
        override = f"overridden by {gate.override.by}: {gate.override.reason}"
    return "; ".join(filter(None, (reason, override)))


def _says_only_margin(gate: GateResult) -> bool:
    if gate.reason.endswith(_ROOM):
        return True
    return gate.margin is not None and gate.reason == f"{_MISSED}{rough(-gate.margin)}"


def _found_value(gate: GateResult) -> Markup:
    """The value; of an expression that has none, those of its metrics."""
    if gate.found is not None:
        return element("strong", measured(gate.found, gate.unit))
    values = [f"{name} = {number(value)}" for name, value in (gate.values or {}).items()]
    return fragment(", ".join(values))


def _baseline(gate: GateResult) -> Markup:
    shown = ""
    if gate.baseline is not None:
        shown = number(gate.baseline)
    return with_note(shown, gate.baseline_text)


def _margin(margin: float | None) -> str:
    if margin is None:
        return ""
    if margin < 0:
        return f"missed by {rough(-margin)}"
    return f"{rough(margin)}{_ROOM}"
