"""How values that two runs gave differ, as a kernel says that loads both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.engine.steps.inputs import Inputs
from nbci.engine.steps.kernel_job import in_environment, kernel_job
from nbci.errors import NbciError
from nbci.kernels.execute import run_job
from nbci.kernels.value_comparison import ComparedFiles, ComparingCell
from nbci.proofs.tolerance import OTHER_BYTES
from nbci.records.proof import Item

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Literal

    from nbci.engine.context import RunContext
    from nbci.handoff.values import ValueRef
    from nbci.kernels.job import KernelJob, ProgramCell
    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import CellRun
    from nbci.store.cache import Cache

_FIRST_CELLS = ("parameters", "injected", "imports", "functions")
_FOLDER_ONLY = "only the path of the folder it ran in differs"


class Versions(Struct, frozen=True, kw_only=True):
    """A value as two runs gave it."""

    before: ValueRef
    now: ValueRef


class ValueComparison:
    """Compares values of a run that was carried out again in the workspace of `context`.

    `known` is the cache that has the values of the run before. Tolerances of floats are relative
    and absolute.
    """

    def __init__(
        self, context: RunContext, known: Cache, checkout: str, tolerances: tuple[float, float]
    ) -> None:
        self._context = context
        self._known = known
        self._folders = (str(context.project.root), checkout)
        self._tolerances = tolerances

    async def compare(self, step: PlannedStep, versions: Sequence[Versions]) -> tuple[Item, ...]:
        """One item for each value of the step, in order."""
        there = [each for each in versions if self._bring(each.before)]
        answers = {}
        if there:
            answers = await self._ask(step, there)
        return tuple(_item(each.before.name, answers) for each in versions)

    def _bring(self, ref: ValueRef) -> bool:
        """Whether the value of the run before is here, whole: `nbci clean` may have removed it."""
        try:
            is_kept = self._context.cache.take_value(self._known, ref.object)
        # The remote has damaged what it keeps, or is not there: the values still differ.
        except NbciError:
            return False
        return is_kept and bool(self._context.whole_values([ref]))

    async def _ask(
        self, step: PlannedStep, versions: Sequence[Versions]
    ) -> dict[str, Mapping[str, Any]]:
        pairs = tuple((each.now.name, each.before.object, each.now.object) for each in versions)
        comparing = ComparingCell(
            ComparedFiles(
                folder=self._context.cache.values,
                pairs=pairs,
                tolerances=self._tolerances,
                folders=self._folders,
                by_reference=step.defined_by_reference,
            )
        )
        refs = [each.before for each in versions] + [each.now for each in versions]
        try:
            place = await self._context.environment_of(step)
            job = in_environment(self._job(step, refs, comparing.cell), place)
            outcome = await run_job(job, _NoListener())
        # The answer is still that they differ: only where is not known.
        except NbciError as error:
            return {each.now.name: {"reason": f"not compared: {error}"} for each in versions}
        if outcome.failure is not None:
            reason = {"reason": f"not compared: {outcome.failure.message}"}
            return dict.fromkeys([each.now.name for each in versions], reason)
        return {str(answer["name"]): answer for answer in comparing.answers(outcome.notebook)}

    def _job(self, step: PlannedStep, refs: Iterable[ValueRef], cell: ProgramCell) -> KernelJob:
        """The job of the step with the cell in the place of its own ones: it gives nothing."""
        record = self._context.records[step.name]
        inputs = Inputs(values=tuple(refs), params=dict(record.params or {}))
        job = kernel_job(self._context, step, inputs, None)
        first = tuple(each for each in job.cells if each.role in _FIRST_CELLS)
        folder = self._context.folder.path / "compared"
        return replace(
            job,
            cells=(*first, cell),
            takes=(),
            gives=(),
            optional_gives=(),
            probes=(),
            spill_folder=folder,
            log_path=folder / f"{step.name.replace('/', '%')}.log",
            journal_path=None,
        )


def _item(name: str, answers: Mapping[str, Mapping[str, Any]]) -> Item:
    answer = answers.get(name, {"reason": "what it was before is no longer kept"})
    if answer.get("agreement") != "close":
        return Item(
            kind="value",
            name=name,
            agreement="different",
            place=str(answer.get("place", "")),
            reason=str(answer.get("reason", "")),
        )
    largest = float(answer["largest"]) or None
    reason = ""
    if answer["moved"]:
        reason = _FOLDER_ONLY
    elif largest is None:
        reason = OTHER_BYTES
    place = str(answer["place"])
    return Item(
        kind="value", name=name, agreement="close", place=place, reason=reason, largest=largest
    )


class _NoListener:
    """Nobody needs to see the cells of a comparison."""

    def cell_started(self, cell: ProgramCell, index: int, total: int) -> None:
        """Nothing."""

    def text_printed(
        self, cell: ProgramCell | None, text: str, stream: Literal["stdout", "stderr"]
    ) -> None:
        """Nothing."""

    def cell_ended(self, cell: ProgramCell, run: CellRun) -> None:
        """Nothing."""
