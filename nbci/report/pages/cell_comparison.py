"""Compare the cells of a step with those of the baseline's run: source, state and outputs."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any

from nbci.formatting.numbers import counted
from nbci.formatting.text import as_json, as_printed, joined_lines, without_ansi
from nbci.plan.alignment import align
from nbci.report.html.pictures import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.report.data.view import ShownCell, ShownStep

# difflib takes time that grows with the square of the lines.
_MOST_LINES = 2_000
_MOST_CHARACTERS = 200_000
_MOST_PICTURES = 50
# The default `repr` of an object has its address, which is another in every process.
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")
# Drawings of matplotlib and graphviz name their parts at random, and say when they were made.
_RANDOM = re.compile(r"\b[a-z]*[0-9a-f]{10,}\b|<dc:date>[^<]*")
_TEXT_FORMS = (
    "text/plain",
    "text/markdown",
    "text/latex",
    "text/html",
    "application/json",
    "application/javascript",
)
"""The forms of an output that are compared as text, the easiest to read first."""
# Values that scrapbook recorded are metrics and charts, and compared as such.
_RECORDS = "application/scrapbook.scrap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The `at`-th picture among a cell's outputs, as the notebook holds it.

    `output` counts all outputs.
    """

    at: int
    output: int
    mime: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellComparison:
    """A cell beside its earlier form in the run that is compared with.

    `before` is None for a new cell, `after` for a removed one. Diffs are unified, without file
    names. `changed_pictures`: those that the cell showed before and now shows otherwise, each with
    what stands in its place now, if anything does. `has_long_outputs`: its outputs differ and are
    too long to be compared line by line.
    """

    before: ShownCell | None
    after: ShownCell | None
    source_diff: tuple[str, ...] = ()
    output_diff: tuple[str, ...] = ()
    changed_pictures: tuple[tuple[Picture, Picture | None], ...] = ()
    has_long_outputs: bool = False

    @property
    def kind(self) -> str:
        """`new`, `gone`, `changed` or, with the same source, `same`."""
        if self.before is None:
            return "new"
        if self.after is None:
            return "gone"
        if self.source_diff:
            return "changed"
        return "same"

    @property
    def has_other_outputs(self) -> bool:
        """Whether a cell that both runs have shows something else than before."""
        return bool(self.output_diff or self.changed_pictures or self.has_long_outputs)


def compare_cells(before: ShownStep, after: ShownStep) -> tuple[CellComparison, ...]:
    """Return the cells of both runs in reading order.

    Outputs are compared where both executed notebooks are available.
    """
    old: Sequence[ShownCell] = before.cells
    new: Sequence[ShownCell] = after.cells
    with_outputs = before.is_from_notebook and after.is_from_notebook
    has_text_of_both = any(map(_is_text, old)) and any(map(_is_text, new))
    if not has_text_of_both:
        # Releases and runs of earlier versions have no text: it would all be new, or all be gone.
        old = [cell for cell in old if not _is_text(cell)]

    comparisons = []
    for at, to in align(_texts(old), _texts(new)):
        if to is not None and _is_text(new[to]) and not has_text_of_both:
            found = CellComparison(before=new[to], after=new[to])
        elif at is None:
            found = CellComparison(before=None, after=None if to is None else new[to])
        elif to is None:
            found = CellComparison(before=old[at], after=None)
        else:
            found = _compare(old[at], new[to], with_outputs=with_outputs)
        comparisons.append(found)
    return tuple(comparisons)


def _is_text(cell: ShownCell) -> bool:
    return cell.kind != "code"


def _texts(cells: Sequence[ShownCell]) -> list[str]:
    """What pairs of cells are found by: text does not become code."""
    return [f"{cell.kind}\n{cell.source.rstrip()}" for cell in cells]


def _compare(before: ShownCell, after: ShownCell, *, with_outputs: bool) -> CellComparison:
    source_diff = _diff(before.source.rstrip(), after.source.rstrip())
    # A cell that did not run has no outputs because of what failed before it.
    both_ran = _ran(before) and _ran(after)
    if not with_outputs or not both_ran or before.outputs == after.outputs:
        return CellComparison(before=before, after=after, source_diff=source_diff)

    old = "".join(_comparable_texts(before.outputs))
    new = "".join(_comparable_texts(after.outputs))
    is_long = _is_long(old) or _is_long(new)
    output_diff: tuple[str, ...] = ()
    if not is_long:
        output_diff = _diff(old, new)
    return CellComparison(
        before=before,
        after=after,
        source_diff=source_diff,
        output_diff=output_diff,
        changed_pictures=tuple(_changed_pictures(before, after)),
        has_long_outputs=is_long and old != new,
    )


def _ran(cell: ShownCell) -> bool:
    return cell.run is None or cell.run.result != "not run"


def _diff(old: str, new: str) -> tuple[str, ...]:
    if old == new:
        return ()
    before, after = old.splitlines(), new.splitlines()
    if _is_long(old) or _is_long(new):
        return (
            f"-… {counted(len(before), 'line')}",
            f"+… {counted(len(after), 'line')}, too long to be compared",
        )
    # Without the two lines that name the files.
    return tuple(difflib.unified_diff(before, after, lineterm="", n=2))[2:]


def _is_long(text: str) -> bool:
    return len(text) > _MOST_CHARACTERS or text.count("\n") > _MOST_LINES


# -------------------------------------------------------------------------------- outputs as text
def _comparable_texts(outputs: Sequence[Any]) -> Iterator[str]:
    """The outputs as text, without addresses of objects; a picture becomes one line."""
    for output in outputs:
        match output:
            case {"output_type": "stream", "text": text}:
                yield _without_addresses(as_printed(joined_lines(text)))
            case {"output_type": "error", "traceback": list(lines)}:
                yield _without_addresses("\n".join(map(str, lines)) + "\n")
            case {"data": dict(data)}:
                yield _text_of_bundle(data)


def _text_of_bundle(data: Mapping[str, Any]) -> str:
    if _picture_form(data):
        return "[a picture]\n"
    for mime in _TEXT_FORMS:
        if mime in data:
            text = joined_lines(data[mime])
            # Or the next output would be on its last line.
            return _without_addresses(text.removesuffix("\n") + "\n")

    others = {mime: value for mime, value in data.items() if not mime.startswith(_RECORDS)}
    if not others:
        return ""
    return f"[{', '.join(others)}: {_digest(as_json(others))}]\n"


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub("0x…", without_ansi(text))


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="replace"), digest_size=6).hexdigest()


# --------------------------------------------------------------------------------------- pictures
def _changed_pictures(
    before: ShownCell, after: ShownCell
) -> Iterator[tuple[Picture, Picture | None]]:
    """The pictures of the earlier cell that are another now, or none; new ones are no change."""
    old = islice(find_pictures(before.outputs), _MOST_PICTURES)
    new = islice(find_pictures(after.outputs), _MOST_PICTURES)
    for was, now in zip_longest(old, new):
        if was is not None and (now is None or not looks_same(was, now)):
            yield was, now


def find_pictures(outputs: Iterable[Any]) -> Iterator[Picture]:
    """The pictures among a cell's outputs."""
    at = 0
    for number, output in enumerate(outputs, 1):
        if not isinstance(output, dict) or not isinstance(output.get("data"), dict):
            continue
        data = output["data"]
        mime = _picture_form(data)
        if mime is not None:
            at += 1
            yield Picture(at=at, output=number, mime=mime, data=joined_lines(data[mime]))


def _picture_form(data: Mapping[str, Any]) -> str | None:
    return next((mime for mime in SUFFIXES if mime in data), None)


def looks_same(before: Picture, after: Picture) -> bool:
    """Whether the two are the same picture, judged by what the notebooks hold."""
    if before.mime != after.mime:
        return False
    if before.mime == "image/svg+xml":
        return _RANDOM.sub("", before.data) == _RANDOM.sub("", after.data)
    # Base64 is wrapped at different lengths by different libraries.
    return "".join(before.data.split()) == "".join(after.data.split())
