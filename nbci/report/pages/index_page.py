"""Build the run's page: the verdict, then the changes, then all inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.report.data.wording import headline, outcome, said_of_gates
from nbci.report.html.markup import Markup, element, fragment
from nbci.report.html.page import page, time, verdict
from nbci.report.pages.answers import answer_questions
from nbci.report.pages.changes import changes_section
from nbci.report.pages.figures_section import charts_section, graph_section
from nbci.report.pages.index.about import (
    about_section,
    again_section,
    environment_section,
    parameters_section,
)
from nbci.report.pages.index.failed_steps import failures
from nbci.report.pages.index.gallery import gallery
from nbci.report.pages.index.metrics_table import metrics_section
from nbci.report.pages.index.models_section import lineage_section, models_section
from nbci.report.pages.index.steps_table import steps_section, warnings_section
from nbci.report.pages.index.verdict_section import answers_section, gates_section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.records.run_record import RunRecord
    from nbci.report.charts import Figure
    from nbci.report.data.material import Material
    from nbci.report.data.view import ShownStep

_DRAWN_AT_ONCE = 50


def index_page(
    material: Material, steps: Sequence[ShownStep], charts: Sequence[Figure] = ()
) -> dict[str, bytes]:
    """The page and the pictures on it: path in the report to content.

    `charts` are those that steps recorded.
    """
    record, plan = material.run.record, material.run.plan
    metrics, histories = metrics_section(material, steps)
    figures, pictures = gallery(material, steps)
    parts = {
        "Failure": failures(record, steps),
        "In short": answers_section(answer_questions(material, steps)),
        "Gates": gates_section(record),
        "What changed": changes_section(material.baseline, material.no_baseline),
        "Metrics": metrics,
        "Charts": charts_section(charts, root="", steps=steps),
        "Figures": figures,
        "Graph": None
        if material.is_brief and len(steps) > _DRAWN_AT_ONCE
        else graph_section(steps),
        "Steps": steps_section(record, steps),
        "Warnings": warnings_section(record, plan, steps),
        "Model": models_section(material),
        "Lineage": lineage_section(material, steps),
        "Parameters": parameters_section(record),
        "Environment": environment_section(record, steps),
        "Run this again": again_section(record),
        "About this run": about_section(record, material.problems),
    }
    shown = {title: part for title, part in parts.items() if part}
    content = page(
        f"{record.pipeline}: {headline(record)}",
        root="",
        header=_header(record, steps),
        contents=_contents(shown),
        main=fragment(*shown.values()),
        footer=f"Run {record.run}, nbci {record.nbci}",
    )
    drawn = {chart.path: chart.content for chart in charts if chart.path is not None}
    return {"index.html": content, **histories, **pictures, **drawn}


def _header(record: RunRecord, steps: Sequence[ShownStep]) -> Markup:
    commit = record.git.commit[:10] if record.git and record.git.commit else None
    branch = record.git.branch if record.git else None
    facts = (
        time(record.started_utc) if record.started_utc else None,
        fragment("run ", element("code", record.run)),
        fragment("commit ", element("code", commit), f" on {branch}" if branch else "")
        if commit
        else None,
        f"by {record.by or record.user}" if record.by or record.user else None,
    )
    return fragment(
        element("h1", record.pipeline, " ", verdict(headline(record))),
        element("p", outcome(record, steps) + _gates(record), class_="outcome"),
        element("ul", *(element("li", fact) for fact in facts if fact), class_="facts-line"),
    )


def _gates(record: RunRecord) -> str:
    """Return the gates' answer, unless it is a pass, which the badge shows already."""
    return (
        said_of_gates(record.verdict)
        if record.verdict and record.verdict.result != "passed"
        else ""
    )


def _contents(parts: Mapping[str, Markup]) -> Markup:
    """Links to the parts of the page."""
    items = [
        element("li", element("a", title, href=f"#{_anchor(part)}"))
        for title, part in parts.items()
    ]
    return element("nav", element("ul", *items), class_="contents", aria_label="Parts of this page")


def _anchor(part: Markup) -> str:
    """The id of a part, which is that of the first element in it."""
    return part.partition(' id="')[2].partition('"')[0]
