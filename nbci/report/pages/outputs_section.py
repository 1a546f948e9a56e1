"""The section of a step's page about its outputs and those that are committed with its notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted
from nbci.formatting.text import short_line
from nbci.report.html.markup import Markup, element, fragment
from nbci.report.html.page import section
from nbci.report.html.text_diff import diff_block

if TYPE_CHECKING:
    from nbci.records.output_check import OutputCheck, OutputDifference
    from nbci.report.data.view import ShownStep

_SHOWN = 50


def outputs_section(step: ShownStep) -> Markup | None:
    """What the comparison found; None where the step does not ask for it."""
    check = step.record.outputs
    if check is None:
        return None
    title = "Outputs as committed"
    if not check.differences:
        return section(title, element("p", _words(check)), anchor="outputs")

    anchors: dict[int, str] = {}
    for cell in step.cells:
        if cell.run is not None and cell.run.number is not None:
            anchors[cell.run.number] = cell.anchor
    shown = [_difference(each, anchors) for each in check.differences[:_SHOWN]]
    left_out = len(check.differences) - _SHOWN
    if left_out > 0:
        shown.append(element("p", f"… and {counted(left_out, 'more difference')}"))
    about = element("p", _words(check))
    return section(title, about, *shown, anchor="outputs", class_="failed")


def _words(check: OutputCheck) -> str:
    if check.reason is not None:
        return f"Not compared: {check.reason}."
    words = f"{counted(check.compared, 'cell')} compared with the notebook: all show the same"
    if check.differences:
        differing = counted(len(check.cells), "cell")
        words = f"{counted(check.compared, 'cell')} compared with the notebook: {differing} differ"
        if len(check.cells) == 1:
            words += "s"
    if check.left_out:
        words += f"; {check.left_out} left out, as marks of nbval ask"
    return f"{words}."


def _difference(each: OutputDifference, anchors: dict[int, str]) -> Markup:
    place: str = f"Cell {each.cell}"
    if each.cell in anchors:
        place = element("a", place, href=f"#{anchors[each.cell]}")
    heading = element("h3", place, ", ", element("code", each.kind), ": ", each.message)
    lines = None
    if each.lines:
        label = f"Difference in cell {each.cell}"
        lines = diff_block(each.lines, label=label)
    line = element("p", element("code", short_line(each.first_line)))
    return fragment(heading, line, lines)
