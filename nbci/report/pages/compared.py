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
from nbci.plan.alignment import aligned
from nbci.report.html.pictures import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.report.data.view import ShownCell, ShownStep

_MOST_PICTURES = 50
_MOST_LINES = 2_000
_MOST_CHARACTERS = 200_000
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")
# Drawings of matplotlib and graphviz name their parts at random, and say when they were made.
_RANDOM = re.compile(r"\b[a-z]*[0-9a-f]{10,}\b|<dc:date>[^<]*")
_SAYS = (
    "text/plain",
    "text/markdown",
    "text/latex",
    "text/html",
    "application/json",
    "application/javascript",
)
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

    `before` is None for a new cell, `after` for a removed one.

    Diffs are unified, without file names. `pictures`: those that the cell showed before and now
    shows otherwise, each with what stands in its place now, if anything does. `is_long`: its
    outputs differ and are too long to be compared line by line.
    """

    before: ShownCell | None
    after: ShownCell | None
    source: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    pictures: tuple[tuple[Picture, Picture | None], ...] = ()
    is_long: bool = False

    @property
    def kind(self) -> str:
        """`new`, `gone`, `changed` or, with the same source, `same`."""
        if self.before is None or self.after is None:
            return "new" if self.before is None else "gone"
        return "changed" if self.source else "same"

    @property
    def has_other_outputs(self) -> bool:
        """Whether a cell that both runs have shows something else than before."""
        return bool(self.said or self.pictures or self.is_long)


def compared(before: ShownStep, after: ShownStep) -> tuple[CellComparison, ...]:
    """Return the cells of both runs in reading order.

    Outputs are compared where both executed notebooks are available.
    """
    old, new = before.cells, after.cells
    both = before.is_from_notebook and after.is_from_notebook
    if before.is_from_notebook != after.is_from_notebook:
        # A plan holds no prose.
        old, new = (tuple(cell for cell in cells if cell.kind == "code") for cells in (old, new))
    pairs = aligned([_text(cell) for cell in old], [_text(cell) for cell in new])
    return tuple(
        _comparison(None if at is None else old[at], None if to is None else new[to], outputs=both)
        for at, to in pairs
    )


def _text(cell: ShownCell) -> str:
    return f"{cell.kind}\n{cell.source.rstrip()}"


def _comparison(
    before: ShownCell | None, after: ShownCell | None, *, outputs: bool
) -> CellComparison:
    if before is None or after is None:
        return CellComparison(before=before, after=after)
    source = _difference(before.source.rstrip(), after.source.rstrip())
    if not outputs or not _ran(before) or not _ran(after) or before.outputs == after.outputs:
        return CellComparison(before=before, after=after, source=source)
    old, new = "".join(_said(before.outputs)), "".join(_said(after.outputs))
    is_long = _is_long(old) or _is_long(new)
    now = list(pictures_of(after.outputs))
    pictures = zip_longest(
        islice(pictures_of(before.outputs), _MOST_PICTURES), now[:_MOST_PICTURES]
    )
    return CellComparison(
        before=before,
        after=after,
        source=source,
        said=() if is_long or old == new else _difference(old, new),
        pictures=tuple(
            (was, shown)
            for was, shown in pictures
            if was and not (shown and looks_same(was, shown))
        ),
        is_long=is_long and old != new,
    )


def _ran(cell: ShownCell) -> bool:
    return cell.run is None or cell.run.result != "not run"


def _difference(old: str, new: str) -> tuple[str, ...]:
    if old == new:
        return ()
    before, after = old.splitlines(), new.splitlines()
    if _is_long(old) or _is_long(new):
        return (
            f"-… {counted(len(before), 'line')}",
            f"+… {counted(len(after), 'line')}, too long to be compared",
        )
    return tuple(difflib.unified_diff(before, after, lineterm="", n=2))[2:]


def _is_long(text: str) -> bool:
    return len(text) > _MOST_CHARACTERS or text.count("\n") > _MOST_LINES


def _said(outputs: Sequence[Any]) -> Iterator[str]:
    """Return the outputs as text, without addresses of objects; a picture becomes one line."""
    for output in outputs:
        match output:
            case {"output_type": "stream", "text": text}:
                yield _settled(as_printed(joined_lines(text)))
            case {"output_type": "error", "traceback": list(lines)}:
                yield _settled("\n".join(str(line) for line in lines) + "\n")
            case {"data": dict(data)}:
                yield _of_bundle(data)


def _of_bundle(data: Mapping[str, Any]) -> str:
    if any(mime in SUFFIXES for mime in data):
        return "[a picture]\n"
    words = next((joined_lines(data[mime]) for mime in _SAYS if mime in data), None)
    if words is None:
        others = {mime: value for mime, value in data.items() if not mime.startswith(_RECORDS)}
        return f"[{', '.join(others)}: {_digest(as_json(others))}]\n" if others else ""
    return _settled(words if words.endswith("\n") else f"{words}\n")


def _settled(text: str) -> str:
    return _ADDRESS.sub("0x…", without_ansi(text))


def pictures_of(outputs: Sequence[Any]) -> Iterator[Picture]:
    """The pictures among a cell's outputs."""
    at = 0
    for number, output in enumerate(outputs, 1):
        data = output.get("data") if isinstance(output, dict) else None
        if isinstance(data, dict) and (
            mime := next((mime for mime in SUFFIXES if mime in data), None)
        ):
            at += 1
            yield Picture(at=at, output=number, mime=mime, data=joined_lines(data[mime]))


def looks_same(before: Picture, after: Picture) -> bool:
    """Whether the two are the same picture, judged by what the notebooks hold."""
    if before.mime != after.mime:
        return False
    if before.mime == "image/svg+xml":
        return _RANDOM.sub("", before.data) == _RANDOM.sub("", after.data)
    return "".join(before.data.split()) == "".join(after.data.split())


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="replace"), digest_size=6).hexdigest()
