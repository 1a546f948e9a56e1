"""Show the figures of the run beside those of the baseline, by step and cell.

Figures that look the same are folded away.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.formatting.numbers import counted
from nbci.formatting.text import short_line
from nbci.plan.alignment import align
from nbci.report.data.view import build_shown_steps, cell_name, steps_by_name, steps_with_page
from nbci.report.html.markup import Markup, element, fold, optional
from nbci.report.html.page import section
from nbci.report.html.pictures import Album, BrokenPicture
from nbci.report.pages.cell_comparison import find_pictures, looks_same

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import StepRecord
    from nbci.report.data.material import Baseline, Material
    from nbci.report.data.view import ShownCell, ShownStep
    from nbci.report.pages.cell_comparison import Picture

# The page is the first that a reviewer loads; the steps' pages have all figures.
_UNFOLDED = 12
_MOST = 60
# Each pair compares the data of two pictures, which may be megabytes of base64.
_LOOKED_AT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A figure of this run and of the baseline, either of which may be missing."""

    step: ShownStep
    cell: ShownCell
    now: Picture | None
    before: Picture | None = None

    @property
    def is_same(self) -> bool:
        if self.now is None or self.before is None:
            return False
        return looks_same(self.before, self.now)

    @property
    def place(self) -> str:
        return f"{self.step.record.name}, {cell_name(self.cell).lower()}"

    @property
    def stem(self) -> str:
        """Where its files are: the step's page has them there, too."""
        return f"images/{self.step.stem}/{self.cell.anchor}"


def gallery_section(
    material: Material, steps: Sequence[ShownStep]
) -> tuple[Markup | None, dict[str, bytes]]:
    """The part of the page, and the files of the pictures that it shows."""
    pairs = list(islice(_pairs(material.baseline, steps_with_page(steps)), _LOOKED_AT))
    if not pairs:
        return None, {}

    differing: list[_Pair] = []
    same: list[_Pair] = []
    for pair in pairs:
        if pair.is_same:
            same.append(pair)
        else:
            differing.append(pair)
    # What differs is what a reviewer looks for: the others get the places that are left.
    differing = differing[:_MOST]
    same = same[: _MOST - len(differing)]

    compared = material.baseline is not None
    album = Album(root="")
    more, others = differing[_UNFOLDED:], counted(len(differing) - _UNFOLDED, "more figure")
    parts = [
        _figures(differing[:_UNFOLDED], album, compared=compared),
        _fold(others, more, album, compared=compared),
        _fold(f"{counted(len(same), 'figure')} as before", same, album, compared=False),
    ]
    if len(pairs) > len(differing) + len(same) or len(pairs) == _LOOKED_AT:
        words = "There are more figures on the steps' pages."
        parts.append(element("p", words, class_="note"))
    return section("Figures", *parts, anchor="figures"), album.files


def _fold(title: str, pairs: Sequence[_Pair], album: Album, *, compared: bool) -> Markup | None:
    if not pairs:
        return None
    return fold(title, _figures(pairs, album, compared=compared))


def _figures(pairs: Iterable[_Pair], album: Album, *, compared: bool) -> Markup:
    figures = [_figure(pair, album, compared=compared) for pair in pairs]
    return element("div", *figures, class_="gallery")


def _figure(pair: _Pair, album: Album, *, compared: bool) -> Markup:
    link = element("a", pair.place, href=f"{pair.step.page}#{pair.cell.anchor}")
    first_line = element("code", short_line(pair.cell.first_line, 60))
    title = element("p", link, " ", first_line, class_="note")
    if not compared:
        return element("div", title, _image(pair, album), class_="pair")
    sides = element(
        "div", _baseline_image(pair, album), _image(pair, album, "This run"), class_="sides"
    )
    return element("div", title, sides, class_="pair compared")


def _image(pair: _Pair, album: Album, whose: str = "") -> Markup:
    if pair.now is None:
        return _no_figure(whose)
    return _picture(pair, pair.now, f"{pair.stem}-{pair.now.output}", album, whose)


def _baseline_image(pair: _Pair, album: Album) -> Markup:
    if pair.before is None:
        return _no_figure("Baseline")
    stem = f"{pair.stem}-before-{pair.before.at}"
    return _picture(pair, pair.before, stem, album, "Baseline")


def _no_figure(whose: str) -> Markup:
    missing = element("p", "no such figure", class_="missing")
    return element("figure", optional("figcaption", whose), missing)


def _picture(pair: _Pair, picture: Picture, stem: str, album: Album, whose: str) -> Markup:
    caption = optional("figcaption", whose)
    try:
        address = album.keep(stem, picture.mime, picture.data)
    except BrokenPicture as error:
        missing = element("p", f"it cannot be shown, {error}", class_="missing")
        return element("figure", caption, missing)
    what = "Figure"
    if whose:
        what = f"{whose}: figure"
    alt = short_line(f"{what} of {pair.place}: {pair.cell.first_line}", 200)
    return element("figure", caption, element("img", src=address, alt=alt, loading="lazy"))


# -------------------------------------------------------------------------------------- pairs
def _pairs(baseline: Baseline | None, steps: Iterable[ShownStep]) -> Iterator[_Pair]:
    drawing = list(filter(_draws, steps))
    before: Mapping[str, ShownStep] = {}
    if baseline is not None:
        before = _baseline_steps(baseline, drawing)

    for step in drawing:
        earlier: Mapping[int, ShownCell] = {}
        if step.record.name in before:
            earlier = _earlier_cells(before[step.record.name].cells, step.cells)
        for at, cell in enumerate(step.cells):
            # Pictures of one cell are paired by their order: they have no names.
            old: Iterable[Picture] = ()
            if at in earlier:
                old = find_pictures(earlier[at].outputs)
            for now, then in zip_longest(find_pictures(cell.outputs), old):
                yield _Pair(step=step, cell=cell, now=now, before=then)


def _draws(step: ShownStep) -> bool:
    return any(map(_has_picture, step.cells))


def _has_picture(cell: ShownCell) -> bool:
    # One is enough to know it: the others are not looked for.
    return any(find_pictures(cell.outputs))


def _baseline_steps(baseline: Baseline, drawing: Iterable[ShownStep]) -> Mapping[str, ShownStep]:
    """Return the baseline's steps of those names; others would cost reading their notebooks."""
    names = steps_by_name(drawing)

    def is_drawing(step: StepRecord | PlannedStep) -> bool:
        return step.name in names

    record, plan = baseline.run.record, baseline.run.plan
    steps = build_shown_steps(
        replace(record, steps=tuple(filter(is_drawing, record.steps))),
        replace(plan, steps=tuple(filter(is_drawing, plan.steps))),
        baseline.run.notebooks,
    )
    return steps_by_name(steps)


def _earlier_cells(
    before: Sequence[ShownCell], after: Sequence[ShownCell]
) -> Mapping[int, ShownCell]:
    """The cell of the baseline that each cell was, by its index."""
    earlier = {}
    for old, new in align(_sources(before), _sources(after)):
        if old is not None and new is not None:
            earlier[new] = before[old]
    return earlier


def _sources(cells: Iterable[ShownCell]) -> list[str]:
    return [cell.source for cell in cells]
