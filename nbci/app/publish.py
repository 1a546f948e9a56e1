"""What is made of a written record: merged notebooks and the report."""

from __future__ import annotations

import importlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.config import Project
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.report.data.material import Material
    from nbci.runs.folder import RunFolder
    from nbci.secrets import Mask


_IMPORTED = (
    "nbci.engine.merged",
    "xml.etree.ElementTree",
    "nbci.report.html.markup",
    "nbci.report.charts.step_figures",
    "nbci.report.pages.index.metrics_table",
    "nbci.report.pages.index.models_section",
    "nbci.report.pages.index.gallery",
    "nbci.report.charts.step_graph",
    "nbci.report.pages.index_page",
    "nbci.report.pages.step_page",
    "nbci.report.render",
    "nbci.report.write",
)
"""What `publish` imports, in parts that take a few milliseconds each."""
_PIXELS = (".png", ".jpg", ".gif", ".webp")
_STEPS_AT_ONCE = 50
_SECONDS_WORTH_DRAWING = 10
# A run's end waits for its report. What would take long beside the run is left to `nbci report`:
# with more steps than that the baseline and the graph, after a shorter run than that the charts,
# for which matplotlib is imported.


def prepare_publishing(plan: Plan) -> Iterator[None]:
    """What `publish` is quicker for, in parts, while there is nothing else to do."""
    for name in _IMPORTED:
        yield
        importlib.import_module(name)
    from nbci.report.charts.layout import import_grandalf
    from nbci.report.html.highlight import source_code
    from nbci.report.html.untrusted import from_markdown

    yield
    source_code("0", plan.steps[0].language if plan.steps else "")
    if plan.markdown:
        yield
        # The first text takes as long as a hundred others: its libraries are imported for it.
        from_markdown("0")
    if 1 < len(plan.steps) <= _STEPS_AT_ONCE:
        yield
        import_grandalf()


def publish(
    project: Project,
    folder: RunFolder,
    plan: Plan,
    notebooks: Mapping[str, TaggedNotebook],
    record: RunRecord,
    *,
    reused_too: bool = False,
) -> Material:
    """Write the merged notebooks and `report/` into the run's folder; what the report is made of.

    Reused steps whose notebooks are not in the run's folder are left for later, unless they are
    asked for.
    """
    from nbci.engine.merged import write_merged

    executed = folder.executed_notebooks(plan)
    reused = frozenset(step.name for step in record.steps if step.result == "reused")
    write_merged(folder, plan, notebooks, executed, frozenset() if reused_too else reused)
    is_brief = not reused_too and (record.seconds or 0.0) < _SECONDS_WORTH_DRAWING
    return _write_report(
        project, folder, plan, record, executed, reused_too=reused_too, is_brief=is_brief
    )


def publish_report(
    project: Project, folder: RunFolder, plan: Plan, record: RunRecord, *, reused_too: bool = False
) -> Material | None:
    """Write `report/` once more, unless the run is all reuse of another, whose report stands."""
    if record.same_as is not None:
        return None
    return _write_report(
        project, folder, plan, record, folder.executed_notebooks(plan), reused_too=reused_too
    )


def _write_report(
    project: Project,
    folder: RunFolder,
    plan: Plan,
    record: RunRecord,
    executed: Mapping[str, Mapping[str, Any]],
    *,
    reused_too: bool,
    is_brief: bool = False,
) -> Material:
    from nbci.report.write import write_report

    if reused_too or len(plan.steps) <= _STEPS_AT_ONCE:
        from nbci.report.data.addresses import find_addresses
        from nbci.report.data.gather import gather

        material = gather(project, record, plan, executed, environ=os.environ)
        addresses = find_addresses(project, material, folder, folder.report, os.environ)
        material = replace(material, addresses=addresses, reused_too=reused_too, is_brief=is_brief)
    else:
        from nbci.report.data.material import Material, ShownRun

        later = f"with {len(plan.steps):,} steps that is left for later: nbci report {record.run}"
        run = ShownRun(record=record, plan=plan, notebooks=executed)
        material = Material(run=run, no_baseline=later, reused_too=False, is_brief=True)
    write_report(folder.report, render_files(project, material))
    return material


def render_files(project: Project, material: Material) -> Mapping[str, bytes]:
    """The report's files, with secrets masked.

    Records hold no secret, but what charts, changes and predictions show of a step's own files may.
    """
    from nbci.behaviour.of_runs import mask_behaviours
    from nbci.engine.prepare import mask_for
    from nbci.report.render import render_report

    mask = mask_for(project, material.run.plan, os.environ)
    if mask.longest:
        behaviours = mask_behaviours(material.behaviours, mask)
        material = replace(material, behaviours=behaviours)
    return mask_files(render_report(material), mask)


def mask_files(files: Mapping[str, bytes], mask: Mask) -> Mapping[str, bytes]:
    """The files of pages with secrets masked."""
    if not mask.longest:
        return files
    masked = {}
    for path, content in files.items():
        # Pixels are compressed: what looks like a secret in them is none, and masking breaks them.
        if path.endswith(_PIXELS):
            masked[path] = content
        else:
            masked[path] = _mask_content(content, mask)
    return masked


def _mask_content(content: bytes, mask: Mask) -> bytes:
    return mask.text(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")
