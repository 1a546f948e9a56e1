"""The headings of the notebooks as a table of contents, which leads to the steps' pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted
from nbci.report.data.markdown_places import markdown_by_step
from nbci.report.data.view import markdown_anchor
from nbci.report.html.markdown_tokens import find_headings
from nbci.report.html.markup import Markup, element, fold, fragment
from nbci.report.html.page import section
from nbci.report.html.untrusted import own_id
from nbci.report.pages.cell_outputs import is_laid_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.plan.model import MarkdownCell, Plan
    from nbci.report.data.view import ShownStep

_UNFOLDED = 40
_DEEPEST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A heading of a notebook; `address` is its place in the report, None where it has none."""

    level: int
    text: str
    address: str | None


def outline_section(plan: Plan, steps: Sequence[ShownStep]) -> Markup | None:
    """The headings of each notebook in its order; None where it has none."""
    parts = []
    for path, cells in _places(plan, steps).items():
        entries = list(_entries(cells))
        if entries:
            parts.append(fragment(element("p", element("code", path)), *_lists(entries)))
    if not parts:
        return None
    return section("Outline", *parts, anchor="outline")


def _places(
    plan: Plan, steps: Sequence[ShownStep]
) -> dict[str, list[tuple[MarkdownCell, str | None]]]:
    """The Markdown cells of each notebook in order, and the page that shows each."""
    texts = markdown_by_step(plan)
    found: dict[str, dict[int, tuple[MarkdownCell, str | None]]] = {}
    for step in steps:
        if step.planned is None:
            continue
        cells = found.setdefault(step.planned.notebook, {})
        for text in texts.get(step.record.name, ()):
            # Of the steps of a matrix, which all show it, the first that has a page.
            if cells.get(text.cell.number, (None, None))[1] is None:
                cells[text.cell.number] = text.cell, step.page
    in_order = {}
    for path, cells in found.items():
        in_order[path] = [cells[number] for number in sorted(cells)]
    return in_order


def _entries(cells: Iterable[tuple[MarkdownCell, str | None]]) -> Iterator[_Entry]:
    taken: dict[str | None, set[str]] = {}
    for cell, page in cells:
        if not is_laid_out(cell.source):
            continue
        ids = taken.setdefault(page, set())
        for at, heading in enumerate(find_headings(cell.source)):
            anchor, own = markdown_anchor(cell.number), own_id(heading.wanted_id)
            # On a page with two headings of one name, the id leads to the first.
            if at > 0 and own not in ids:
                anchor = own
            ids.add(own)
            address = None
            if page is not None:
                address = f"{page}#{anchor}"
            yield _Entry(level=heading.level, text=heading.text, address=address)


def _lists(entries: Sequence[_Entry]) -> Iterator[Markup]:
    highest = min(entry.level for entry in entries)
    yield _list(entries[:_UNFOLDED], highest)
    more = entries[_UNFOLDED:]
    if more:
        yield fold(counted(len(more), "more heading"), _list(more, highest))


def _list(entries: Iterable[_Entry], highest: int) -> Markup:
    items = []
    for entry in entries:
        shown = element("span", entry.text)
        if entry.address is not None:
            shown = element("a", entry.text, href=entry.address)
        depth = min(entry.level - highest + 1, _DEEPEST)
        items.append(element("li", shown, class_=f"depth-{depth}"))
    return element("ul", *items, class_="outline")
