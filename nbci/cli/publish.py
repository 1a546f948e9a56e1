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
    from nbci.engine.merged import write_merged
    from nbci.report.render import render_report
    from nbci.report.write import write_report

    executed = {step.name: document for step in plan.steps if (document := folder.read_executed(step.name)) is not None}
    write_merged(folder, plan, notebooks, executed)
    write_report(folder.report, render_report(record, plan, executed))
