"""The graph of a run's steps as places and texts, for a page that draws it by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.records.page import GraphEdge, GraphNode, PageGraph
from nbci.report.charts.step_graph import with_margin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbci.report.charts.layout import Layout, Point
    from nbci.report.charts.step_graph import Box, Graph

_PAGE_OF_RUN = "index.html"


def plain_graph(graph: Graph, clean: Callable[[str], str]) -> PageGraph:
    """Return the graph's boxes and lines; `clean` makes a text one that may be shown."""
    return PageGraph(
        width=round(graph.width, 1),
        height=round(graph.height, 1),
        alt=clean(graph.alt),
        nodes=tuple(_node(graph, box, clean) for box in graph.boxes),
        edges=tuple(GraphEdge(points=points) for points in _routes(graph.layout)),
    )


def _node(graph: Graph, box: Box, clean: Callable[[str], str]) -> GraphNode:
    left, top = graph.corner(box)
    link = box.link or ""
    # The report's own graph is on the page of the run, where its matrix has a table.
    if link.startswith("#"):
        link = f"{_PAGE_OF_RUN}{link}"
    return GraphNode(
        name=clean(box.name),
        label=clean(box.short_name),
        x=round(left, 1),
        y=round(top, 1),
        width=round(graph.box_width, 1),
        height=round(graph.box_height, 1),
        result=box.state,
        # The box is as wide as its longest line; the others are in the title.
        note=clean(box.lines[-1]),
        title=clean(box.label),
        link=link,
    )


def _routes(layout: Layout) -> Iterator[tuple[Point, ...]]:
    for line in layout.lines:
        yield tuple(map(_rounded, line))
    for start, end in layout.turns:
        # From the end of a row down, to the beginning of the next one, and down again.
        between = (start[1] + end[1]) / 2
        yield tuple(map(_rounded, (start, (start[0], between), (end[0], between), end)))


def _rounded(point: Point) -> Point:
    x, y = with_margin(point)
    return round(x, 1), round(y, 1)
