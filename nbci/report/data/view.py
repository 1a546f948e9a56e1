"""Bring together what pages show of a step: its record, its plan, its executed notebook."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.formatting.text import file_names, joined_lines, outputs_text
from nbci.graph import by_name
from nbci.records.run_record import CellRun, StepRecord
from nbci.report.data.markdown_places import markdown_by_step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import Attempt, Failure, RunRecord, StepResult
    from nbci.report.data.markdown_places import PlacedMarkdown


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCell:
    """A cell of a step and how it ran; `anchor` is its id on the step's page.

    `number` counts all cells of the notebook that was planned from; None for what is not in it.
    """

    anchor: str
    kind: str
    source: str
    number: int | None = None
    outputs: Sequence[Any] = ()
    run: CellRun | None = None
    attachments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first_line(self) -> str:
        """Its first line that is not blank."""
        return _first_line(self.source)

    @property
    def text(self) -> str:
        """What its outputs say in plain text."""
        return outputs_text(self.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStep:
    """A step with all that its page shows; `stem` names its files.

    Without a notebook, the plan has its cells.
    """

    record: StepRecord
    planned: PlannedStep | None
    stem: str
    cells: tuple[ShownCell, ...]
    language: str
    is_left_for_later: bool = False
    is_waiting: bool = False
    is_from_notebook: bool = False

    @property
    def word(self) -> str:
        """The result in one word."""
        if self.is_waiting:
            return "waiting"
        return self.record.outcome

    @property
    def is_unwanted(self) -> bool:
        """Whether the plan wants no page of it."""
        return self.planned is not None and not self.planned.report

    @property
    def description(self) -> str | None:
        """What the pipeline file says of it."""
        if self.planned is None:
            return None
        return self.planned.description

    @property
    def page(self) -> str | None:
        """The path of its page in the report; None when there is none."""
        if self.is_unwanted or self.is_left_for_later:
            return None
        return f"steps/{self.stem}.html"

    @property
    def attempt(self) -> Attempt | None:
        """The last try."""
        return next(reversed(self.record.attempts), None)

    @property
    def kernel(self) -> str:
        """The kernel's name and version; empty where it has not run."""
        if not self.record.kernel:
            return ""
        return " ".join(filter(None, (self.record.kernel, self.record.kernel_version)))

    @property
    def failure(self) -> Failure | None:
        """Why it failed, when it did."""
        return self.record.failure

    @property
    def failed_cell(self) -> ShownCell | None:
        """The cell that failed, when a cell did."""
        for cell in self.cells:
            if cell.run and cell.run.result == "failed":
                return cell

        # Where no cell has that result, the failure itself may still name a cell by its number.
        if self.failure is None or self.failure.cell is None:
            return None
        for cell in self.cells:
            if cell.run and cell.run.number == self.failure.cell:
                return cell
        return None

    @property
    def failure_page(self) -> str | None:
        """Where its page shows what failed; None when it has no page."""
        if self.page is None:
            return None
        anchor = "failure"
        if self.failed_cell is not None:
            anchor = self.failed_cell.anchor
        return f"{self.page}#{anchor}"


def cell_name(cell: ShownCell) -> str:
    """Return how a page calls the cell: by its number in the notebook, where it has one."""
    if cell.kind == "code" and cell.number is not None:
        return f"Cell {cell.number}"
    # The cell that sets parameters is not in the user's notebook: no number would find it there.
    if cell.run is not None:
        return "Added by nbci"
    if cell.kind == "code":
        return "Cell"
    if cell.number is not None:
        return f"Text in cell {cell.number}"
    return "Text"


def markdown_anchor(number: int) -> str:
    """The id that the Markdown cell of that number has on the step's page."""
    return f"text-{number}"


def steps_by_name(steps: Iterable[ShownStep]) -> dict[str, ShownStep]:
    """The steps by the names of their records."""
    return {step.record.name: step for step in steps}


def steps_with_page(steps: Iterable[ShownStep]) -> list[ShownStep]:
    """The steps that the report has a page of."""
    return [step for step in steps if step.page is not None]


def kernels_of(steps: Iterable[ShownStep]) -> set[str]:
    """The kernels that the steps ran in, each by its name and version."""
    # A step that has not run has none, and names it by an empty text.
    return {step.kernel for step in steps} - {""}


def steps_with_result(steps: Iterable[ShownStep], result: StepResult) -> list[ShownStep]:
    """The steps whose records have this result."""
    return [step for step in steps if step.record.result == result]


# ------------------------------------------------------------------------ building the steps
def build_shown_steps(
    record: RunRecord,
    plan: Plan,
    notebooks: Mapping[str, Mapping[str, Any]],
    *,
    reused_too: bool = True,
) -> tuple[ShownStep, ...]:
    """Return every step of the plan and the record, in the plan's order.

    One without a record has not been reached.
    """
    planned, recorded = by_name(plan.steps), by_name(record.steps)
    texts = markdown_by_step(plan)

    steps: list[ShownStep] = []
    for name, stem in step_stems(record, plan).items():
        step = recorded.get(name) or _unreached_step(name, record)
        its_plan, notebook = planned.get(name), notebooks.get(name)
        cells = _shown_cells(step, its_plan, notebook)
        shown = ShownStep(
            record=step,
            planned=its_plan,
            stem=stem,
            cells=tuple(_with_markdown(cells, texts.get(name, ()))),
            language=_language(its_plan, notebook),
            is_left_for_later=step.result == "reused" and not reused_too and notebook is None,
            is_from_notebook=notebook is not None,
            is_waiting=_is_waiting(step, record),
        )
        steps.append(shown)
    return tuple(steps)


def step_stems(record: RunRecord, plan: Plan) -> dict[str, str]:
    """What the names of each step's files begin with, in the plan's order.

    Steps that the plan has and the record lacks count too: by that, the files of the other steps
    have the same names in the reports of all runs.
    """
    names: dict[str, None] = {}
    for planned in plan.steps:
        names[planned.name] = None
    for step in record.steps:
        names[step.name] = None
    return file_names(names)


def _unreached_step(name: str, record: RunRecord) -> StepRecord:
    reason = None
    if record.result != "running":
        reason = "the run ended before this step began"
    return StepRecord(name=name, result="skipped", reason=reason)


def _is_waiting(step: StepRecord, record: RunRecord) -> bool:
    # A step that is skipped for good has a reason, also while the run still goes on.
    return record.result == "running" and step.result == "skipped" and step.reason is None


def _language(planned: PlannedStep | None, notebook: Mapping[str, Any] | None) -> str:
    if planned:
        return planned.language
    metadata = (notebook or {}).get("metadata") or {}
    return str((metadata.get("kernelspec") or {}).get("language") or "python")


def _shown_cells(
    record: StepRecord, planned: PlannedStep | None, notebook: Mapping[str, Any] | None
) -> Iterator[ShownCell]:
    runs: Sequence[CellRun] = ()
    if record.attempts:
        runs = record.attempts[-1].cells
    if record.result == "reused" and planned is not None:
        runs = list(_with_numbers_of_plan(runs, planned))
    if notebook is not None:
        return _cells_of_notebook(notebook, runs)
    return _cells_of_plan(planned, runs)


def _with_numbers_of_plan(runs: Iterable[CellRun], planned: PlannedStep) -> Iterator[CellRun]:
    """The cells of a reused step by the numbers that they have now.

    It ran in an earlier state of the notebook: a text more or less above its cells gave them other
    numbers, and is no reason to run it again.
    """
    numbers: dict[tuple[str, str], list[int | None]] = {}
    for cell in planned.cells:
        numbers.setdefault((cell.role, _first_line(cell.source)), []).append(cell.number)
    for run in runs:
        known = numbers.get((run.role, run.first_line))
        if known:
            yield replace(run, number=known.pop(0))
        else:
            yield run


def _with_markdown(
    cells: Iterable[ShownCell], texts: Iterable[PlacedMarkdown]
) -> Iterator[ShownCell]:
    """The cells of a step in the order that they ran, with the notebook's text between them."""
    ran = list(cells)
    known = sorted(cell.number for cell in ran if cell.number is not None)
    above: dict[int | None, list[ShownCell]] = defaultdict(list)
    below: dict[int | None, list[ShownCell]] = defaultdict(list)
    for text in texts:
        shown = _shown_markdown(text)
        if text.cell.number > text.code:
            below[text.code].append(shown)
            continue
        # Imports and parameters run before the step's own cells, wherever they stand.
        at = bisect_right(known, text.cell.number)
        above[min([text.code, *known[at : at + 1]])].append(shown)

    for cell in ran:
        yield from above.pop(cell.number, ())
        yield cell
        yield from below.pop(cell.number, ())
    # Of a step that was killed, the notebook may lack the cells that did not run.
    for left in (*above.values(), *below.values()):
        yield from left


def _shown_markdown(text: PlacedMarkdown) -> ShownCell:
    return ShownCell(
        anchor=markdown_anchor(text.cell.number),
        kind="markdown",
        source=text.cell.source,
        number=text.cell.number,
        attachments=text.cell.attachments or {},
    )


def _cells_of_plan(planned: PlannedStep | None, runs: Sequence[CellRun]) -> Iterator[ShownCell]:
    """Yield the planned cells, then those that ran beyond the plan."""
    # The number alone is no key: the cells that nbci adds have none, and differ by their role.
    runs_by_key = {(run.number, run.role): run for run in runs}
    sources: dict[tuple[int | None, str], str] = {}
    if planned:
        for cell in planned.cells:
            sources[cell.number, cell.role] = cell.source

    for at, key in enumerate({**sources, **runs_by_key}, 1):
        run = runs_by_key.get(key)
        source = sources.get(key)
        if run is None:
            source = sources[key]
            number, role = key
            run = CellRun(
                role=role, number=number, first_line=_first_line(source), result="not run"
            )
        # Without plan and notebook, the record's first line is all that is left of the source.
        if source is None:
            source = run.first_line
        yield ShownCell(anchor=f"cell-{at}", kind="code", source=source, number=run.number, run=run)


def _cells_of_notebook(notebook: Mapping[str, Any], runs: Sequence[CellRun]) -> Iterator[ShownCell]:
    """Yield the cells of an executed notebook.

    Notebooks come from caches and artifacts: what is no cell, or has no proper attachments, must
    not stop the report.
    """
    cells = [cell for cell in notebook.get("cells") or () if isinstance(cell, dict)]
    code_sources = list(map(_source, filter(_is_code, cells)))
    next_run = iter(_match_runs(code_sources, runs))

    for at, cell in enumerate(cells, 1):
        outputs: tuple[Any, ...] = ()
        run, number = None, None
        if _is_code(cell):
            outputs = tuple(cell.get("outputs") or ())
            run = next(next_run)
        if run is not None:
            number = run.number
        attachments = cell.get("attachments")
        if not isinstance(attachments, dict):
            attachments = {}
        yield ShownCell(
            anchor=f"cell-{at}",
            kind=str(cell.get("cell_type")),
            source=_source(cell),
            number=number,
            outputs=outputs,
            run=run,
            attachments=attachments,
        )


def _source(cell: Mapping[str, Any]) -> str:
    # The format allows a text and a list of lines (nbformat 4: "multiline_string").
    return joined_lines(cell.get("source", ""))


def _is_code(cell: Mapping[str, Any]) -> bool:
    return cell.get("cell_type") == "code"


def _match_runs(sources: Sequence[str], runs: Sequence[CellRun]) -> list[CellRun | None]:
    """The run of each code cell: by place where the numbers agree, else by first line, in order."""
    if len(sources) == len(runs):
        return list(runs)

    matched: list[CellRun | None] = []
    # Two cells may begin with the same line: a search starts after the last run that was found.
    start = 0
    for source in sources:
        at = _find_first_line(_first_line(source), runs, start)
        if at is None:
            matched.append(None)
        else:
            matched.append(runs[at])
            start = at + 1
    return matched


def _find_first_line(line: str, runs: Sequence[CellRun], start: int) -> int | None:
    for at in range(start, len(runs)):
        if runs[at].first_line == line:
            return at
    return None


def _first_line(source: str) -> str:
    for line in source.splitlines():
        if line.strip():
            return line.strip()
    return ""
