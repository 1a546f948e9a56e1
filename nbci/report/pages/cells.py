"""The cells of a step in order: source, outputs, time, and what became of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted
from nbci.formatting.text import shorten
from nbci.report.data.view import name_of
from nbci.report.html.highlight import revealed, source_code
from nbci.report.html.markup import Markup, element, escaped, fragment
from nbci.report.html.page import verdict
from nbci.report.html.pictures import Album
from nbci.report.html.plotly_figures import with_plotly_drawn
from nbci.report.html.untrusted import Surroundings, from_markdown
from nbci.report.pages.cell_changes import changes_of_outputs, changes_of_source, gone, mark
from nbci.report.pages.cell_outputs import APART, INLINE_LIMIT, OutputPlace, page_apart, rendered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.records.run_record import CellRun
    from nbci.report.data.view import ShownCell, ShownStep
    from nbci.report.pages.compared import CellComparison

ROOT = "../"
_WITH_CELL = 50
_ON_PAGE = 250


@dataclass(slots=True)
class CellsOfStep:
    """What the cells of one step's page become: markup, and the files beside the page."""

    step: ShownStep
    album: Album = field(default_factory=lambda: Album(root=ROOT))
    ids: set[str] = field(default_factory=set)
    failed: ShownCell | None = field(init=False)
    drawn: dict[tuple[str, int], dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.failed = self.step.failed_cell
        self.drawn = with_plotly_drawn(self.step.cells)

    def compared(self, comparison: CellComparison) -> Markup:
        """The cell marked by what it was in the baseline."""
        return (
            gone(comparison)
            if comparison.after is None
            else self.cell(comparison.after, comparison)
        )

    def cell(self, cell: ShownCell, comparison: CellComparison | None = None) -> Markup:
        """The cell with its outputs."""
        if cell.kind == "markdown" and len(cell.source) <= INLINE_LIMIT:
            return self._prose(cell, comparison)
        if cell.kind != "code":
            short = shorten(cell.source, INLINE_LIMIT)
            missing = (
                f"\n… {counted(short.left_out, 'character')} are left out …\n"
                if short.left_out
                else ""
            )
            return element(
                "pre",
                revealed(escaped(short.head + missing + short.tail)),
                class_="raw",
                id=cell.anchor,
            )
        outputs = self._outputs(cell)
        heading = (name_of(cell), " ", _notes(cell.run), mark(comparison))
        return element(
            "section",
            element("h3", *heading, id=f"{cell.anchor}-title"),
            source_code(_shown_source(cell), self.step.language),
            changes_of_source(comparison),
            element("div", outputs, class_="outputs") if outputs else None,
            changes_of_outputs(comparison, self.album, f"images/{self.step.stem}/{cell.anchor}"),
            self._spilled(cell.run),
            id=cell.anchor,
            class_="cell " + (cell.run.result.replace(" ", "-") if cell.run else "unknown"),
            aria_labelledby=f"{cell.anchor}-title",
        )

    def _prose(self, cell: ShownCell, comparison: CellComparison | None) -> Markup:
        around = Surroundings(
            album=self.album,
            stem=f"images/{self.step.stem}/{cell.anchor}",
            ids=self.ids,
            attachments=cell.attachments,
        )
        shown = element(
            "div", from_markdown(cell.source, around), class_="rich prose", id=cell.anchor
        )
        changed = changes_of_source(comparison)
        return fragment(shown, changed) if changed else shown

    def _outputs(self, cell: ShownCell) -> Markup:
        outputs = [
            self.drawn.get((cell.anchor, at), output) for at, output in enumerate(cell.outputs)
        ]
        if len(outputs) <= _WITH_CELL + 5:
            return fragment(*rendered(outputs, self._place(cell)))
        # Why a cell failed stands with the cell.
        ending = outputs[-1:] if _is_error(outputs[-1]) else []
        paged = outputs[: len(outputs) - len(ending)]
        place = self._place(cell)
        last = rendered(ending, place, first=len(outputs))
        return fragment(*rendered(paged[:_WITH_CELL], place), self._more(cell, paged), *last)

    def _place(
        self, cell: ShownCell, *, album: Album | None = None, ids: set[str] | None = None
    ) -> OutputPlace:
        step = self.step
        return OutputPlace(
            album=album or self.album,
            stem=f"{step.stem}/{cell.anchor}",
            describes=f"{name_of(cell).lower()} of step {step.record.name}: {cell.first_line}",
            notebook=path_in_run(
                step, (step.attempt.notebook if step.attempt else None) or "notebook.ipynb"
            ),
            cell=f"steps/{step.stem}.html#{cell.anchor}",
            ids=self.ids if ids is None else ids,
            unfolded=cell is self.failed,
        )

    def _more(self, cell: ShownCell, outputs: Sequence[object]) -> Markup:
        """Return pages of outputs that are too many for their cell, and a line that links them."""
        starts = range(_WITH_CELL, len(outputs), _ON_PAGE)
        for number, start in enumerate(starts, 1):
            self.album.keep_file(
                self._more_path(cell, number), self._more_page(cell, outputs, number, start)
            )
        left = counted(len(outputs) - _WITH_CELL, "more output")
        pages = "on a page of its own" if len(starts) == 1 else f"on {len(starts)} pages"
        link = element("a", left, href=f"{ROOT}{self._more_path(cell, 1)}")
        return element("p", "This cell has ", link, f", {pages}.", class_="note")

    def _more_path(self, cell: ShownCell, number: int) -> str:
        return f"outputs/{self.step.stem}/{cell.anchor}-page-{number}.html"

    def _more_page(
        self, cell: ShownCell, outputs: Sequence[object], number: int, start: int
    ) -> bytes:
        shown = outputs[start : start + _ON_PAGE]
        ids: set[str] = set()
        album = Album(root=APART, files=self.album.files)
        place = self._place(cell, album=album, ids=ids)
        title = f"{name_of(cell)} of step {self.step.record.name}"
        links = [
            element(
                "a",
                "back to the cell",
                href=f"{APART}steps/{self.step.stem}.html#{cell.anchor}",
                rel="up",
            )
        ]
        for words, rel, other in (("before", "prev", number - 1), ("next", "next", number + 1)):
            if other >= 1 and _WITH_CELL + (other - 1) * _ON_PAGE < len(outputs):
                address = f"{cell.anchor}-page-{other}.html"
                links.append(element("a", words, href=address, rel=rel))
        main = element("div", *rendered(shown, place, first=start + 1), class_="outputs")
        sheet = album.keep_sheet(f"outputs/{self.step.stem}/{cell.anchor}-page-{number}.css")
        intro = f"Outputs {start + 1:,} to {start + len(shown):,} of {len(outputs):,}"
        footer = cell.first_line
        return page_apart(
            title, links, main, footer=footer, sheet=sheet, ids=ids, number=number, intro=intro
        )

    def _spilled(self, run: CellRun | None) -> Markup | None:
        if run is None or run.spilled is None:
            return None
        path = element("code", path_in_run(self.step, run.spilled))
        words = "The output was too large for the notebook; the whole is in "
        return element("p", words, path, " in the run's folder.", class_="note")


def path_in_run(step: ShownStep, relative: str) -> str:
    """The path of a step's file in the run's folder."""
    return f"steps/{step.record.name}/{relative}"


def _is_error(output: object) -> bool:
    return isinstance(output, dict) and output.get("output_type") == "error"


def _shown_source(cell: ShownCell) -> str:
    """Return the source as it is shown.

    For imports and functions it is what the step runs, without the lines that were left out of it.
    """
    if cell.run is None or cell.run.role not in ("imports", "functions"):
        return cell.source
    return re.sub(r"\n(?:[ \t]*\n){2,}", "\n\n", cell.source).strip("\n")


def _notes(run: CellRun | None) -> Markup | None:
    if run is None:
        return None
    role = {"injected": "parameters of this run", "step": None}.get(run.role, run.role)
    notes = [note for note in (role, duration(run.seconds)) if note]
    return fragment(
        element("span", ", ".join(notes), class_="notes"),
        " ",
        None if run.result == "passed" else verdict(run.result),
    )
