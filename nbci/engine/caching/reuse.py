"""Results of an earlier run taken over into a new one."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.engine.caching.decide import decide
from nbci.engine.observed.kinds import BY_NAME, first_change
from nbci.engine.steps.aliases import Ended
from nbci.engine.steps.inputs import inputs_for
from nbci.errors import IntegrityError, UsageError
from nbci.plan.parts import changes
from nbci.records.codec import to_json_line
from nbci.runs.folder import NOTEBOOK, all_runs
from nbci.store.files import link_or_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbci.config import Project
    from nbci.engine.context import RunContext
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import RunRecord, StepRecord
    from nbci.runs.folder import RunFolder
    from nbci.store.cache import Cache
    from nbci.store.file_index import FileIndex

_LOOK_BACK_RUNS = 50
_LAST_RUNS = 5
# a damaged run, or one of another version of nbci, is nothing to build on, and no reason to run
# nothing
_UNREADABLE = (IntegrityError, UsageError, FileNotFoundError)


def results_to_take_over(
    project: Project, plan: Plan, cache: Cache, index: FileIndex
) -> dict[str, StepRecord]:
    """The result that still stands for each step that the plan reuses without a check.

    UsageError when one of them has to run first.
    """
    taken = Ended(plan)
    wanted = [step for step in plan.steps if step.action == "reuse"]
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
        if (
            before is not None
            and before.key == decision.key
            and _is_just_not_kept(project, step, before, index)
        ):
            taken[step.name] = before
        else:
            changed = changes(before.parts, decision.parts) if before is not None else []
            why = (
                f"it has changed since it last ran ({'; '.join(changed[:3])})"
                if changed
                else "no earlier run has one"
            )
            raise UsageError(
                f"there is no result of step {step.name} to start from: {why}",
                hint=f"begin earlier, with --from {step.name}, or run all: nbci run {plan.target}",
            )
    return taken


def is_kept(step: PlannedStep, record: StepRecord) -> bool:
    """Whether the result may stand for later runs.

    What came over the network may be different tomorrow.

    What a step read and is no longer so cannot be compared, whatever the step asks for.
    """
    kept = {BY_NAME[part.kind].kept for part in record.observed}
    if "never" in kept or step.cache is False:
        return False
    return step.cache is True or (
        "if asked" not in kept and ("with deps" not in kept or bool(step.deps))
    )


def _is_just_not_kept(
    project: Project, step: PlannedStep, before: StepRecord, index: FileIndex
) -> bool:
    """Whether a result would stand, but for being one that every new run makes anew."""
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
        if step.result == "reused":
            elsewhere = folder.path.parent / (step.run or "") / "steps" / step.name / NOTEBOOK
            notebook = cache.notebook_of(step, index) or elsewhere
            if step.run and notebook.exists():
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
                self._found |= set(_outs(folder))
            if out in self._found:
                return True
        return False


def _outs(folder: RunFolder) -> Iterator[tuple[str, str]]:
    for step in folder.read_plan().steps:
        record = folder.read_step(step.name) if step.outs or step.metrics else None
        yield from ((ref.path, ref.digest) for ref in record.outs) if record is not None else ()
