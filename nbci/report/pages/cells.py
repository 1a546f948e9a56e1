"""The cells of a step in order: source, outputs, time, and what became of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted
from nbci.formatting.text import shorten
from nbci.report.data.view import cell_name
from nbci.report.html.highlight import reveal_unseen, source_code
from nbci.report.html.markup import Markup, element, escape, fragment, optional
from nbci.report.html.page import verdict
from nbci.report.html.pictures import Album
from nbci.report.html.plotly_figures import with_plotly_drawn
from nbci.report.html.untrusted import Surroundings, from_markdown
from nbci.report.pages.cell_changes import (
    change_mark,
    output_changes,
    removed_cell,
    source_changes,
)
from nbci.report.pages.cell_outputs import INLINE_LIMIT, OutputPlace, is_laid_out, render_outputs
from nbci.report.pages.separate_page import ROOT_FROM_OUTPUTS, separate_page
from nbci.runs.file_names import NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.records.run_record import CellRun
    from nbci.report.data.addresses import Addresses
    from nbci.report.data.view import ShownCell, ShownStep
    from nbci.report.pages.cell_comparison import CellComparison

ROOT = "../"
"""Leads from a step's page to the report's folder."""
# A loop may print thousands of outputs: the first are with the cell, the others on pages.
_WITH_CELL = 50
_ON_PAGE = 250
_TOO_FEW_FOR_A_PAGE = 5
_ROLES: dict[str, str | None] = {"injected": "parameters of this run", "step": None}


@dataclass(slots=True)
class CellsOfStep:
    """What the cells of one step's page become: markup, and the files beside the page."""

    step: ShownStep
    addresses: Addresses
    album: Album = field(default_factory=lambda: Album(root=ROOT))
    ids: set[str] = field(default_factory=set)
    failed: ShownCell | None = field(init=False)
    drawn: dict[tuple[str, int], dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.failed = self.step.failed_cell
        # All figures at once: one browser draws them.
        self.drawn = with_plotly_drawn(self.step.cells)

    def render(self, comparisons: Sequence[CellComparison]) -> Iterator[Markup]:
        """The step's cells; with comparisons, each marked by what it was in the baseline."""
        if not comparisons:
            yield from map(self._cell, self.step.cells)
        for comparison in comparisons:
            if comparison.after is None:
                yield removed_cell(comparison)
            else:
                yield self._cell(comparison.after, comparison)

    def _cell(self, cell: ShownCell, comparison: CellComparison | None = None) -> Markup:
        if cell.kind == "code":
            return self._code(cell, comparison)
        if cell.kind == "markdown" and is_laid_out(cell.source):
            return self._prose(cell, comparison)
        return _raw(cell)

    def _code(self, cell: ShownCell, comparison: CellComparison | None) -> Markup:
        run = cell.run
        result = "unknown"
        if run is not None:
            result = run.result.replace(" ", "-")
        heading = (cell_name(cell), " ", _notes(run), change_mark(comparison))
        return element(
            "section",
            element("h3", *heading, id=f"{cell.anchor}-title"),
            source_code(_shown_source(cell), self.step.language),
            source_changes(comparison),
            optional("div", self._outputs(cell), class_="outputs"),
            output_changes(comparison, self.album, self._picture_stem(cell)),
            self._note_on_whole_output(run),
            id=cell.anchor,
            class_=f"cell {result}",
            aria_labelledby=f"{cell.anchor}-title",
        )

    def _prose(self, cell: ShownCell, comparison: CellComparison | None) -> Markup:
        around = Surroundings(
            album=self.album,
            stem=self._picture_stem(cell),
            ids=self.ids,
            attachments=cell.attachments,
        )
        text = from_markdown(cell.source, around)
        shown = element("div", text, class_="rich prose", id=cell.anchor)
        return fragment(shown, source_changes(comparison))

    def _picture_stem(self, cell: ShownCell) -> str:
        return f"images/{self.step.stem}/{cell.anchor}"

    # -------------------------------------------------------------------------------- outputs
    def _outputs(self, cell: ShownCell) -> Markup:
        place = self._place(cell, self.album, self.ids)
        outputs = list(cell.outputs)
        for at in range(len(outputs)):
            outputs[at] = self.drawn.get((cell.anchor, at), outputs[at])
        if len(outputs) <= _WITH_CELL + _TOO_FEW_FOR_A_PAGE:
            return fragment(*render_outputs(outputs, place))

        # Why a cell failed is shown with the cell, not on the last of its pages.
        ending: list[Markup] = []
        if _is_error(outputs[-1]):
            ending = render_outputs(outputs[-1:], place, first=len(outputs))
            outputs.pop()
        beginning = render_outputs(outputs[:_WITH_CELL], place)
        return fragment(*beginning, self._link_to_pages(cell, outputs), *ending)

    def _place(self, cell: ShownCell, album: Album, ids: set[str]) -> OutputPlace:
        step = self.step
        return OutputPlace(
            album=album,
            stem=f"{step.stem}/{cell.anchor}",
            describes=f"{cell_name(cell).lower()} of step {step.record.name}: {cell.first_line}",
            notebook=path_in_run(step, executed_notebook(step)),
            addresses=self.addresses,
            cell=self._address(cell),
            ids=ids,
            unfolded=cell is self.failed,
        )

    def _address(self, cell: ShownCell) -> str:
        return f"steps/{self.step.stem}.html#{cell.anchor}"

    def _link_to_pages(self, cell: ShownCell, outputs: Sequence[object]) -> Markup:
        """Keep pages of the outputs that are too many for their cell, and link the first."""
        starts = range(_WITH_CELL, len(outputs), _ON_PAGE)
        for number, start in enumerate(starts, 1):
            content = self._page(cell, outputs, number, start)
            self.album.keep_file(self._page_path(cell, number), content)
        where = "on a page of its own"
        if len(starts) > 1:
            where = f"on {len(starts)} pages"
        words = counted(len(outputs) - _WITH_CELL, "more output")
        link = element("a", words, href=f"{ROOT}{self._page_path(cell, 1)}")
        return element("p", "This cell has ", link, f", {where}.", class_="note")

    def _page_path(self, cell: ShownCell, number: int, suffix: str = "html") -> str:
        return f"outputs/{self.step.stem}/{cell.anchor}-page-{number}.{suffix}"

    def _page(self, cell: ShownCell, outputs: Sequence[object], number: int, start: int) -> bytes:
        shown = outputs[start : start + _ON_PAGE]
        # Addresses on the page lead out of another folder, and its ids are its own.
        ids: set[str] = set()
        album = Album(root=ROOT_FROM_OUTPUTS, files=self.album.files)
        place = self._place(cell, album, ids)
        main = element("div", *render_outputs(shown, place, first=start + 1), class_="outputs")
        return separate_page(
            f"{cell_name(cell)} of step {self.step.record.name}",
            self._links_of_page(cell, number, is_last=start + _ON_PAGE >= len(outputs)),
            main,
            footer=cell.first_line,
            sheet=album.keep_sheet(self._page_path(cell, number, "css")),
            ids=ids,
            number=number,
            intro=f"Outputs {start + 1:,} to {start + len(shown):,} of {len(outputs):,}",
        )

    def _links_of_page(self, cell: ShownCell, number: int, *, is_last: bool) -> list[Markup]:
        back = f"{ROOT_FROM_OUTPUTS}{self._address(cell)}"
        links = [element("a", "back to the cell", href=back, rel="up")]
        if number > 1:
            address = f"{cell.anchor}-page-{number - 1}.html"
            links.append(element("a", "before", href=address, rel="prev"))
        if not is_last:
            address = f"{cell.anchor}-page-{number + 1}.html"
            links.append(element("a", "next", href=address, rel="next"))
        return links

    def _note_on_whole_output(self, run: CellRun | None) -> Markup | None:
        if run is None or run.spilled is None:
            return None
        path = element("code", path_in_run(self.step, run.spilled))
        words = "The output was too large for the notebook; the whole is in "
        return element("p", words, path, " in the run's folder.", class_="note")


def executed_notebook(step: ShownStep) -> str:
    """The path of the step's executed notebook in the step's folder."""
    if step.attempt is not None and step.attempt.notebook:
        return step.attempt.notebook
    return NOTEBOOK


def path_in_run(step: ShownStep, relative: str) -> str:
    """The path of a step's file in the run's folder."""
    return f"steps/{step.record.name}/{relative}"


def _is_error(output: object) -> bool:
    return isinstance(output, dict) and output.get("output_type") == "error"


def _raw(cell: ShownCell) -> Markup:
    """A raw cell, or prose that is too long to be laid out, as it is written."""
    short = shorten(cell.source, INLINE_LIMIT)
    text = short.head
    if short.left_out:
        missing = counted(short.left_out, "character")
        text = f"{short.head}\n… {missing} are left out …\n{short.tail}"
    return element("pre", reveal_unseen(escape(text)), class_="raw", id=cell.anchor)


def _shown_source(cell: ShownCell) -> str:
    """Return the source as it is shown.

    For imports and functions it is what the step runs, without the lines that were left out of it.
    """
    if cell.run is None or cell.run.role not in ("imports", "functions"):
        return cell.source
    # The statements that a step does not need are blank lines in what it runs.
    return re.sub(r"\n(?:[ \t]*\n){2,}", "\n\n", cell.source).strip("\n")


def _notes(run: CellRun | None) -> Markup | None:
    """What the cell was for and how long it took; its result, unless it passed."""
    if run is None:
        return None
    role = _ROLES.get(run.role, run.role)
    notes = ", ".join(filter(None, (role, duration(run.seconds))))
    shown = fragment(element("span", notes, class_="notes"), " ")
    if run.result == "passed":
        return shown
    return fragment(shown, verdict(run.result))
