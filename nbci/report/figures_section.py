"""Pictures as parts of a page: the graph of the steps, and figures with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.report.figures.graph import graph_inline, graph_of
from nbci.report.markup import Markup, element, folded, fragment, table
from nbci.report.page import section
from nbci.report.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.report.figures.figure import Figure, Numbers
    from nbci.report.view import ShownStep


def graph_section(steps: Sequence[ShownStep]) -> Markup | None:
    """The graph, in a box that scrolls; None for a pipeline of one step."""
    graph = graph_of(steps)
    if graph is None:
        return None
    box = element(
        "div",
        graph_inline(graph),
        class_="scroll graph-box",
        tabindex=0,
        role="region",
        aria_label="Graph of the steps",
    )
    return section("Graph", box, anchor="graph")


def figures_shown(figures: Iterable[Figure], *, root: str) -> Markup:
    """The figures side by side; `root` leads from the page to the report's folder."""
    return element("div", *(_figure(figure, root) for figure in figures), class_="figures")


def _figure(figure: Figure, root: str) -> Markup:
    caption = element(
        "figcaption",
        element("strong", figure.title),
        *((" ", element("span", figure.source, class_="notes")) if figure.source else ()),
        element("p", figure.note, class_="note") if figure.note else None,
    )
    picture = (
        element(
            "img", src=f"{root}{figure.path}", alt=figure.alt, width=figure.width, height=figure.height, class_="own"
        )
        if figure.path
        else None
    )
    return element("figure", caption, picture, _numbers(figure, figure.numbers) if figure.numbers else None)


def _numbers(figure: Figure, numbers: Numbers) -> Markup:
    left_out = f"{counted(numbers.left_out, 'more row')} not shown" if numbers.left_out else None
    shown = fragment(
        table(f"Numbers of {figure.title}", numbers.heads, numbers.rows),
        element("p", left_out, class_="note") if left_out else None,
    )
    return shown if figure.path is None else folded("Numbers", shown)
