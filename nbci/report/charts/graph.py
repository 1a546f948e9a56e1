"""Draw the graph of a run's steps: state, time and reuse of each, with links to their pages.

Where there are many steps, they are folded into groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted
from nbci.report.charts.folding import between, folded_steps, stages, without_detours
from nbci.report.charts.layout import laid_out
from nbci.report.charts.svg import middle_cut, short, text_width
from nbci.report.html.markup import Markup, element, fragment
from nbci.report.html.page import SIGNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.report.charts.layout import Laid, Point
    from nbci.report.data.view import ShownStep

_NAME_SIZE, _STATE_SIZE = 13, 12
_MARGIN = 6
_LONGEST_NAME = 30
_NAMED = 5
_WORST_FIRST = ("failed", "interrupted", "running", "passed", "reused", "waiting", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """A step or a group of steps.

    `lines` are shown below its name; `said` is the complete text for readers who cannot see the
    picture.
    """

    name: str
    state: str
    lines: tuple[str, ...]
    said: str
    link: str | None
    is_group: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A graph that is ready to be drawn; `alt` says what it shows."""

    boxes: tuple[_Box, ...]
    laid: Laid
    box_width: float
    box_height: float
    alt: str

    @property
    def width(self) -> float:
        """Its natural width in pixels."""
        return self.laid.width + 2 * _MARGIN

    @property
    def height(self) -> float:
        """Its natural height in pixels."""
        return self.laid.height + 2 * _MARGIN


def graph_of(steps: Sequence[ShownStep]) -> Graph | None:
    """The graph of these steps; None where there is nothing to see: no steps, or one."""
    if len(steps) < 2:
        return None
    known = {step.record.name for step in steps}
    after = {step.record.name: _earlier(step, known) for step in steps}
    nodes = {step.record.name: step.planned.node for step in steps if step.planned}
    groups = folded_steps(after, nodes)
    by_name = {step.record.name: step for step in steps}
    if groups is None:
        shown = without_detours(after)
        boxes = [_single(by_name[name], shown[name]) for name in shown]
    else:
        shown = without_detours(between(after, groups))
        boxes = [
            _box(title, [by_name[name] for name in members], shown)
            for title, members in groups.items()
        ]
    width = max(_width(box) for box in boxes)
    height = 12 + 18 * (1 + max(len(box.lines) for box in boxes))
    return Graph(
        boxes=tuple(boxes),
        laid=laid_out(shown, width, height),
        box_width=width,
        box_height=height,
        alt=_said(steps, after, groups),
    )


def graph_inline(graph: Graph) -> Markup:
    """Return the graph as part of a page; its boxes are links to the steps' pages.

    The page's style sheet gives the colours.
    """
    return element(
        "svg",
        _drawn(graph),
        class_="graph",
        role="group",
        aria_label=graph.alt,
        width=short(graph.width),
        height=short(graph.height),
        viewBox=f"0 0 {short(graph.width)} {short(graph.height)}",
    )


def _earlier(step: ShownStep, known: set[str]) -> tuple[str, ...]:
    if step.planned is None:
        return ()
    return tuple(
        name
        for name in dict.fromkeys(step.planned.after)
        if name in known and name != step.record.name
    )


def _single(step: ShownStep, earlier: Iterable[str]) -> _Box:
    record = step.record
    took = duration(record.seconds) if record.result not in ("reused", "skipped") else ""
    state = f"{SIGNS.get(step.word, '')} {step.word}" + (f" · {took}" if took else "")
    waits = ", ".join(earlier)
    return _Box(
        name=record.name,
        state="skipped" if step.is_waiting else record.outcome,
        lines=(state,),
        said=f"{record.name}: {step.word}{f' in {took}' if took else ''}{f', after {waits}' if waits else ''}",
        link=step.page,
        is_group=False,
    )


def _box(title: str, members: Sequence[ShownStep], shown: Mapping[str, Sequence[str]]) -> _Box:
    """A group; it leads to the page of its first step that is worst off."""
    if len(members) == 1 and members[0].record.name == title:
        return _single(members[0], shown[title])
    counts = _counts(members)
    worst = next((state for state in _WORST_FIRST if state in counts), "passed")
    words = ", ".join(f"{count} {state}" for state, count in counts.items())
    ran = sum(step.record.seconds or 0 for step in members if step.record.result != "reused")
    how_many = counted(len(members), "step") + (f" · {duration(ran)}" if ran else "")
    waits = ", ".join(shown[title][:_NAMED]) + ("" if len(shown[title]) <= _NAMED else " and more")
    return _Box(
        name=title,
        state="skipped" if worst == "waiting" else worst,
        lines=(how_many, f"{SIGNS.get(worst, '')} {words}"),
        said=f"{title}, {how_many.replace(' · ', ' in ')}: {words}{f', after {waits}' if waits else ''}",
        link=next((step.page for step in members if step.word == worst and step.page), None),
        is_group=True,
    )


def _counts(steps: Iterable[ShownStep]) -> dict[str, int]:
    found: dict[str, int] = {}
    for step in steps:
        found[step.word] = found.get(step.word, 0) + 1
    return {state: found[state] for state in (*_WORST_FIRST, *found) if state in found}


def _said(
    steps: Sequence[ShownStep],
    after: Mapping[str, Sequence[str]],
    groups: Mapping[str, Sequence[str]] | None,
) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in _counts(steps).items())
    failed = [step.record.name for step in steps if step.record.outcome == "failed"]
    named = (
        f" (failed: {', '.join(failed[:_NAMED])}{' and more' if len(failed) > _NAMED else ''})"
        if failed
        else ""
    )
    folded = f", shown as {counted(len(groups), 'group')}" if groups else ""
    stage_count = counted(max(stages(after).values()), "stage")
    return f"Graph of {len(steps):,} steps in {stage_count}{folded}: {counts}{named}"


def _width(box: _Box) -> float:
    name = text_width(middle_cut(box.name, _LONGEST_NAME), _NAME_SIZE) * 1.14
    return 24 + max(name, *(text_width(line, _STATE_SIZE) for line in box.lines), 90)


def _drawn(graph: Graph) -> Markup:
    def at(point: Point) -> Point:
        return point[0] + _MARGIN, point[1] + _MARGIN

    lines = [[at(point) for point in line] for line in graph.laid.lines]
    joints = {at(point) for point in graph.laid.joints}
    across = graph.laid.across
    curves = "".join(_curve(line, across=across) for line in lines)
    heads = "".join(_head(line[-1], across=across) for line in lines if line[-1] not in joints)
    for start, end in graph.laid.turns:
        (x0, y0), (x1, y1) = at(start), at(end)
        curves += f"M{short(x0)} {short(y0)}V{short((y0 + y1) / 2)}H{short(x1)}V{short(y1)}"
        heads += _head((x1, y1), across=False)
    boxes = [_drawn_box(graph, box, at(graph.laid.boxes[box.name])) for box in graph.boxes]
    return fragment(
        element("path", d=curves, class_="edges") if curves else None,
        element("path", d=heads, class_="heads") if heads else None,
        *(
            element("circle", cx=short(x), cy=short(y), r=3, class_="heads")
            for x, y in sorted(joints)
        ),
        *boxes,
    )


def _curve(line: Sequence[Point], *, across: bool) -> str:
    written = [f"M{short(line[0][0])} {short(line[0][1])}"]
    for (x0, y0), (x1, y1) in pairwise(line):
        if (y0 == y1) if across else (x0 == x1):
            written.append(f"L{short(x1)} {short(y1)}")
            continue
        middle = short((x0 + x1) / 2 if across else (y0 + y1) / 2)
        bend = (
            f"{middle} {short(y0)} {middle} {short(y1)}"
            if across
            else f"{short(x0)} {middle} {short(x1)} {middle}"
        )
        written.append(f"C{bend} {short(x1)} {short(y1)}")
    return "".join(written)


def _head(end: Point, *, across: bool) -> str:
    x, y = short(end[0]), short(end[1])
    return f"M{x} {y}l-7 -4v8z" if across else f"M{x} {y}l-4 -7h8z"


def _drawn_box(graph: Graph, box: _Box, middle: Point) -> Markup:
    left, top = middle[0] - graph.box_width / 2, middle[1] - graph.box_height / 2
    size = {"width": short(graph.box_width), "height": short(graph.box_height), "rx": "4"}
    behind = (
        element("rect", x=short(left + 4), y=short(top + 4), class_="box", **size)
        if box.is_group
        else None
    )
    name = middle_cut(box.name, _LONGEST_NAME)
    content = fragment(
        behind,
        element("rect", x=short(left), y=short(top), class_="box", **size),
        element("text", name, x=short(left + 12), y=short(top + 19), class_="name"),
        *(
            element(
                "text",
                line,
                x=short(left + 12),
                y=short(top + 19 + 18 * at),
                class_="state" if at == len(box.lines) else "size",
            )
            for at, line in enumerate(box.lines, 1)
        ),
        element("title", box.said) if name != box.name or box.is_group else None,
    )
    kind = f"node {box.state}"
    if box.link is not None:
        return element("a", content, href=box.link, class_=kind, aria_label=box.said)
    return element("g", content, class_=kind, role="img", aria_label=box.said)
