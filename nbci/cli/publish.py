"""What is made of a written record: merged notebooks and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan
    from nbci.records.model import RunRecord
    from nbci.store.runs import RunFolder


def publish(folder: RunFolder, plan: Plan, notebooks: Mapping[str, TaggedNotebook], record: RunRecord) -> None:
    """Write the merged notebooks and `report/` into the run's folder."""
    from nbci.engine.merged import read_executed, write_merged
    from nbci.report.render import render_report
    from nbci.report.write import write_report

    write_merged(folder, plan, notebooks)
    executed = {
        step.name: document for step in plan.steps if (document := read_executed(folder, step.name)) is not None
    }
    write_report(folder.report, render_report(record, plan, executed))
