"""Where the boxes of a graph stand and how its lines run; grandalf finds the places."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nbci.report.charts.folding import stages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

PAGE_WIDTH = 980
"""How wide a picture may be without the page having to scroll."""
_JUNCTION = "\0"
_BETWEEN_RANKS = 44
_BETWEEN_BOXES = 14

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """The middle of each box, and the points of each line from one box's end to the next's start.

    `across`: the graph runs from left to right; else from top to bottom. `joints` are where many
    lines meet, `turns` the lines from the end of a row to the beginning of the next.
    """

    across: bool
    width: float
    height: float
    boxes: Mapping[str, Point]
    lines: tuple[tuple[Point, ...], ...]
    joints: tuple[Point, ...] = ()
    turns: tuple[tuple[Point, Point], ...] = ()


class _View:
    """The size of a box, which grandalf reads, and its place, which grandalf writes."""

    def __init__(self, w: float, h: float) -> None:
        self.w, self.h = w, h
        self.xy: Point = (0.0, 0.0)


def laid_out(after: Mapping[str, Sequence[str]], width: float, height: float) -> Laid:
    """Places for boxes of one size; `after` has no cycle and no detours."""
    across = _runs_across(after, width)
    if not across and _is_chain(after):
        return _in_rows(list(after), width, height)
    joined = _with_joints(after)
    parts = [_part(names, joined, width, height, across=across) for names in _components(joined)]
    boxes: dict[str, Point] = {}
    lines: list[tuple[Point, ...]] = []
    joints: list[Point] = []
    for part, (left, top) in zip(
        parts, _shelves([(part.width, part.height) for part in parts]), strict=True
    ):
        boxes |= {name: (x + left, y + top) for name, (x, y) in part.boxes.items()}
        lines += [tuple((x + left, y + top) for x, y in line) for line in part.lines]
        joints += [(x + left, y + top) for x, y in part.joints]
    right = max((x for x, _ in boxes.values()), default=0.0) + width / 2
    bottom = max((y for _, y in boxes.values()), default=0.0) + height / 2
    edge = max((x for line in lines for x, _ in line), default=0.0)
    lowest = max((y for line in lines for _, y in line), default=0.0)
    return Laid(
        across=across,
        width=max(right, edge),
        height=max(bottom, lowest),
        boxes=boxes,
        lines=tuple(lines),
        joints=tuple(joints),
    )


def _runs_across(after: Mapping[str, Sequence[str]], width: float) -> bool:
    """Whether the graph runs from left to right instead of from top to bottom.

    It does where the page is wide enough for it, or where the other direction would be wider still.
    """
    stage = stages(after)
    in_stage: dict[int, int] = {}
    for number in stage.values():
        in_stage[number] = in_stage.get(number, 0) + 1
    across = max(stage.values()) * (width + _BETWEEN_RANKS) - _BETWEEN_RANKS
    down = max(in_stage.values()) * (width + _BETWEEN_BOXES) - _BETWEEN_BOXES
    return across <= max(PAGE_WIDTH, down)


def _is_chain(after: Mapping[str, Sequence[str]]) -> bool:
    """Whether each waits for the one before it."""
    return all(
        tuple(earlier) == (before,)
        for before, earlier in zip(after, list(after.values())[1:], strict=False)
    )


def _in_rows(names: Sequence[str], width: float, height: float) -> Laid:
    """Lay out a chain that is too long for one row in rows, as lines of text."""
    step, down = width + _BETWEEN_RANKS, height + _BETWEEN_RANKS
    count = max(1, int((PAGE_WIDTH + _BETWEEN_RANKS) / step))
    places = [
        (width / 2 + at % count * step, height / 2 + at // count * down) for at in range(len(names))
    ]
    lines, turns = [], []
    for (x0, y0), (x1, y1) in pairwise(places):
        if y0 == y1:
            lines.append(((x0 + width / 2, y0), (x1 - width / 2, y1)))
        else:
            turns.append(((x0, y0 + height / 2), (x1, y1 - height / 2)))
    return Laid(
        across=True,
        width=max(x for x, _ in places) + width / 2,
        height=places[-1][1] + height / 2,
        boxes=dict(zip(names, places, strict=True)),
        lines=tuple(lines),
        turns=tuple(turns),
    )


def _with_joints(after: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Route the lines through one joint where many steps wait for the same many steps.

    The joint takes one line from each step and leads one line to each, instead of one line for
    every pair.
    """
    waiting: dict[tuple[str, ...], list[str]] = {}
    for name, earlier in after.items():
        waiting.setdefault(tuple(sorted(earlier)), []).append(name)
    result = {name: tuple(earlier) for name, earlier in after.items()}
    many = [
        (earlier, names)
        for earlier, names in waiting.items()
        # Two by two need four lines with or without a joint; three by three, six instead of nine.
        if len(earlier) >= 3 and len(names) >= 3
    ]
    for at, (earlier, names) in enumerate(many):
        joint = f"{_JUNCTION}{at}"
        result[joint] = earlier
        result |= dict.fromkeys(names, (joint,))
    return result


def _components(after: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """The names of each connected part, in the graph's order."""
    beside: dict[str, list[str]] = {name: list(earlier) for name, earlier in after.items()}
    for name, earlier in after.items():
        for other in earlier:
            beside[other].append(name)
    part_of: dict[str, int] = {}
    for at, start in enumerate(after):
        if start in part_of:
            continue
        stack, part_of[start] = [start], at
        while stack:
            for other in beside[stack.pop()]:
                if other not in part_of:
                    part_of[other] = at
                    stack.append(other)
    parts: dict[int, list[str]] = {}
    for name in after:
        parts.setdefault(part_of[name], []).append(name)
    return (tuple(names) for names in parts.values())


def _part(
    names: Iterable[str],
    after: Mapping[str, Sequence[str]],
    width: float,
    height: float,
    *,
    across: bool,
) -> Laid:
    """One connected part, its upper left corner at 0, 0.

    grandalf lays out downwards; across is that, turned.
    """
    size = (height, width) if across else (width, height)
    points, routes = _sugiyama(names, after, size)
    least = min(x for x, _ in points.values()) - size[0] / 2
    half = size[1] / 2

    def turned(x: float, y: float) -> Point:
        return (y, x - least) if across else (x - least, y)

    lines = []
    for start, end, between in routes:
        (x0, y0), (x1, y1) = points[start], points[end]
        first = (x0, y0 if _is_joint(start) else y0 + half)
        last = (x1, y1 if _is_joint(end) else y1 - half)
        lines.append(tuple(turned(x, y) for x, y in (first, *between, last)))
    placed = {name: turned(*point) for name, point in points.items()}
    breadth = max(x for x, _ in points.values()) - least + size[0] / 2
    length = max(y for _, y in points.values()) + half
    return Laid(
        across=across,
        width=length if across else breadth,
        height=breadth if across else length,
        boxes={name: point for name, point in placed.items() if not _is_joint(name)},
        lines=tuple(lines),
        joints=tuple(point for name, point in placed.items() if _is_joint(name)),
    )


def _is_joint(name: str) -> bool:
    return name.startswith(_JUNCTION)


def _sugiyama(
    names: Iterable[str], after: Mapping[str, Sequence[str]], size: tuple[float, float]
) -> tuple[dict[str, Point], list[tuple[str, str, list[Point]]]]:
    """Return the middle of each box, and each line with the points that it passes in between."""
    from grandalf.graphs import Edge, Vertex, graph_core
    from grandalf.layouts import SugiyamaLayout

    vertices: dict[str, Any] = {}
    for name in names:
        vertices[name] = Vertex(name)
        # A joint is a point; the size of a box would push the boxes apart.
        vertices[name].view = _View(*((2, 2) if _is_joint(name) else size))
    pairs = [(earlier, name) for name in vertices for earlier in after[name]]
    edges = [Edge(vertices[earlier], vertices[name]) for earlier, name in pairs]
    # `Graph` passes the edges of each component on as a set, whose order is that of addresses in
    # memory, and so places an irregular graph differently in each process.
    layout = SugiyamaLayout(graph_core(list(vertices.values()), edges))
    layout.xspace, layout.yspace = _BETWEEN_BOXES, _BETWEEN_RANKS
    layout.init_all(inverted_edges=[])
    # a line that passes a rank needs less room than a box does
    layout.dw = layout.dh = 8
    for dummy in (vertex for vertex in layout.grx if layout.grx[vertex].dummy):
        dummy.view.w = dummy.view.h = 8
    layout.draw(3)
    _tighten(layout.layers)
    routes = []
    for edge, (earlier, name) in zip(edges, pairs, strict=True):
        passed = layout.ctrls.get(edge, {})
        between = [passed[rank].view.xy for rank in sorted(passed)][1:-1]
        routes.append((earlier, name, between))
    return {name: vertex.view.xy for name, vertex in vertices.items()}, routes


def _tighten(layers: Sequence[Sequence[Any]]) -> None:
    """Move together what grandalf spread out.

    grandalf gives a tangled graph many times the breadth that its ranks need.
    """
    spans = [vertex.view.xy[0] for layer in layers for vertex in layer]
    needed = max(sum(vertex.view.w + _BETWEEN_BOXES for vertex in layer) for layer in layers)
    if (breadth := max(spans) - min(spans)) <= 1.25 * needed:
        return
    scale = 1.1 * needed / breadth
    for layer in layers:
        views = sorted((vertex.view for vertex in layer), key=lambda view: view.xy[0])
        for view, x in zip(
            views,
            _apart([view.xy[0] * scale for view in views], [view.w for view in views]),
            strict=True,
        ):
            view.xy = (x, view.xy[1])


def _apart(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Return places in this order, no two too close, as near as possible to those wanted.

    "Near" is by least squares.

    >>> _apart([0, 1, 50], [6, 6, 6])
    [-9.5, 10.5, 50.0]
    """
    offsets = [0.0]
    for before, width in pairwise(widths):
        offsets.append(offsets[-1] + (before + width) / 2 + _BETWEEN_BOXES)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        mean, count = want - offset, 1
        # Pool adjacent violators: neighbours in the wrong order share their mean.
        while blocks and blocks[-1][0] > mean:
            other, others = blocks.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        blocks.append((mean, count))
    means = [mean for mean, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _shelves(sizes: Sequence[tuple[float, float]]) -> list[Point]:
    """Where to put parts of these sizes: side by side while the page is wide enough, then below."""
    places: list[Point] = []
    left = top = lowest = 0.0
    for width, height in sizes:
        if left and left + width > PAGE_WIDTH:
            left, top = 0.0, lowest + 2 * _BETWEEN_BOXES
        places.append((left, top))
        left += width + 2 * _BETWEEN_BOXES
        lowest = max(lowest, top + height)
    return places
