"""Whether a run can be resumed: what its ended steps used must not have changed.

Otherwise old and new results would mix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.engine.observed.kinds import BY_NAME, CHANGED, WRITTEN, surroundings_of
from nbci.errors import Location, StepError, UsageError
from nbci.store.file_index import project_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.config import Project
    from nbci.engine.observed.kinds import Surroundings
    from nbci.plan.model import Plan
    from nbci.records.run_record import StepRecord
    from nbci.runs.folder import RunFolder

_COMPARED = frozenset(("module", "file", "environment", "link", "variable"))
"""What a run's own steps do not change; a folder that one listed has more files when another has
written some.
"""


def refuse_changed(
    project: Project, plan: Plan, folder: RunFolder, environ: Mapping[str, str]
) -> None:
    """UsageError naming the first file that an ended step of the run used and that changed."""
    index = project_index(project)
    found = ((step, folder.read_step(step.name)) for step in plan.steps)
    records = [(step, record) for step, record in found if record is not None]
    written = {step.name: set(_written(record)) for step, record in records}
    for step, record in records:
        if not record.ended_well:
            continue
        others = set[str]().union(*(paths for name, paths in written.items() if name != step.name))
        surroundings = surroundings_of(project.root, step, record.observed, index, environ)
        changed = next(_changes(record, surroundings, others), None)
        if changed is not None:
            raise UsageError(
                f"{changed} has changed since step {step.name} used it: what it gave would not fit the rest",
                hint=f"run again, which reuses what still stands: nbci run {plan.target}",
                where=Location(step.notebook),
            )


def _written(record: StepRecord) -> Iterator[str]:
    """What the step itself is known to have written, declared or not."""
    yield from (part.label for part in record.observed if part.kind in (WRITTEN, CHANGED))
    yield from (ref.path for ref in record.outs)


def _changes(record: StepRecord, surroundings: Surroundings, written: set[str]) -> Iterator[str]:
    """What was changed by others than the run's other steps, which wrote these."""
    for part in record.observed:
        if part.kind in _COMPARED and part.label not in written:
            kind = BY_NAME[part.kind]
            if kind.state(surroundings, part) != part.digest:
                yield (
                    f"the environment variable {part.label}"
                    if part.kind == "variable"
                    else part.label
                )
    for ref in (*record.deps, *record.outs):
        if ref.path in written:
            continue
        try:
            digest = surroundings.index.fingerprint(surroundings.root, ref.path).digest
        except StepError:
            digest = ""
        if digest != ref.digest:
            yield ref.path
