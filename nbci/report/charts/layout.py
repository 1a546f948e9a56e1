"""Where the boxes of a graph stand and how its lines run; grandalf finds the places."""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, Any

from nbci.graph import followers_of
from nbci.light_imports import lean_import
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
class Layout:
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


def lay_out(after: Mapping[str, Sequence[str]], width: float, height: float) -> Layout:
    """Places for boxes of one size; `after` has no cycle and no detours."""
    across = _runs_across(after, width)
    if not across and _is_chain(after):
        return _in_rows(list(after), width, height)

    # Each connected part by itself: grandalf's layout takes one connected graph only.
    joined = _with_joints(after)
    parts = []
    for names in _components(joined):
        parts.append(_lay_out_part(names, joined, width, height, across=across))

    boxes: dict[str, Point] = {}
    lines: list[tuple[Point, ...]] = []
    joints: list[Point] = []
    for part, corner in zip(parts, _shelves(parts), strict=True):
        boxes.update(zip(part.boxes, _shift(part.boxes.values(), corner), strict=True))
        for line in part.lines:
            lines.append(tuple(_shift(line, corner)))
        joints += _shift(part.joints, corner)

    # Lines may bend around boxes, beyond the outermost one.
    right, bottom = _farthest(boxes.values())
    edge, lowest = _farthest(chain.from_iterable(lines))
    return Layout(
        across=across,
        width=max(right + width / 2, edge),
        height=max(bottom + height / 2, lowest),
        boxes=boxes,
        lines=tuple(lines),
        joints=tuple(joints),
    )


def _shift(points: Iterable[Point], by: Point) -> Iterator[Point]:
    right, down = by
    for x, y in points:
        yield x + right, y + down


def _farthest(points: Iterable[Point]) -> Point:
    """The largest x and the largest y of the points; 0, 0 without any."""
    right = bottom = 0.0
    for x, y in points:
        right, bottom = max(right, x), max(bottom, y)
    return right, bottom


def _runs_across(after: Mapping[str, Sequence[str]], width: float) -> bool:
    """Whether the graph runs from left to right instead of from top to bottom.

    It does where the page is wide enough for it, or where the other direction would be wider still.
    """
    stage = stages(after)
    largest_stage = max(Counter(stage.values()).values())
    across = max(stage.values()) * (width + _BETWEEN_RANKS) - _BETWEEN_RANKS
    down = largest_stage * (width + _BETWEEN_BOXES) - _BETWEEN_BOXES
    return across <= max(PAGE_WIDTH, down)


def _is_chain(after: Mapping[str, Sequence[str]]) -> bool:
    """Whether each waits for the one before it."""
    rest = islice(after.values(), 1, None)
    pairs = zip(after, rest, strict=False)
    return all(tuple(earlier) == (before,) for before, earlier in pairs)


def _in_rows(names: Sequence[str], width: float, height: float) -> Layout:
    """Lay out a chain that is too long for one row in rows, as lines of text."""
    step, down = width + _BETWEEN_RANKS, height + _BETWEEN_RANKS
    count = max(1, int((PAGE_WIDTH + _BETWEEN_RANKS) / step))
    places: list[Point] = []
    for at in range(len(names)):
        row, column = divmod(at, count)
        places.append((width / 2 + column * step, height / 2 + row * down))

    lines, turns = [], []
    for (x0, y0), (x1, y1) in pairwise(places):
        if y0 == y1:
            lines.append(((x0 + width / 2, y0), (x1 - width / 2, y1)))
        else:
            turns.append(((x0, y0 + height / 2), (x1, y1 - height / 2)))
    right, bottom = _farthest(places)
    return Layout(
        across=True,
        width=right + width / 2,
        height=bottom + height / 2,
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

    joined = dict(zip(after, map(tuple, after.values()), strict=True))
    count = 0
    for earlier, names in waiting.items():
        # Two by two need four lines with or without a joint; three by three, six instead of nine.
        if len(earlier) < 3 or len(names) < 3:
            continue
        joint = f"{_JUNCTION}{count}"
        count += 1
        joined[joint] = earlier
        joined |= dict.fromkeys(names, (joint,))
    return joined


def _components(after: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """The names of each connected part, in the graph's order."""
    followers = followers_of(after)
    part_of: dict[str, int] = {}
    for at, start in enumerate(after):
        if start in part_of:
            continue
        stack, part_of[start] = [start], at
        while stack:
            name = stack.pop()
            for other in (*after[name], *followers[name]):
                if other not in part_of:
                    part_of[other] = at
                    stack.append(other)

    parts: dict[int, list[str]] = {}
    for name in after:
        parts.setdefault(part_of[name], []).append(name)
    return map(tuple, parts.values())


def _lay_out_part(
    names: Iterable[str],
    after: Mapping[str, Sequence[str]],
    width: float,
    height: float,
    *,
    across: bool,
) -> Layout:
    """One connected part, its upper left corner at 0, 0."""
    if not across:
        return _lay_out_downwards(names, after, width, height)
    # grandalf lays out downwards only; across is that with x and y exchanged.
    down = _lay_out_downwards(names, after, height, width)
    boxes = zip(down.boxes, map(_exchange, down.boxes.values()), strict=True)
    lines = [tuple(map(_exchange, line)) for line in down.lines]
    return Layout(
        across=True,
        width=down.height,
        height=down.width,
        boxes=dict(boxes),
        lines=tuple(lines),
        joints=tuple(map(_exchange, down.joints)),
    )


def _exchange(point: Point) -> Point:
    return point[1], point[0]


def _lay_out_downwards(
    names: Iterable[str], after: Mapping[str, Sequence[str]], width: float, height: float
) -> Layout:
    points, routes = _sugiyama(names, after, (width, height))
    leftmost, _ = min(points.values())
    to_edge = (width / 2 - leftmost, 0.0)

    lines = []
    for start, end, passed in routes:
        first, last = points[start], points[end]
        # A line starts and ends at the border of a box, and in the middle of a joint.
        if not _is_joint(start):
            first = (first[0], first[1] + height / 2)
        if not _is_joint(end):
            last = (last[0], last[1] - height / 2)
        lines.append(tuple(_shift((first, *passed, last), to_edge)))

    boxes: dict[str, Point] = {}
    joints: list[Point] = []
    middles = list(_shift(points.values(), to_edge))
    for name, point in zip(points, middles, strict=True):
        if _is_joint(name):
            joints.append(point)
        else:
            boxes[name] = point

    right, lowest = _farthest(middles)
    return Layout(
        across=False,
        width=right + width / 2,
        height=lowest + height / 2,
        boxes=boxes,
        lines=tuple(lines),
        joints=tuple(joints),
    )


def _is_joint(name: str) -> bool:
    return name.startswith(_JUNCTION)


def import_grandalf() -> None:
    """Import what finds the places, without numpy, whose import takes longer than a graph."""
    # Only a layout that is not used here counts with it; grandalf has its own arrays for that one.
    lean_import("grandalf.utils.geometry", without=("numpy",))
    lean_import("grandalf.layouts")


def _sugiyama(
    names: Iterable[str], after: Mapping[str, Sequence[str]], size: tuple[float, float]
) -> tuple[dict[str, Point], list[tuple[str, str, list[Point]]]]:
    """Return the middle of each box, and each line with the points that it passes in between."""
    import_grandalf()
    from grandalf.graphs import Edge, Vertex, graph_core
    from grandalf.layouts import SugiyamaLayout

    vertices: dict[str, Any] = {}
    for name in names:
        vertices[name] = Vertex(name)
        vertices[name].view = _View(*size)
        if _is_joint(name):
            # A joint is a point; the size of a box would push the boxes apart.
            vertices[name].view = _View(2, 2)
    pairs, edges = [], []
    for name, vertex in vertices.items():
        for earlier in after[name]:
            pairs.append((earlier, name))
            edges.append(Edge(vertices[earlier], vertex))
    # `Graph` passes the edges of each component on as a set, whose order is that of addresses in
    # memory, and so places an irregular graph differently in each process.
    layout = SugiyamaLayout(graph_core(list(vertices.values()), edges))
    layout.xspace, layout.yspace = _BETWEEN_BOXES, _BETWEEN_RANKS
    layout.init_all(inverted_edges=[])

    # A line that passes a rank needs less room than a box does.
    layout.dw = layout.dh = 8
    for vertex, place in layout.grx.items():
        if place.dummy:
            vertex.view.w = vertex.view.h = 8
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
    rows: list[list[_View]] = []
    for layer in layers:
        rows.append(sorted(map(operator.attrgetter("view"), layer), key=_x_of))
    centres = list(map(_x_of, chain.from_iterable(rows)))
    breadth = max(centres) - min(centres)
    needed = max(map(_needed_width, rows))
    if breadth <= 1.25 * needed:
        return

    scale = 1.1 * needed / breadth
    for row in rows:
        wanted = [view.xy[0] * scale for view in row]
        places = _apart(wanted, list(map(operator.attrgetter("w"), row)))
        for view, x in zip(row, places, strict=True):
            view.xy = (x, view.xy[1])


def _x_of(view: _View) -> float:
    return view.xy[0]


def _needed_width(row: Iterable[_View]) -> float:
    return sum(view.w + _BETWEEN_BOXES for view in row)


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
    means: list[float] = []
    for mean, count in blocks:
        means += [mean] * count
    return list(map(operator.add, means, offsets))


def _shelves(parts: Iterable[Layout]) -> Iterator[Point]:
    """Where to put parts: side by side while the page is wide enough, then below."""
    left = top = lowest = 0.0
    for part in parts:
        if left and left + part.width > PAGE_WIDTH:
            left, top = 0.0, lowest + 2 * _BETWEEN_BOXES
        yield left, top
        left += part.width + 2 * _BETWEEN_BOXES
        lowest = max(lowest, top + part.height)
