"""Bring together what pages show of a step: its record, its plan, its executed notebook."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbci.formatting.text import file_names, joined_lines, outputs_text
from nbci.records.run_record import CellRun, StepRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import Attempt, Failure, RunRecord, StepResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCell:
    """A cell of an executed notebook and how it ran; `anchor` is its id on the step's page."""

    anchor: str
    kind: str
    source: str
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
        return "waiting" if self.is_waiting else self.record.outcome

    @property
    def is_unwanted(self) -> bool:
        """Whether the plan wants no page of it."""
        return self.planned is not None and not self.planned.report

    @property
    def page(self) -> str | None:
        """The path of its page in the report; None when there is none."""
        return None if self.is_unwanted or self.is_left_for_later else f"steps/{self.stem}.html"

    @property
    def attempt(self) -> Attempt | None:
        """The last try."""
        return self.record.attempts[-1] if self.record.attempts else None

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
        by_result = next(
            (cell for cell in self.cells if cell.run and cell.run.result == "failed"), None
        )
        number = self.failure.cell if self.failure else None
        if by_result or number is None:
            return by_result
        return next((cell for cell in self.cells if cell.run and cell.run.number == number), None)


def name_of(cell: ShownCell) -> str:
    """Return the cell's name, by its number in the notebook."""
    if cell.run is None:
        return "Cell" if cell.kind == "code" else "Text"
    return f"Cell {cell.run.number}" if cell.run.number is not None else "Added by nbci"


def steps_by_name(steps: Iterable[ShownStep]) -> dict[str, ShownStep]:
    """The steps by the names of their records."""
    return {step.record.name: step for step in steps}


def steps_with_page(steps: Iterable[ShownStep]) -> list[ShownStep]:
    """The steps that the report has a page of."""
    return [step for step in steps if step.page is not None]


def steps_with_result(steps: Iterable[ShownStep], result: StepResult) -> list[ShownStep]:
    """The steps whose records have this result."""
    return [step for step in steps if step.record.result == result]


def shown_steps(
    record: RunRecord,
    plan: Plan,
    notebooks: Mapping[str, Mapping[str, Any]],
    *,
    reused_too: bool = True,
) -> tuple[ShownStep, ...]:
    """Return every step of the plan and the record, in the plan's order.

    One without a record has not been reached.
    """
    planned = {step.name: step for step in plan.steps}
    recorded = {step.name: step for step in record.steps}
    names = file_names({**planned, **recorded})
    goes_on = record.result == "running"
    reason = None if goes_on else "the run ended before this step began"
    return tuple(
        ShownStep(
            record=(
                step := recorded.get(name) or StepRecord(name=name, result="skipped", reason=reason)
            ),
            planned=planned.get(name),
            stem=stem,
            cells=_cells(step, planned.get(name), notebooks.get(name)),
            language=_language(planned.get(name), notebooks.get(name)),
            is_left_for_later=step.result == "reused" and not reused_too and name not in notebooks,
            is_from_notebook=name in notebooks,
            is_waiting=goes_on and step.result == "skipped" and step.reason is None,
        )
        for name, stem in names.items()
    )


def _language(planned: PlannedStep | None, notebook: Mapping[str, Any] | None) -> str:
    if planned:
        return planned.language
    metadata = (notebook or {}).get("metadata") or {}
    return str((metadata.get("kernelspec") or {}).get("language") or "python")


def _cells(
    record: StepRecord, planned: PlannedStep | None, notebook: Mapping[str, Any] | None
) -> tuple[ShownCell, ...]:
    runs = record.attempts[-1].cells if record.attempts else ()
    if notebook is not None:
        return _of_notebook(notebook, runs)
    known = {(run.number, run.role): run for run in runs}
    sources = {(cell.number, cell.role): cell.source for cell in (planned.cells if planned else ())}
    return tuple(
        ShownCell(
            anchor=f"cell-{at}",
            kind="code",
            source=sources[key] if key in sources else known[key].first_line,
            run=known.get(key)
            or CellRun(
                role=key[1], number=key[0], first_line=_first_line(sources[key]), result="not run"
            ),
        )
        for at, key in enumerate({**sources, **known}, 1)
    )


def _of_notebook(notebook: Mapping[str, Any], runs: Sequence[CellRun]) -> tuple[ShownCell, ...]:
    cells = [cell for cell in notebook.get("cells") or () if isinstance(cell, dict)]
    ran = iter(
        _matched([joined_lines(cell.get("source", "")) for cell in cells if _is_code(cell)], runs)
    )
    return tuple(
        ShownCell(
            anchor=f"cell-{at}",
            kind=str(cell.get("cell_type")),
            source=joined_lines(cell.get("source", "")),
            outputs=tuple(cell.get("outputs") or ()) if _is_code(cell) else (),
            run=next(ran) if _is_code(cell) else None,
            attachments=cell["attachments"] if isinstance(cell.get("attachments"), dict) else {},
        )
        for at, cell in enumerate(cells, 1)
    )


def _is_code(cell: Mapping[str, Any]) -> bool:
    return cell.get("cell_type") == "code"


def _matched(sources: Sequence[str], runs: Sequence[CellRun]) -> list[CellRun | None]:
    """The run of each code cell: by place where the numbers agree, else by first line, in order."""
    if len(sources) == len(runs):
        return list(runs)
    result: list[CellRun | None] = []
    at = 0
    for source in sources:
        first_line = _first_line(source)
        found = next(
            (index for index in range(at, len(runs)) if runs[index].first_line == first_line), None
        )
        result.append(None if found is None else runs[found])
        at = at if found is None else found + 1
    return result


def _first_line(source: str) -> str:
    return next((line.strip() for line in source.splitlines() if line.strip()), "")
