"""Whether a step shows again what its notebook is committed with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from nbci.engine.interruption import run_in_abandonable_thread
from nbci.errors import UsageError
from nbci.formatting.numbers import and_more, counted
from nbci.formatting.text import short_line
from nbci.graph import by_name
from nbci.plan.stored_outputs import parameters_changed, stored_cells
from nbci.records.output_check import OutputCheck, OutputDifference
from nbci.records.run_record import Failure, StepRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.engine.context import RunContext
    from nbci.kernels.job import JobOutcome
    from nbci.outputs.comparison import CellPair
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import PlannedStep
    from nbci.plan.stored_outputs import StoredCell

_SHOWN_DIFFERENCES = 5
_HINT = (
    "run the notebook from top to bottom and commit it, "
    "or tag a cell `nbval-ignore-output` whose outputs may differ"
)


def check_stored_outputs(
    steps: Iterable[PlannedStep], notebooks: Mapping[str, TaggedNotebook]
) -> None:
    """UsageError where a step checks outputs and its notebook has none, or nothing compares them.

    A check that compares nothing would pass for ever.
    """
    for step in steps:
        if step.check is None or step.action == "skip":
            continue
        # Few steps ask for it: what compares is imported for these alone.
        from nbci.outputs.by_nbval import check_libraries

        check_libraries(f"step {step.name}")
        notebook = notebooks[step.notebook].notebook
        if not any(cell.is_compared for cell in stored_cells(notebook, step.cells)):
            raise UsageError(
                f"step {step.name} checks outputs, and {step.notebook} has none to compare with",
                hint="run the notebook and commit it with its outputs, or take `check` away; "
                "a notebook as text (.py, .md) holds no outputs",
            )


async def check_outputs(
    context: RunContext, step: PlannedStep, record: StepRecord, outcome: JobOutcome
) -> tuple[StepRecord, Failure | None]:
    """The record with what the comparison found, and the failure where outputs differ."""
    if step.check is None:
        return record, None
    from nbci.outputs.by_nbval import compare_by_nbval
    from nbci.outputs.comparison import compare

    changed = parameters_changed(step, by_name(context.plan.steps))
    if changed:
        reason = f"other parameters than the notebook's own: {', '.join(changed)}"
        return _without_comparison(record, reason), None

    notebook = context.notebooks[step.notebook].notebook
    stored = list(stored_cells(notebook, step.cells))
    compared = list(filter(_is_compared, stored))
    pairs, differences = _pairs(context, compared, outcome)
    found = await run_in_abandonable_thread(compare, pairs)
    differences += found.differences
    if found.for_nbval:
        differences += await compare_by_nbval(found.for_nbval, _without_secrets(context))

    order = {cell.number: at for at, cell in enumerate(stored)}
    check = OutputCheck(
        compared=len(compared),
        left_out=sum(cell.is_left_out for cell in stored),
        differences=tuple(sorted(differences, key=lambda each: order[each.cell])),
    )
    return replace(record, outputs=check), _failure(check)


def _without_secrets(context: RunContext) -> dict[str, str]:
    return {name: value for name, value in context.environ.items() if name not in context.secrets}


def _without_comparison(record: StepRecord, reason: str) -> StepRecord:
    warning = f"the outputs are not compared with those that are committed: {reason}"
    return replace(record, outputs=OutputCheck(reason=reason), warnings=(*record.warnings, warning))


def _is_compared(cell: StoredCell) -> bool:
    return cell.is_compared


class _Shown(Struct, frozen=True):
    """What a cell showed, and whether all of it is there."""

    outputs: Sequence[Mapping[str, Any]]
    is_whole: bool


def _pairs(
    context: RunContext, cells: Sequence[StoredCell], outcome: JobOutcome
) -> tuple[list[CellPair], list[OutputDifference]]:
    """Each cell's outputs, stored and now, and the cells of which one side is not there."""
    from nbci.outputs.comparison import CellPair, difference

    now = dict(_shown_by_number(outcome))
    pairs: list[CellPair] = []
    differences: list[OutputDifference] = []
    for cell in cells:
        shown = now.get(cell.number, _Shown((), is_whole=True))
        pair = CellPair(
            cell=cell.number,
            first_line=context.mask.text(short_line(cell.first_line)),
            # What runs is masked: what is stored must be, too, to be the same.
            stored=context.mask.json(list(cell.outputs)),
            now=shown.outputs,
        )
        if not cell.has_run:
            message = "stored without an execution count: no run of the cell showed it"
            differences.append(difference(pair, "outputs", message))
        elif not shown.is_whole:
            message = "longer than a notebook holds (`output_cap_bytes`), so not compared"
            differences.append(difference(pair, "outputs", message))
        else:
            pairs.append(pair)
    return pairs, differences


def _shown_by_number(outcome: JobOutcome) -> Iterator[tuple[int, _Shown]]:
    for cell, run in zip(outcome.notebook["cells"], outcome.cells, strict=False):
        if run.number is not None:
            yield run.number, _Shown(cell["outputs"], is_whole=run.spilled is None)


def _failure(check: OutputCheck) -> Failure | None:
    """The failure that names the first cell and shows what differs."""
    if not check.differences:
        return None
    first = check.differences[0]
    message = "the cell shows other outputs than its notebook is committed with"
    if len(check.cells) > 1:
        message = (
            f"{counted(len(check.cells), 'cell')} show other outputs than the notebook is "
            f"committed with; the first is cell {first.cell}"
        )
    lines: list[str] = []
    for each in check.differences[:_SHOWN_DIFFERENCES]:
        lines += (f"cell {each.cell}, {each.kind}: {each.message}", *each.lines)
    return Failure(
        kind="outputs",
        message=message,
        hint=_HINT,
        cell=first.cell,
        first_line=first.first_line,
        traceback="\n".join((*lines, *_left_out(check))),
    )


def _left_out(check: OutputCheck) -> Iterator[str]:
    more = and_more(len(check.differences), _SHOWN_DIFFERENCES, "difference")
    if more:
        yield f"…{more}"
