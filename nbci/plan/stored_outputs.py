"""The outputs that a step's notebook is committed with, for steps that must show them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from nbci.graph import edges_of, reachable
from nbci.notebook.nbval_marks import compares_outputs
from nbci.plan.parts import digest_of
from nbci.records.run_record import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.notebook.cells import Notebook
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import PlannedCell, PlannedStep

_COMPARED_ROLES = ("step", "metrics")


class StoredCell(Struct, frozen=True, kw_only=True):
    """A cell of a step with its outputs as the notebook has them.

    `has_run`: it has an execution count. `is_left_out`: a mark of nbval says not to compare it.
    """

    number: int
    first_line: str
    outputs: Sequence[Mapping[str, Any]]
    has_run: bool
    is_left_out: bool

    @property
    def is_compared(self) -> bool:
        """Whether a run must show its outputs again."""
        # As in nbval, a cell that never ran and shows nothing promises nothing.
        return not self.is_left_out and (self.has_run or bool(self.outputs))


def stored_cells(notebook: Notebook, cells: Iterable[PlannedCell]) -> Iterator[StoredCell]:
    """Those of the step's cells that it runs as they are written, in its order."""
    in_document = notebook.document["cells"]
    for planned in cells:
        if planned.role not in _COMPARED_ROLES or planned.number is None:
            continue
        cell = notebook.cell(planned.number)
        # Of a metrics cell, each step runs the part that it has the values for.
        if planned.source != cell.source:
            continue
        raw = in_document[planned.number - 1]
        yield StoredCell(
            number=cell.number,
            first_line=cell.first_line,
            outputs=_outputs(raw),
            has_run=raw.get("execution_count") is not None,
            is_left_out=not compares_outputs(cell),
        )


def parameters_changed(step: PlannedStep, steps: Mapping[str, PlannedStep]) -> tuple[str, ...]:
    """The parameters of the step, and of those before it, that are not the notebooks' own.

    What is committed was shown with the notebooks' own, so with others nothing is compared.
    """
    names: dict[str, None] = {}
    before = reachable([step.name], edges_of(steps.values()))
    for name, other in steps.items():
        if name in before:
            names.update(dict.fromkeys(other.overrides))
    return tuple(names)


def with_stored_outputs(
    steps: Mapping[str, PlannedStep], notebooks: Mapping[str, TaggedNotebook]
) -> dict[str, PlannedStep]:
    """The steps, with what they are compared with as parts of the keys of those that ask for it.

    A result was compared with these outputs, or with none, and says nothing of others.
    """
    result = dict(steps)
    for name, step in steps.items():
        if step.check is None:
            continue
        parts = [Part(kind="outputs", label="not compared", digest="")]
        if not parameters_changed(step, steps):
            parts = list(_output_parts(notebooks[step.notebook].notebook, step.cells))
        result[name] = replace(step, parts=(*step.parts, *parts))
    return result


def _output_parts(notebook: Notebook, cells: Iterable[PlannedCell]) -> Iterator[Part]:
    """A part for each cell; what is not compared of its outputs does not count."""
    for cell in stored_cells(notebook, cells):
        if not cell.is_compared:
            continue
        shown = []
        for output in cell.outputs:
            kept = dict(output)
            kept.pop("execution_count", None)
            kept.pop("metadata", None)
            shown.append(kept)
        digest = digest_of([cell.has_run, shown])
        yield Part(kind="outputs", label=f"cell {cell.number}", digest=digest)


def _outputs(raw: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    outputs = raw.get("outputs")
    if not isinstance(outputs, list):
        return []
    return [output for output in outputs if isinstance(output, dict)]
