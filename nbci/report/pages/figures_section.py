"""Pictures as parts of a page: the graph of the steps, and figures with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted
from nbci.report.charts.graph import graph_inline, graph_of
from nbci.report.html.markup import Markup, element, folded, fragment, table
from nbci.report.html.page import linked, section

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.report.charts.figure import Figure, Numbers
    from nbci.report.data.view import ShownStep

_UNFOLDED = 8
_COLUMN = 450


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


def charts_section(
    charts: Sequence[Figure], *, root: str, steps: Sequence[ShownStep] = ()
) -> Markup | None:
    """What steps recorded, drawn; the first of them unfolded.

    Those of `steps` lead to their pages.
    """
    if not charts:
        return None
    pages = {step.record.name: step for step in steps}
    first, others = charts[:_UNFOLDED], charts[_UNFOLDED:]
    more = (
        folded(counted(len(others), "more chart"), figures_shown(others, root=root, pages=pages))
        if others
        else None
    )
    return section("Charts", figures_shown(first, root=root, pages=pages), more, anchor="charts")


def figures_shown(
    figures: Iterable[Figure], *, root: str, pages: Mapping[str, ShownStep] | None = None
) -> Markup:
    """The figures side by side; `root` leads from the page to the report's folder.

    `pages`: steps to be named.
    """
    return element(
        "div", *(_figure(figure, root, pages or {}) for figure in figures), class_="figures"
    )


def _figure(figure: Figure, root: str, pages: Mapping[str, ShownStep]) -> Markup:
    step = pages.get(figure.step) if figure.step is not None else None
    of = [linked(step)] if step is not None else []
    of += [element("span", figure.source, class_="notes")] if figure.source else []
    caption = element(
        "figcaption",
        element("strong", figure.title),
        *(part for one in of for part in (" ", one)),
        element("p", figure.note, class_="note") if figure.note else None,
    )
    picture = (
        element(
            "img",
            src=f"{root}{figure.path}",
            alt=figure.alt,
            width=figure.width,
            height=figure.height,
            loading="lazy",
            class_="own",
        )
        if figure.path
        else None
    )
    numbers = _numbers(figure, figure.numbers) if figure.numbers else None
    return element(
        "figure", caption, picture, numbers, class_="wide" if figure.width > _COLUMN else None
    )


def _numbers(figure: Figure, numbers: Numbers) -> Markup:
    left_out = f"{counted(numbers.left_out, 'more row')} not shown" if numbers.left_out else None
    shown = fragment(
        table(f"Numbers of {figure.title}", numbers.heads, numbers.rows),
        element("p", left_out, class_="note") if left_out else None,
    )
    return shown if figure.path is None else folded("Numbers", shown)
