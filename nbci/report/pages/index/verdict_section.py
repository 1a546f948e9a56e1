"""The first things on the run's page: the three answers, and the gates behind the first of them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from nbci.formatting.numbers import measured, number, rough
from nbci.formatting.text import short_line
from nbci.report.html.markup import Markup, element, fragment, table
from nbci.report.html.page import section, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import GateResult
    from nbci.report.pages.answers import Answer, Point, Sign

_SIGNS: dict[Sign, str] = {"good": "✓", "bad": "✗", "look": "!", "plain": "·"}
_ROOM = " to spare"
_MISSED = "misses by "
_LONGEST = 500


def answers_section(answers: Iterable[Answer]) -> Markup:
    """The questions side by side."""
    return element(
        "section", *map(_answer, answers), id="answers", class_="answers", aria_label="In short"
    )


def _answer(answer: Answer) -> Markup:
    points = [
        element("li", _sign(point.sign), " ", _linked(point), class_=point.sign)
        for point in answer.points
    ]
    said = element("p", answer.sentence, class_=f"said {answer.sign}")
    return element(
        "div", element("h2", answer.question), said, element("ul", *points) if points else None
    )


def _sign(sign: Sign) -> Markup:
    return element("span", _SIGNS[sign], class_="sign", aria_hidden="true")


def _linked(point: Point) -> Markup | str:
    text = short_line(point.text, _LONGEST)
    return element("a", text, href=f"#{point.anchor}") if point.anchor else text


def gates_section(record: RunRecord) -> Markup | None:
    """What each gate asked, found and compared with, by how much, and what it answered."""
    gates = record.verdict.gates if record.verdict else ()
    if not gates:
        return None
    heads = ("Gate", "Verdict", "Asked", "Found", "Baseline", "Margin")
    shown = table("Gates", heads, map(_gate, gates), class_="gates", is_stacked=True)
    refusing = next((gate for gate in gates if gate.refuses), None)
    note = _override(record, refusing) if refusing else None
    return section("Gates", shown, note, anchor="gates", class_="failed" if refusing else None)


def _override(record: RunRecord, gate: GateResult) -> Markup:
    command = shlex.join(["nbci", "gate", record.run, "--override", gate.gate, "--reason", "WHY"])
    return element(
        "p",
        "If it may pass all the same: ",
        element("code", short_line(command, _LONGEST)),
        class_="note",
    )


def _gate(gate: GateResult) -> tuple[str, ...]:
    says_the_margin = (
        gate.margin is not None and gate.reason.startswith(_MISSED)
    ) or gate.reason.endswith(_ROOM)
    reason = "" if says_the_margin else gate.reason
    override = gate.override
    because = f"overridden by {override.by}: {override.reason}" if override else ""
    return (
        short_line(gate.title, _LONGEST),
        _with_note(verdict(gate.answer), "; ".join(part for part in (reason, because) if part)),
        short_line(gate.asked, _LONGEST),
        _found(gate),
        _with_note(
            "" if gate.baseline is None else number(gate.baseline), gate.baseline_source or ""
        ),
        "" if gate.margin is None else _margin(gate.margin),
    )


def _found(gate: GateResult) -> Markup:
    """The value; of an expression, those of its metrics."""
    if gate.found is not None:
        return element("strong", measured(gate.found, gate.unit))
    return fragment(
        ", ".join(f"{name} = {number(value)}" for name, value in (gate.values or {}).items())
    )


def _margin(margin: float) -> str:
    return f"{rough(margin)}{_ROOM}" if margin >= 0 else f"missed by {rough(-margin)}"


def _with_note(text: str, note: str) -> Markup:
    return fragment(
        text, element("span", short_line(note, _LONGEST), class_="under") if note else None
    )
