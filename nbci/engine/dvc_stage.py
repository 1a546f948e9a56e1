"""A run as DVC asks for it: one stage of a dvc.yaml that nbci wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.data.dvc_export import write_notes
from nbci.data.dvc_files import PARAMS_FILE, notes_of
from nbci.data.dvc_params import assigned_in_section
from nbci.data.repository import project_cache
from nbci.engine.caching.reuse import results_to_take_over
from nbci.errors import Location, UsageError
from nbci.plan.select import Selection, select
from nbci.store.file_index import project_index

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.config import Project
    from nbci.params import Assignment
    from nbci.pipeline.model import Pipeline
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord


def exported_params(project: Project, pipeline: Pipeline) -> tuple[Assignment, ...]:
    """What params.yaml says of the pipeline's parameters."""
    try:
        text = (project.root / PARAMS_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=Location(PARAMS_FILE)) from error
    return assigned_in_section(pipeline.name, text)


def select_stage(
    project: Project, plan: Plan, steps: Sequence[str], environ: Mapping[str, str]
) -> Plan:
    """The plan for just these steps, with the results of the steps before them.

    Steps before whose results are not here run, too.
    """
    only = select(plan, Selection(only=tuple(steps)))
    index = project_index(project)
    try:
        results_to_take_over(project, only, project_cache(project, environ), index)
    # DVC runs a stage also where no run of nbci has made what comes before it.
    except UsageError:
        return select(plan, Selection(until=tuple(steps)))
    return only


def write_notes_of(project: Project, plan: Plan, record: RunRecord, steps: Sequence[str]) -> None:
    """Write for DVC what came of these steps besides files; of all steps where none is named."""
    for step in record.steps:
        asked = not steps or step.name in steps or plan.step(step.name).node in steps
        if asked and step.ended_well:
            write_notes(project, notes_of(plan, step))
