"""Whether what the ended steps of a run used is as it was.

A run is resumed only then: otherwise old and new results would mix. And it is proved only with what
it had itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nbci.engine.observed.kinds import BY_NAME, CHANGED, WRITTEN, surroundings_of
from nbci.errors import Location, StepError, UsageError
from nbci.store.file_index import project_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.config import Project
    from nbci.engine.observed.states import Surroundings
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import StepRecord
    from nbci.runs.folder import RunFolder

_COMPARED = frozenset(("module", "file", "environment", "link", "variable"))
"""Kinds that a run's own steps do not change.

A folder that one step listed has more files when another has written some.
"""


def refuse_changed(
    project: Project, plan: Plan, folder: RunFolder, environ: Mapping[str, str]
) -> None:
    """UsageError naming the first file that an ended step of the run used and that changed."""
    changed = first_change(project, plan, folder, environ)
    if changed is not None:
        raise UsageError(
            f"{changed.what} has changed since step {changed.step.name} used it: "
            "what it gave would not fit the rest",
            hint=f"run again, which reuses what still stands: nbci run {plan.target}",
            where=Location(changed.step.notebook),
        )


class ChangedInput(NamedTuple):
    """Something that a step used and that is not as it was; `what` is its name for people."""

    step: PlannedStep
    what: str


def first_change(
    project: Project,
    plan: Plan,
    folder: RunFolder,
    environ: Mapping[str, str],
    *,
    without_outs: bool = False,
) -> ChangedInput | None:
    """The first thing that an ended step of the run used and that changed; None where all stand.

    `without_outs`: the project is a workspace in which no step has run yet.
    """
    index = project_index(project)
    records = {}
    written = {}
    for step in plan.steps:
        record = folder.read_step(step.name)
        if record is not None:
            records[step.name] = record
            written[step.name] = _paths_written(record)

    for step in plan.steps:
        record = records.get(step.name)
        if record is None or not record.ended_well:
            continue
        # What another step of the run wrote after this one had read it is as the run left it.
        others: set[str] = set()
        for name, paths in written.items():
            if name != step.name or without_outs:
                others.update(paths)
        surroundings = surroundings_of(project.root, step, record.observed, index, environ)
        changed = next(_changes(record, surroundings, others), None)
        if changed is not None:
            return ChangedInput(step, changed)
    return None


def _paths_written(record: StepRecord) -> set[str]:
    """What the step itself is known to have written, declared or not."""
    found = {ref.path for ref in record.outs}
    for part in record.observed:
        # A file that it read may have been changed by its own hand.
        if part.kind in (WRITTEN, CHANGED):
            found.add(part.label)
    return found


def _changes(record: StepRecord, surroundings: Surroundings, written: set[str]) -> Iterator[str]:
    """What was changed by others than the run's other steps, which wrote these."""
    for part in record.observed:
        if part.kind not in _COMPARED or part.label in written:
            continue
        if BY_NAME[part.kind].state(surroundings, part) == part.digest:
            continue
        if part.kind == "variable":
            yield f"the environment variable {part.label}"
        else:
            yield part.label
    for ref in (*record.deps, *record.outs):
        if ref.path in written:
            continue
        try:
            digest = surroundings.index.fingerprint(surroundings.root, ref.path).digest
        except StepError:
            # A part of it that cannot be read now could be when the step used it.
            digest = ""
        if digest != ref.digest:
            yield ref.path
