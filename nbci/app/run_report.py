"""The pages of runs that have ended: a run's report, two runs compared, a summary for a forge."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from nbci.engine.caching.reuse import bring_notebooks
from nbci.errors import UsageError
from nbci.report.data.addresses import find_addresses
from nbci.report.data.gather import gather
from nbci.store.cache import user_cache
from nbci.store.file_index import project_index

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder


def write_run_report(project: Project, folder: RunFolder, warn: Callable[[str], None]) -> Path:
    """Write the pages and the notebooks of all steps into the run's folder; the first page.

    `warn` takes what the report lacks.
    """
    from nbci.app.publish import publish

    plan = folder.read_plan()
    # Not held by us: the run goes on, and is shown as far as it is.
    is_held = folder.hold()
    try:
        if is_held:
            # A run that was killed gets its last record from what was written until then.
            folder.settle()
        record = folder.read()
        _bring_notebooks(project, folder, record)
        notebooks = _source_notebooks(project, plan, warn)
        publish(project, folder, plan, notebooks, record, reused_too=True)
    finally:
        folder.release()
    return folder.report / "index.html"


def write_comparison(project: Project, before: RunFolder, after: RunFolder) -> Path:
    """Write the report of the later run, compared with the earlier one; the first page.

    It lies in the later run's folder beside its own report, and goes away with that run.
    """
    from nbci.app.publish import render_files
    from nbci.report.write import write_report

    if before.run == after.run:
        raise UsageError(
            f"run {after.run} is the same as itself",
            hint="name another run: `nbci runs` lists them",
        )

    record, plan = after.read(), after.read_plan()
    _bring_notebooks(project, after, record)
    material = gather(
        project, record, plan, after.executed_notebooks(plan), environ=os.environ, against=before
    )
    pages = after.path / "compared" / before.run
    addresses = find_addresses(project, material, after, pages, os.environ)
    write_report(pages, render_files(project, replace(material, addresses=addresses)))
    return pages / "index.html"


def render_summary(project: Project, folder: RunFolder, report_url: str | None) -> str:
    """The run in Markdown for a pull request, with what the environment holds masked.

    Records hold no secret of the run, but this process may hold others: the token of the forge.
    """
    from nbci.behaviour.of_runs import mask_behaviours
    from nbci.engine.prepare import mask_for
    from nbci.report.charts import figures_of
    from nbci.report.data.view import build_shown_steps
    from nbci.report.summary import summary

    record, plan = folder.read(), folder.read_plan()
    notebooks = folder.executed_notebooks(plan)
    material = gather(project, record, plan, notebooks, environ=os.environ)
    mask = mask_for(project, plan, os.environ)
    behaviours = mask_behaviours(material.behaviours, mask)
    material = replace(material, url=report_url, behaviours=behaviours)

    # Pictures are links into the report: without one there is nothing to draw, and drawing takes
    # time.
    figures = figures_of(material) if report_url else ()
    links = _links(report_url, os.environ)
    text = summary(material, build_shown_steps(record, plan, notebooks), figures, links=links)
    return mask.text(text.decode())


def _links(report_url: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    links = {}
    if report_url:
        links["Report"] = f"{report_url.rstrip('/')}/index.html"
    # Jenkins sets this one in each build.
    build_url = environ.get("BUILD_URL")
    if build_url:
        links["Build"] = build_url
    return links


def _bring_notebooks(project: Project, folder: RunFolder, record: RunRecord) -> None:
    """Bring the executed notebooks of reused steps.

    They stay in the cache until a page is made.
    """
    bring_notebooks(folder, record, user_cache(os.environ), project_index(project))


def _source_notebooks(
    project: Project, plan: Plan, warn: Callable[[str], None]
) -> Mapping[str, TaggedNotebook]:
    """The notebooks of the plan; none where they have changed since, for their cells are others."""
    from nbci.project.sources import read_notebooks

    try:
        return read_notebooks(project, plan.sources or {})
    except UsageError as error:
        warn(f"the merged notebooks are left as they are: {error}")
        return {}
