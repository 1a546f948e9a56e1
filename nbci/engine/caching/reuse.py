"""Results of an earlier run taken over into a new one."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.engine.caching.decide import decide, is_kept
from nbci.engine.observed.kinds import first_change
from nbci.engine.steps.aliases import Ended
from nbci.engine.steps.inputs import inputs_for
from nbci.errors import IntegrityError, UsageError
from nbci.plan.parts import changes
from nbci.records.codec import to_json_line
from nbci.runs.file_names import NOTEBOOK, STEPS_FOLDER
from nbci.runs.project_runs import all_runs
from nbci.store.files import link_or_copy

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.config import Project
    from nbci.engine.caching.decide import Decision
    from nbci.engine.context import RunContext
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import RunRecord, StepRecord
    from nbci.runs.folder import RunFolder
    from nbci.store.cache import Cache
    from nbci.store.file_index import FileIndex

_LOOK_BACK_RUNS = 50
_LAST_RUNS = 5
# A damaged run, or one of another version of nbci, is nothing to build on, and no reason to run
# nothing.
_UNREADABLE = (IntegrityError, UsageError, FileNotFoundError)


def results_to_take_over(
    project: Project, plan: Plan, cache: Cache, index: FileIndex
) -> dict[str, StepRecord]:
    """The result that still stands for each step that the plan reuses without a check.

    UsageError when one of them has to run first.
    """
    taken = Ended(plan)
    wanted = [step for step in plan.steps if step.action == "reuse"]
    # Without such steps, no earlier run need be read.
    if not wanted:
        return taken
    last = last_records(project, plan.target)
    for step in wanted:
        decision = decide(
            project.root, step, inputs_for(step, plan, taken), cache, index, made=taken.outs
        )
        if decision.record is not None:
            taken[step.name] = decision.record
            continue
        before = last(step.name)
        # A step that runs every time has a result only in the folder of its last run.
        if before is None or before.key != decision.key:
            raise _nothing_to_start_from(plan, step, before, decision)
        if not _is_just_not_kept(project, step, before, index):
            raise _nothing_to_start_from(plan, step, before, decision)
        taken[step.name] = before
    return taken


def _nothing_to_start_from(
    plan: Plan, step: PlannedStep, before: StepRecord | None, decision: Decision
) -> UsageError:
    why = "no earlier run has one"
    if before is not None:
        changed = changes(before.parts, decision.parts)
        if changed:
            why = f"it has changed since it last ran ({'; '.join(changed[:3])})"
    return UsageError(
        f"there is no result of step {step.name} to start from: {why}",
        hint=f"begin earlier, with --from {step.name}, or run all: nbci run {plan.target}",
    )


def _is_just_not_kept(
    project: Project, step: PlannedStep, before: StepRecord, index: FileIndex
) -> bool:
    """Whether a result would stand, but for being one that is never kept for later runs."""
    return not is_kept(step, before) and first_change(project.root, step, before, index) is None


def take_over(
    context: RunContext, record: StepRecord, reason: str, text: bytes = b""
) -> StepRecord:
    """Take over an earlier result as one of this run.

    Its outs are put back; its notebook stays where it is until it is asked for.

    `text` is the record as it was written, where that is known. IntegrityError when what is kept of
    an out is gone or damaged.
    """
    if record.outs:
        context.put_back(record.outs, context.cache.artifacts_of(record))
    context.cache.mark_used(record)
    ours = replace(record, result="reused", reason=reason)
    # The store's files come together from several machines: each step has a file of its own.
    if context.artifacts_through_cache:
        context.folder.write_step(ours)
    else:
        context.folder.add_reused(ours, text or to_json_line(record))
    return ours


def bring_notebooks(folder: RunFolder, record: RunRecord, cache: Cache, index: FileIndex) -> None:
    """Put the notebooks of reused steps in the run's folder, too, as far as they still exist."""
    for step in record.steps:
        if step.result != "reused" or not step.run:
            continue
        in_its_run = folder.path.parent / step.run / STEPS_FOLDER / step.name / NOTEBOOK
        notebook = cache.notebook_of(step, index) or in_its_run
        # The run that made it may have been cleaned away, and its notebook with it.
        if notebook.exists():
            link_or_copy(notebook, folder.step(step.name) / NOTEBOOK)


def last_records(project: Project, target: str) -> Callable[[str], StepRecord | None]:
    """Finds what a step of the target came to in the newest run that ran it."""
    folders = []
    for folder in islice(all_runs(project), _LOOK_BACK_RUNS):
        with suppress(*_UNREADABLE):
            if folder.read_header().target == target:
                folders.append(folder)

    def last(step: str) -> StepRecord | None:
        for folder in folders:
            record = folder.read_step(step)
            # A step that was skipped or failed early has no parts to compare with.
            if record is not None and record.parts:
                return record
        return None

    return last


def recall_results(project: Project, target: str, cache: Cache) -> None:
    """Tell the cache what the newest run of the target reused.

    The next run will most likely reuse it, too.
    """
    for folder in islice(all_runs(project), _LAST_RUNS):
        with suppress(*_UNREADABLE):
            header = folder.read_header()
            if header.target == target:
                reused = folder.made_by(header).reused
                cache.recall(reused.originals(), reused.written_ns)
                return


class KnownOuts:
    """(path, digest) of every out that recent runs recorded: content that nbci made, and may clear.

    The runs are read, the newest first, as far as it takes to answer; most runs never ask.
    """

    def __init__(self, project: Project) -> None:
        self._found: set[tuple[str, str]] = set()
        self._unread = islice(all_runs(project), _LOOK_BACK_RUNS)

    def __contains__(self, out: object) -> bool:
        if out in self._found:
            return True
        for folder in self._unread:
            with suppress(*_UNREADABLE):
                self._found.update(_outs_of(folder))
            if out in self._found:
                return True
        return False


def _outs_of(folder: RunFolder) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for step in folder.read_plan().steps:
        # Most steps declare no files, and their records need not be read.
        if not step.outs and not step.metrics:
            continue
        record = folder.read_step(step.name)
        if record is not None:
            found += [(ref.path, ref.digest) for ref in record.outs]
    return found
