"""How a step's page marks what changed in its cells since the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import and_more, counted
from nbci.report.data.view import cell_name
from nbci.report.html.highlight import reveal_unseen
from nbci.report.html.markup import Markup, element, escape, fold, fragment, item_list
from nbci.report.html.pictures import BrokenPicture
from nbci.report.html.text_diff import counts, diff_block

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.report.data.view import ShownCell
    from nbci.report.html.pictures import Album
    from nbci.report.pages.cell_comparison import CellComparison, Picture

_UNFOLDED_LINES = 16
_NAMED_CELLS = 12
_WORDS = {"new": "new", "changed": "source changed"}


# ------------------------------------------------------------------------ the whole step
def summarize_cell_changes(
    comparisons: Sequence[CellComparison], title: str, *, outputs_known: bool
) -> Markup:
    """What changed in the step's cells, each with a link to it."""
    changed: list[ShownCell] = []
    new: list[ShownCell] = []
    removed: list[ShownCell] = []
    with_other_outputs: list[ShownCell] = []
    for found in comparisons:
        if found.after is None:
            if found.before is not None:
                removed.append(found.before)
            continue
        if found.kind == "changed":
            changed.append(found.after)
        elif found.kind == "new":
            new.append(found.after)
        if found.has_other_outputs:
            with_other_outputs.append(found.after)

    lines = [
        *_line_of_links("Changed: ", changed),
        *_line_of_links("New: ", new),
        *_line_of_removed(removed),
        *_line_of_links("Other outputs: ", with_other_outputs),
    ]
    if not outputs_known:
        lines.append(escape("Its outputs are no longer here to be compared."))
    shown = element("p", "Every cell and its outputs are the same.")
    if lines:
        shown = item_list(lines)
    return fragment(element("p", "Compared with ", title, "."), shown)


def _line_of_links(what: str, cells: Sequence[ShownCell]) -> list[Markup]:
    """A line with a link to each cell; none where there are no cells."""
    if not cells:
        return []
    first = cells[:_NAMED_CELLS]
    links = [element("a", cell_name(cell).lower(), href=f"#{cell.anchor}") for cell in first]
    return [fragment(what, Markup(", ".join(links)), and_more(len(cells), _NAMED_CELLS))]


def _line_of_removed(cells: Sequence[ShownCell]) -> list[Markup]:
    # Their numbers are those of the baseline, so there is nothing to link.
    if not cells:
        return []
    names = [cell_name(cell).lower() for cell in cells[:_NAMED_CELLS]]
    return [fragment("Gone: ", ", ".join(names))]


# -------------------------------------------------------------------------------- one cell
def change_mark(comparison: CellComparison | None) -> Markup | None:
    """A word beside the cell's name; nothing for a cell that is the same."""
    if comparison is None:
        return None
    words = _WORDS.get(comparison.kind, "")
    if comparison.has_other_outputs:
        words = " and ".join(filter(None, (words, "other outputs")))
    if not words:
        return None

    sign = "±"
    if comparison.kind == "new":
        sign = "+"
    return fragment(" ", element("span", f"{sign} {words}", class_="changed"))


def source_changes(comparison: CellComparison | None) -> Markup | None:
    """The difference of the source, folded if it is long."""
    if comparison is None:
        return None
    return _folded_diff("Source", comparison.source_diff, comparison)


def _folded_diff(what: str, lines: Sequence[str], comparison: CellComparison) -> Markup | None:
    if not lines:
        return None
    added, removed = counts(lines)
    summary = f"{what} since the baseline: {counted(added, 'line')} came, {removed:,} went"
    # A label for those who hear the page: each box on it needs another one.
    label = summary
    cell = comparison.after or comparison.before
    if cell is not None:
        label = f"{what} of {cell_name(cell).lower()}, {cell.anchor}"
    return fold(
        summary,
        reveal_unseen(diff_block(lines, label=label)),
        is_open=len(lines) <= _UNFOLDED_LINES,
    )


def output_changes(comparison: CellComparison | None, album: Album, stem: str) -> Markup | None:
    """Return the text difference of the outputs, and the baseline's pictures that changed."""
    if comparison is None or not comparison.has_other_outputs:
        return None
    parts = [_folded_diff("Outputs", comparison.output_diff, comparison)]
    if comparison.has_long_outputs:
        words = "The outputs differ from the baseline's; they are too long to be compared."
        parts.append(element("p", words, class_="note"))

    pairs = list(_picture_pairs(comparison, album, stem))
    if pairs:
        title = f"{counted(len(pairs), 'picture')} beside the baseline's"
        parts.append(fold(title, *pairs, is_open=True))
    return fragment(*parts)


def _picture_pairs(comparison: CellComparison, album: Album, stem: str) -> Iterator[Markup]:
    name = "a cell"
    if comparison.before is not None:
        name = cell_name(comparison.before).lower()
    no_picture = element("p", "no such picture", class_="missing")
    for was, now in comparison.changed_pictures:
        old = _picture(was, f"{stem}-before-{was.at}", album, f"{name} in the baseline")
        new = no_picture
        if now is not None:
            new = _picture(now, f"{stem}-{now.output}", album, f"{name} in this run")
        yield element(
            "div",
            element("figure", element("figcaption", "Baseline"), old),
            element("figure", element("figcaption", "This run"), new),
            class_="sides",
        )


def _picture(picture: Picture, stem: str, album: Album, what: str) -> Markup:
    try:
        address = album.keep(stem, picture.mime, picture.data)
    except BrokenPicture as error:
        return element("p", f"it cannot be shown, {error}", class_="missing")
    return element("img", src=address, alt=f"Picture {picture.at} of {what}")


def removed_cell(comparison: CellComparison) -> Markup:
    """A cell that the baseline had and this run has not."""
    cell = comparison.before
    if cell is None:
        return Markup()
    title = f"Gone since the baseline: {cell_name(cell).lower()}"
    lines = [f"-{line}" for line in cell.source.splitlines()]
    shown = fold(title, reveal_unseen(diff_block(lines, label=title)))
    return element("div", shown, class_="cell gone")
