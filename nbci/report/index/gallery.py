"""The figures of the run beside those of the baseline, by step and cell; what looks the same is folded away."""

from __future__ import annotations

import contextlib
import difflib
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.report.markup import Markup, element, folded
from nbci.report.page import section
from nbci.report.pictures import SUFFIXES, BrokenPicture, picture
from nbci.report.text import counted, joined, one_line
from nbci.report.view import shown_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.report.material import Baseline, Material
    from nbci.report.view import ShownCell, ShownStep

_UNFOLDED = 12
_MOST = 60
_LOOKED_AT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    path: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A figure of this run and of the baseline, either of which may be missing."""

    step: ShownStep
    cell: ShownCell
    now: _Picture | None
    before: _Picture | None = None

    @property
    def is_same(self) -> bool:
        return self.now is not None and self.before is not None and self.now.content == self.before.content

    @property
    def named(self) -> str:
        run = self.cell.run
        where = f"cell {run.number}" if run and run.number is not None else "a cell"
        return f"{self.step.record.name}, {where}"


def gallery(material: Material, steps: Sequence[ShownStep]) -> tuple[Markup | None, dict[str, bytes]]:
    """The part of the page, and the files of the pictures that it shows."""
    with_page = [step for step in steps if step.page is not None]
    pairs = list(islice(_pairs(material.baseline, with_page), _LOOKED_AT))
    differing = [pair for pair in pairs if not pair.is_same]
    same = [pair for pair in pairs if pair.is_same]
    shown = [*differing[:_MOST], *same[: max(_MOST - len(differing), 0)]]
    if not shown:
        return None, {}
    compared = material.baseline is not None
    parts = [
        _figures(differing[:_UNFOLDED], compared=compared),
        _folded(differing[_UNFOLDED:_MOST], "more figure", compared=compared),
        _folded(shown[len(differing[:_MOST]) :], "figure", " as before", compared=False),
        element("p", "There are more figures on the steps' pages.", class_="note")
        if len(pairs) > len(shown) or len(pairs) == _LOOKED_AT
        else None,
    ]
    pictures = (one for pair in shown for one in (pair.now, None if pair.is_same else pair.before) if one)
    return section("Figures", *parts, anchor="figures"), {one.path: one.content for one in pictures}


def _folded(pairs: Sequence[_Pair], noun: str, ending: str = "", *, compared: bool) -> Markup | None:
    if not pairs:
        return None
    return folded(f"{counted(len(pairs), noun)}{ending}", _figures(pairs, compared=compared))


def _figures(pairs: Iterable[_Pair], *, compared: bool) -> Markup:
    return element("div", *(_figure(pair, compared=compared) for pair in pairs), class_="gallery")


def _figure(pair: _Pair, *, compared: bool) -> Markup:
    link = element("a", pair.named, href=f"{pair.step.page}#{pair.cell.anchor}")
    title = element("p", link, " ", element("code", one_line(pair.cell.first_line, 60)), class_="note")
    if not compared:
        return element("div", title, _image(pair, pair.now, ""), class_="pair")
    sides = (_image(pair, pair.before, "Baseline"), _image(pair, pair.now, "This run"))
    return element("div", title, element("div", *sides, class_="sides"), class_="pair compared")


def _image(pair: _Pair, shown: _Picture | None, whose: str) -> Markup:
    caption = element("figcaption", whose) if whose else None
    if shown is None:
        missing = "no such figure" if whose else "this figure is gone"
        return element("figure", caption, element("p", missing, class_="missing"))
    of = f"{whose}: figure" if whose else "Figure"
    alt = one_line(f"{of} of {pair.named}: {pair.cell.first_line}", 200)
    return element("figure", caption, element("img", src=shown.path, alt=alt, loading="lazy"))


def _pairs(baseline: Baseline | None, steps: Sequence[ShownStep]) -> Iterator[_Pair]:
    drawing = [step for step in steps if any(_has_picture(cell) for cell in step.cells)]
    before = _baseline_steps(baseline, drawing) if baseline is not None else {}
    for step in drawing:
        old = before.get(step.record.name)
        partners = _partners(old.cells, step.cells) if old is not None else {}
        for at, cell in enumerate(step.cells):
            now = list(islice(_pictures(cell, f"images/{step.stem}"), _LOOKED_AT))
            old_cell = _pictures(partners[at], f"before/{step.stem}") if at in partners else ()
            then = list(islice(old_cell, _LOOKED_AT))
            for number in range(max(len(now), len(then))):
                sides = (side[number] if number < len(side) else None for side in (now, then))
                yield _Pair(step=step, cell=cell, now=next(sides), before=next(sides))


def _baseline_steps(baseline: Baseline, drawing: Sequence[ShownStep]) -> Mapping[str, ShownStep]:
    """The baseline's steps of those names; no others, since their notebooks would all be read."""
    names = {step.record.name for step in drawing}
    record, plan = baseline.run.record, baseline.run.plan
    steps = shown_steps(
        replace(record, steps=tuple(step for step in record.steps if step.name in names)),
        replace(plan, steps=tuple(step for step in plan.steps if step.name in names)),
        baseline.run.notebooks,
    )
    return {step.record.name: step for step in steps}


def _partners(before: Sequence[ShownCell], after: Sequence[ShownCell]) -> dict[int, ShownCell]:
    """The earlier cell that each cell was, by its place: the same source, or at the place of another."""
    matcher = difflib.SequenceMatcher(None, [c.source for c in before], [c.source for c in after], autojunk=False)
    return {
        new_from + at: before[old_from + at]
        for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes()
        if tag in ("equal", "replace")
        for at in range(min(old_to - old_from, new_to - new_from))
    }


def _has_picture(cell: ShownCell) -> bool:
    return any(mime in data for _, data in _displays(cell) for mime in SUFFIXES)


def _displays(cell: ShownCell) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for at, output in enumerate(cell.outputs, 1):
        data = output.get("data") if isinstance(output, dict) else None
        if isinstance(data, dict):
            yield at, data


def _pictures(cell: ShownCell, folder: str) -> Iterator[_Picture]:
    for at, data in _displays(cell):
        mime = next((mime for mime in SUFFIXES if mime in data), None)
        if mime is not None:
            with contextlib.suppress(BrokenPicture):  # the step's page says what is wrong with it
                content = picture(mime, joined(data[mime]))
                yield _Picture(path=f"{folder}/{cell.anchor}-{at}.{SUFFIXES[mime]}", content=content)
