"""How a step's page marks what changed in its cells since the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted
from nbci.report.data.view import name_of
from nbci.report.html.highlight import revealed
from nbci.report.html.markup import Markup, element, folded, fragment
from nbci.report.html.pictures import BrokenPicture
from nbci.report.html.text_diff import counts, diff_block

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.report.data.view import ShownCell
    from nbci.report.html.pictures import Album
    from nbci.report.pages.compared import CellComparison, Picture

_UNFOLDED_LINES = 16
_NAMED_CELLS = 12


def summed_up(comparisons: Sequence[CellComparison], title: str, *, outputs_known: bool) -> Markup:
    """What changed in the step's cells, each with a link to it."""
    changed = [found.after for found in comparisons if found.after and found.kind == "changed"]
    new = [found.after for found in comparisons if found.after and found.kind == "new"]
    went = [found.before for found in comparisons if found.before and found.kind == "gone"]
    other = [found.after for found in comparisons if found.after and found.has_other_outputs]
    lines = [
        _line("Changed", changed),
        _line("New", new),
        element("li", "Gone: ", ", ".join(name_of(cell).lower() for cell in went[:_NAMED_CELLS]))
        if went
        else None,
        _line("Other outputs", other),
        None if outputs_known else element("li", "Its outputs are no longer here to be compared."),
    ]
    shown = [line for line in lines if line]
    return fragment(
        element("p", f"Compared with {title}."),
        element("ul", *shown)
        if shown
        else element("p", "Every cell and its outputs are the same."),
    )


def _line(what: str, cells: Sequence[ShownCell]) -> Markup | None:
    if not cells:
        return None
    links = [
        element("a", name_of(cell).lower(), href=f"#{cell.anchor}") for cell in cells[:_NAMED_CELLS]
    ]
    more = len(cells) - len(links)
    return element("li", f"{what}: ", _joined(links), f" and {more} more" if more else None)


def _joined(parts: Iterable[Markup]) -> Markup:
    return Markup(", ".join(parts))


def mark(comparison: CellComparison | None) -> Markup | None:
    """A word beside the cell's name; nothing for a cell that is the same."""
    if comparison is None:
        return None
    words = {"new": "new", "changed": "source changed"}.get(comparison.kind)
    both = " and ".join(
        word for word in (words, "other outputs" if comparison.has_other_outputs else None) if word
    )
    sign = "+" if comparison.kind == "new" else "±"
    return fragment(" ", element("span", f"{sign} {both}", class_="changed")) if both else None


def changes_of_source(comparison: CellComparison | None) -> Markup | None:
    """The difference of the source, folded if it is long."""
    return _difference("Source", comparison.source, comparison) if comparison else None


def _difference(what: str, lines: Sequence[str], comparison: CellComparison) -> Markup | None:
    if not lines:
        return None
    came, went = counts(lines)
    summary = f"{what} since the baseline: {counted(came, 'line')} came, {went:,} went"
    cell = comparison.after or comparison.before
    block = revealed(
        diff_block(
            lines, label=f"{what} of {name_of(cell).lower()}, {cell.anchor}" if cell else summary
        )
    )
    return folded(summary, block, is_open=len(lines) <= _UNFOLDED_LINES)


def changes_of_outputs(comparison: CellComparison | None, album: Album, stem: str) -> Markup | None:
    """Return the text difference of the outputs, and the baseline's pictures that changed."""
    if comparison is None:
        return None
    pairs = [_beside(was, now, comparison, album, stem) for was, now in comparison.pictures]
    parts = [
        _difference("Outputs", comparison.said, comparison),
        element(
            "p",
            "The outputs differ from the baseline's; they are too long to be compared.",
            class_="note",
        )
        if comparison.is_long
        else None,
        folded(f"{counted(len(pairs), 'picture')} beside the baseline's", *pairs, is_open=True)
        if pairs
        else None,
    ]
    return fragment(*parts) if any(parts) else None


def _beside(
    was: Picture, now: Picture | None, comparison: CellComparison, album: Album, stem: str
) -> Markup:
    name = name_of(comparison.before).lower() if comparison.before else "a cell"
    before = _picture(was, f"{stem}-before-{was.at}", album, "Baseline", f"{name} in the baseline")
    after = now and _picture(now, f"{stem}-{now.output}", album, "This run", f"{name} in this run")
    nothing = element(
        "figure",
        element("figcaption", "This run"),
        element("p", "no such picture", class_="missing"),
    )
    return element("div", before, after or nothing, class_="sides")


def _picture(picture: Picture, stem: str, album: Album, whose: str, of: str) -> Markup:
    caption = element("figcaption", whose)
    try:
        address = album.keep(stem, picture.mime, picture.data)
    except BrokenPicture as error:
        return element(
            "figure", caption, element("p", f"it cannot be shown, {error}", class_="missing")
        )
    return element(
        "figure", caption, element("img", src=address, alt=f"Picture {picture.at} of {of}")
    )


def gone(comparison: CellComparison) -> Markup:
    """A cell that the baseline had and this run has not."""
    cell = comparison.before
    if cell is None:
        return Markup()
    title = f"Gone since the baseline: {name_of(cell).lower()}"
    lines = [f"-{line}" for line in cell.source.splitlines()]
    return element(
        "div", folded(title, revealed(diff_block(lines, label=title))), class_="cell gone"
    )
