"""Draw the graph of a run's steps: state, time and reuse of each, with links to their pages.

Where there are many steps, they are folded into groups.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted
from nbci.report.charts.folding import (
    folded_matrices,
    folded_steps,
    group_edges,
    stages,
    without_detours,
)
from nbci.report.charts.layout import lay_out
from nbci.report.charts.svg import cut_middle, pixels, text_width, widest
from nbci.report.data.matrices import matrices_of
from nbci.report.data.view import steps_by_name
from nbci.report.html.markup import Markup, element, fragment
from nbci.report.html.page import SIGNS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from nbci.report.charts.layout import Layout, Point
    from nbci.report.data.matrices import MatrixSteps
    from nbci.report.data.view import ShownStep

_NAME_SIZE, _STATE_SIZE = 13, 12
_MARGIN = 6
_LONGEST_NAME = 30
_NAMED = 5
# The page's style sheet has no colour for steps that wait: they look like skipped ones.
_STATE_OF_WAITING = "skipped"
_WORST_FIRST = ("failed", "interrupted", "running", "passed", "reused", "waiting", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A step or a group of steps.

    `lines` are shown below its name; `label` is the complete text for readers who cannot see the
    picture.
    """

    name: str
    state: str
    lines: tuple[str, ...]
    label: str
    link: str | None
    is_group: bool

    @property
    def short_name(self) -> str:
        """Its name as far as there is room for it."""
        return cut_middle(self.name, _LONGEST_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A graph that is ready to be drawn; `alt` says what it shows."""

    boxes: tuple[Box, ...]
    layout: Layout
    box_width: float
    box_height: float
    alt: str

    @property
    def width(self) -> float:
        """Its natural width in pixels."""
        return self.layout.width + 2 * _MARGIN

    @property
    def height(self) -> float:
        """Its natural height in pixels."""
        return self.layout.height + 2 * _MARGIN

    def corner(self, box: Box) -> Point:
        """Where the box begins, at the upper left."""
        x, y = with_margin(self.layout.boxes[box.name])
        return x - self.box_width / 2, y - self.box_height / 2


def graph_of(steps: Sequence[ShownStep]) -> Graph | None:
    """The graph of these steps; None where there is nothing to see: no steps, or one."""
    if len(steps) < 2:
        return None
    by_name = steps_by_name(steps)
    after: dict[str, tuple[str, ...]] = {}
    nodes: dict[str, str] = {}
    for name, step in by_name.items():
        after[name] = _earlier_steps(step, by_name)
        if step.planned is not None and step.planned.node:
            nodes[name] = step.planned.node

    matrices = {matrix.title: matrix for matrix in matrices_of(steps)}
    groups = folded_steps(after, nodes) or folded_matrices(after, _names(matrices.values()))
    boxes = []
    if groups is None:
        shown = without_detours(after)
        for name in shown:
            boxes.append(_box_of_step(by_name[name], shown[name]))
    else:
        shown = without_detours(group_edges(after, groups))
        for title, names in groups.items():
            members = list(map(by_name.__getitem__, names))
            boxes.append(_box_of_group(title, members, shown[title], matrices.get(title)))
    # The combinations of a single matrix have their table.
    if len(boxes) < 2:
        return None

    # All boxes have one size, because lay_out takes one.
    width = max(map(_width, boxes))
    height = 12 + 18 * (1 + max(len(box.lines) for box in boxes))
    return Graph(
        boxes=tuple(boxes),
        layout=lay_out(shown, width, height),
        box_width=width,
        box_height=height,
        alt=_description(steps, after, groups),
    )


def _names(matrices: Iterable[MatrixSteps]) -> dict[str, list[str]]:
    names = {}
    for matrix in matrices:
        names[matrix.title] = [step.record.name for step in matrix.steps]
    return names


def graph_inline(graph: Graph) -> Markup:
    """Return the graph as part of a page; its boxes are links to the steps' pages.

    The page's style sheet gives the colours.
    """
    return element(
        "svg",
        _picture(graph),
        class_="graph",
        role="group",
        aria_label=graph.alt,
        width=pixels(graph.width),
        height=pixels(graph.height),
        viewBox=f"0 0 {pixels(graph.width)} {pixels(graph.height)}",
    )


def _earlier_steps(step: ShownStep, known: Container[str]) -> tuple[str, ...]:
    if step.planned is None:
        return ()
    earlier = dict.fromkeys(step.planned.after)
    # The plan may name steps that the graph does not show, and a line needs both of its ends.
    return tuple(name for name in earlier if name in known and name != step.record.name)


def _box_of_step(step: ShownStep, earlier: Sequence[str]) -> Box:
    record = step.record
    text = f"{SIGNS.get(step.word, '')} {step.word}"
    label = f"{record.name}: {step.word}"
    # Nothing ran for these in this run, whatever time their records have.
    if record.result not in ("reused", "skipped") and (took := duration(record.seconds)):
        text += f" · {took}"
        label += f" in {took}"
    if earlier:
        label += f", after {', '.join(earlier)}"
    state: str = record.outcome
    if step.is_waiting:
        state = _STATE_OF_WAITING
    return Box(
        name=record.name,
        state=state,
        lines=(text,),
        label=label,
        link=step.page,
        is_group=False,
    )


def _box_of_group(
    title: str, members: Sequence[ShownStep], earlier: Sequence[str], matrix: MatrixSteps | None
) -> Box:
    """A group; it leads to the table of its matrix, else to its first step that is worst off."""
    if len(members) == 1 and members[0].record.name == title:
        return _box_of_step(members[0], earlier)

    # _state_counts has the worst state first.
    counts = _state_counts(members)
    worst = _first_known(counts)
    how_many = counted(len(members), "step")
    label = f"{title}, {how_many}"
    ran = sum(step.record.seconds or 0 for step in members if step.record.result != "reused")
    if ran:
        how_many += f" · {duration(ran)}"
        label += f" in {duration(ran)}"

    states = _in_words(counts)
    label += f": {states}"
    if earlier:
        label += f", after {_first_names(earlier)}"
    state = worst
    if worst == "waiting":
        state = _STATE_OF_WAITING
    link = _page_of_first(worst, members)
    if matrix is not None and len(members) == len(matrix.steps):
        link = f"#{matrix.anchor}"
    return Box(
        name=title,
        state=state,
        lines=(how_many, f"{SIGNS.get(worst, '')} {states}"),
        label=label,
        link=link,
        is_group=True,
    )


def _first_known(counts: Mapping[str, int]) -> str:
    for state in _WORST_FIRST:
        if state in counts:
            return state
    return "passed"


def _page_of_first(state: str, steps: Iterable[ShownStep]) -> str | None:
    for step in steps:
        if step.word == state and step.page:
            return step.page
    return None


def _state_counts(steps: Iterable[ShownStep]) -> dict[str, int]:
    """How many steps are in each state, worst first, then states not known here."""
    counts = Counter(step.word for step in steps)
    return {state: counts[state] for state in (*_WORST_FIRST, *counts) if state in counts}


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _first_names(names: Sequence[str]) -> str:
    # A screen reader speaks all of a label, and hundreds of names would hide the rest.
    text = ", ".join(names[:_NAMED])
    if len(names) > _NAMED:
        text += " and more"
    return text


def _description(
    steps: Sequence[ShownStep],
    after: Mapping[str, Sequence[str]],
    groups: Mapping[str, Sequence[str]] | None,
) -> str:
    """Return the text for readers who cannot see the graph."""
    text = f"Graph of {len(steps):,} steps in {counted(max(stages(after).values()), 'stage')}"
    if groups:
        text += f", shown as {counted(len(groups), 'group')}"
    text += f": {_in_words(_state_counts(steps))}"

    failed = [step.record.name for step in steps if step.record.outcome == "failed"]
    if failed:
        text += f" (failed: {_first_names(failed)})"
    return text


def _width(box: Box) -> float:
    # Names are bold, and so wider than text_width says.
    name = text_width(box.short_name, _NAME_SIZE) * 1.14
    return 24 + max(name, widest(box.lines, _STATE_SIZE), 90)


def with_margin(point: Point) -> Point:
    """A point of the layout as the picture has it."""
    return point[0] + _MARGIN, point[1] + _MARGIN


def _picture(graph: Graph) -> Markup:
    layout = graph.layout
    joints = set(map(with_margin, layout.joints))
    boxes = []
    for box in graph.boxes:
        boxes.append(_draw_box(graph, box))

    curves, heads = _edge_paths(layout, joints)
    dots = []
    for x, y in sorted(joints):
        dots.append(element("circle", cx=pixels(x), cy=pixels(y), r=3, class_="heads"))
    return fragment(_path(curves, "edges"), _path(heads, "heads"), *dots, *boxes)


def _path(path: str, kind: str) -> Markup | None:
    if not path:
        return None
    return element("path", d=path, class_=kind)


def _edge_paths(layout: Layout, joints: Container[Point]) -> tuple[str, str]:
    """The path of all lines and that of all arrowheads."""
    # Two paths in all: an element for each line would be most of a large graph's page.
    curves, heads = "", ""
    for points in layout.lines:
        line = list(map(with_margin, points))
        curves += _curve(line, across=layout.across)
        if line[-1] not in joints:
            heads += _head(line[-1], across=layout.across)
    for start, end in layout.turns:
        (x0, y0), (x1, y1) = with_margin(start), with_margin(end)
        curves += f"M{pixels(x0)} {pixels(y0)}V{pixels((y0 + y1) / 2)}H{pixels(x1)}V{pixels(y1)}"
        heads += _head((x1, y1), across=False)
    return curves, heads


def _curve(line: Sequence[Point], *, across: bool) -> str:
    # Which of the coordinates changes along the graph, and which one beside it.
    along, beside = 1, 0
    if across:
        along, beside = 0, 1
    path = f"M{pixels(line[0][0])} {pixels(line[0][1])}"
    for start, end in pairwise(line):
        x0, y0, x1, y1 = map(pixels, (*start, *end))
        if start[beside] == end[beside]:
            path += f"L{x1} {y1}"
            continue
        middle = pixels((start[along] + end[along]) / 2)
        if across:
            path += f"C{middle} {y0} {middle} {y1} {x1} {y1}"
        else:
            path += f"C{x0} {middle} {x1} {middle} {x1} {y1}"
    return path


def _head(end: Point, *, across: bool) -> str:
    x, y = pixels(end[0]), pixels(end[1])
    if across:
        return f"M{x} {y}l-7 -4v8z"
    return f"M{x} {y}l-4 -7h8z"


def _draw_box(graph: Graph, box: Box) -> Markup:
    left, top = graph.corner(box)
    size = {"width": pixels(graph.box_width), "height": pixels(graph.box_height), "rx": "4"}

    content = []
    if box.is_group:
        # A second box behind the first one looks like a pile.
        content.append(element("rect", x=pixels(left + 4), y=pixels(top + 4), class_="box", **size))
    content.append(element("rect", x=pixels(left), y=pixels(top), class_="box", **size))

    name = box.short_name
    x = pixels(left + 12)
    content.append(element("text", name, x=x, y=pixels(top + 19), class_="name"))
    *sizes, state = box.lines
    y = top + 19
    for line in sizes:
        y += 18
        content.append(element("text", line, x=x, y=pixels(y), class_="size"))
    content.append(element("text", state, x=x, y=pixels(y + 18), class_="state"))
    # What the box does not show in full, the browser shows as its tooltip.
    if name != box.name or box.is_group:
        content.append(element("title", box.label))

    kind = f"node {box.state}"
    if box.link is not None:
        return element("a", *content, href=box.link, class_=kind, aria_label=box.label)
    return element("g", *content, class_=kind, role="img", aria_label=box.label)
