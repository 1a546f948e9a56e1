"""Pictures as parts of a page: the graph of the steps, and figures with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted
from nbci.report.charts.step_graph import graph_inline, graph_of
from nbci.report.data.view import steps_by_name
from nbci.report.html.markup import Markup, element, fold, fragment, optional, table
from nbci.report.html.page import section, step_link

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.report.charts.figure import Figure, Numbers
    from nbci.report.data.view import ShownStep

_UNFOLDED = 8
# Figures stand in columns of this width in pixels; a wider one gets the whole width of the page.
_COLUMN = 450
_PHONE = 340
"""Pixels that a graph has on a phone."""


def graph_section(steps: Sequence[ShownStep]) -> Markup | None:
    """The graph, in a box that scrolls; None for a pipeline of one step."""
    graph = graph_of(steps)
    if graph is None:
        return None
    box = element(
        "div",
        graph_inline(graph),
        class_="scroll graph-box",
        # Without it, the box could not be scrolled by keyboard.
        tabindex=0,
        role="region",
        aria_label="Graph of the steps",
    )
    hint = None
    if graph.width > _PHONE:
        # The style sheet shows it on phones only: they hide the bars of what scrolls.
        hint = element("p", "The graph scrolls sideways.", class_="note scroll-hint")
    return section("Graph", hint, box, anchor="graph")


def charts_section(
    charts: Sequence[Figure], *, root: str, steps: Sequence[ShownStep] = ()
) -> Markup | None:
    """What steps recorded, drawn; the first of them unfolded.

    Those of `steps` lead to their pages.
    """
    if not charts:
        return None
    pages = steps_by_name(steps)
    first, others = charts[:_UNFOLDED], charts[_UNFOLDED:]
    parts = [figure_grid(first, root=root, pages=pages)]
    if others:
        title = counted(len(others), "more chart")
        parts.append(fold(title, figure_grid(others, root=root, pages=pages)))
    return section("Charts", *parts, anchor="charts")


def figure_grid(
    figures: Iterable[Figure],
    *,
    root: str,
    pages: Mapping[str, ShownStep] | None = None,
    class_: str = "figures",
) -> Markup:
    """The figures side by side; `root` leads from the page to the report's folder.

    `pages`: steps to be named.
    """
    shown = [_figure(figure, root, pages or {}) for figure in figures]
    return element("div", *shown, class_=class_)


def _figure(figure: Figure, root: str, pages: Mapping[str, ShownStep]) -> Markup:
    class_ = None
    if figure.is_scrolled or figure.width > _COLUMN:
        class_ = "wide"
    return element(
        "figure",
        _caption(figure, pages),
        _picture(figure, root),
        _numbers(figure, figure.numbers),
        class_=class_,
    )


def _caption(figure: Figure, pages: Mapping[str, ShownStep]) -> Markup:
    parts: list[str] = [element("strong", figure.title)]
    if figure.step is not None and figure.step in pages:
        parts += (" ", step_link(pages[figure.step]))
    if figure.source:
        parts += (" ", element("span", figure.source, class_="notes"))
    return element("figcaption", *parts, optional("p", figure.note, class_="note"))


def _picture(figure: Figure, root: str) -> Markup | None:
    """None for a figure that is only numbers."""
    if not figure.path:
        return None
    image = element(
        "img",
        src=f"{root}{figure.path}",
        alt=figure.alt,
        # Known before it is loaded, so that the page does not jump.
        width=figure.width,
        height=figure.height,
        loading="lazy",
        class_="own",
    )
    if not figure.is_scrolled:
        return image
    return element(
        "div",
        image,
        class_="scroll",
        # Without it, the box could not be scrolled by keyboard.
        tabindex=0,
        role="region",
        aria_label=figure.title,
    )


def _numbers(figure: Figure, numbers: Numbers | None) -> Markup | None:
    """The figure as a table, folded below its picture: for those who cannot see that."""
    if not numbers:
        return None
    shown = table(f"Numbers of {figure.title}", numbers.heads, numbers.rows)
    if numbers.left_out:
        words = f"{counted(numbers.left_out, 'more row')} not shown"
        shown = fragment(shown, element("p", words, class_="note"))
    if figure.path is None:
        return shown
    return fold("Numbers", shown)
