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
from nbci.plan.alignment import aligned
from nbci.report.data.view import name_of, shown_steps
from nbci.report.html.markup import Markup, element, folded
from nbci.report.html.page import section
from nbci.report.html.pictures import Album, BrokenPicture
from nbci.report.pages.compared import looks_same, pictures_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.report.data.material import Baseline, Material
    from nbci.report.data.view import ShownCell, ShownStep
    from nbci.report.pages.compared import Picture

_UNFOLDED = 12
_MOST = 60
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
        return (
            self.now is not None and self.before is not None and looks_same(self.before, self.now)
        )

    @property
    def named(self) -> str:
        return f"{self.step.record.name}, {name_of(self.cell).lower()}"

    @property
    def stem(self) -> str:
        """Where its files are: the step's page has them there, too."""
        return f"images/{self.step.stem}/{self.cell.anchor}"


def gallery(
    material: Material, steps: Sequence[ShownStep]
) -> tuple[Markup | None, dict[str, bytes]]:
    """The part of the page, and the files of the pictures that it shows."""
    with_page = [step for step in steps if step.page is not None]
    pairs = list(islice(_pairs(material.baseline, with_page), _LOOKED_AT))
    if not pairs:
        return None, {}
    differing = [pair for pair in pairs if not pair.is_same]
    same = [pair for pair in pairs if pair.is_same][: max(_MOST - len(differing), 0)]
    compared = material.baseline is not None
    album = Album(root="")
    parts = [
        _figures(differing[:_UNFOLDED], album, compared=compared),
        _folded(differing[_UNFOLDED:_MOST], "more figure", album, compared=compared),
        _folded(same, "figure", album, " as before", compared=False),
        element("p", "There are more figures on the steps' pages.", class_="note")
        if len(pairs) > len(differing[:_MOST]) + len(same) or len(pairs) == _LOOKED_AT
        else None,
    ]
    return section("Figures", *parts, anchor="figures"), album.files


def _folded(
    pairs: Sequence[_Pair], noun: str, album: Album, ending: str = "", *, compared: bool
) -> Markup | None:
    if not pairs:
        return None
    return folded(f"{counted(len(pairs), noun)}{ending}", _figures(pairs, album, compared=compared))


def _figures(pairs: Iterable[_Pair], album: Album, *, compared: bool) -> Markup:
    return element(
        "div", *(_figure(pair, album, compared=compared) for pair in pairs), class_="gallery"
    )


def _figure(pair: _Pair, album: Album, *, compared: bool) -> Markup:
    link = element("a", pair.named, href=f"{pair.step.page}#{pair.cell.anchor}")
    title = element(
        "p", link, " ", element("code", short_line(pair.cell.first_line, 60)), class_="note"
    )
    now, before = pair.now, pair.before
    now_at, before_at = (
        f"{pair.stem}-{now.output if now else 0}",
        f"{pair.stem}-before-{before.at if before else 0}",
    )
    if not compared:
        return element("div", title, _image(pair, now, now_at, album), class_="pair")
    sides = (
        _image(pair, before, before_at, album, "Baseline"),
        _image(pair, now, now_at, album, "This run"),
    )
    return element("div", title, element("div", *sides, class_="sides"), class_="pair compared")


def _image(pair: _Pair, shown: Picture | None, stem: str, album: Album, whose: str = "") -> Markup:
    caption = element("figcaption", whose) if whose else None
    if shown is None:
        return element("figure", caption, element("p", "no such figure", class_="missing"))
    try:
        address = album.keep(stem, shown.mime, shown.data)
    except BrokenPicture as error:
        return element(
            "figure", caption, element("p", f"it cannot be shown, {error}", class_="missing")
        )
    what = f"{whose}: figure" if whose else "Figure"
    alt = short_line(f"{what} of {pair.named}: {pair.cell.first_line}", 200)
    return element("figure", caption, element("img", src=address, alt=alt, loading="lazy"))


def _pairs(baseline: Baseline | None, steps: Sequence[ShownStep]) -> Iterator[_Pair]:
    drawing = [
        step
        for step in steps
        if any(True for cell in step.cells for _ in pictures_of(cell.outputs))
    ]
    before = _baseline_steps(baseline, drawing) if baseline is not None else {}
    for step in drawing:
        partners = (
            _partners(before[step.record.name].cells, step.cells)
            if step.record.name in before
            else {}
        )
        for at, cell in enumerate(step.cells):
            old = pictures_of(partners[at].outputs if at in partners else ())
            for now, then in zip_longest(pictures_of(cell.outputs), old):
                yield _Pair(step=step, cell=cell, now=now, before=then)


def _baseline_steps(baseline: Baseline, drawing: Sequence[ShownStep]) -> Mapping[str, ShownStep]:
    """Return the baseline's steps of those names; others would cost reading their notebooks."""
    names = {step.record.name for step in drawing}
    record, plan = baseline.run.record, baseline.run.plan
    steps = shown_steps(
        replace(record, steps=tuple(step for step in record.steps if step.name in names)),
        replace(plan, steps=tuple(step for step in plan.steps if step.name in names)),
        baseline.run.notebooks,
    )
    return {step.record.name: step for step in steps}


def _partners(before: Sequence[ShownCell], after: Sequence[ShownCell]) -> dict[int, ShownCell]:
    """The earlier cell that each cell was."""
    pairs = aligned([cell.source for cell in before], [cell.source for cell in after])
    return {new: before[old] for old, new in pairs if old is not None and new is not None}
