"""Build the run's page: the verdict, then the changes, then all inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.report.charts.figure import figure_files
from nbci.report.data.wording import full_outcome, headline, subject
from nbci.report.html.markup import Markup, element, fragment, item_list
from nbci.report.html.page import contents_of, description_paragraphs, facts, page, time, verdict
from nbci.report.pages.answers import answer_questions
from nbci.report.pages.changes import changes_section
from nbci.report.pages.failure import failures_section
from nbci.report.pages.figures_section import charts_section, graph_section
from nbci.report.pages.index.about import (
    about_section,
    again_section,
    environment_section,
    parameters_section,
)
from nbci.report.pages.index.behaviour_section import behaviour_section
from nbci.report.pages.index.findings import blame_section, proof_section
from nbci.report.pages.index.gallery import gallery_section
from nbci.report.pages.index.metrics_table import metrics_section
from nbci.report.pages.index.models_section import lineage_section, models_section
from nbci.report.pages.index.outline import outline_section
from nbci.report.pages.index.steps_table import steps_section, warnings_section
from nbci.report.pages.index.verdict_section import answers_section, gates_section
from nbci.report.pages.links import build_link, change_link, commit_link, run_link

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.records.run_record import RunRecord
    from nbci.report.charts import Figure
    from nbci.report.data.addresses import Addresses
    from nbci.report.data.material import Baseline, Material
    from nbci.report.data.view import ShownStep

# A brief report is one that the end of a run waits for; laying out larger graphs takes long.
_DRAWN_AT_ONCE = 50


def index_page(
    material: Material, steps: Sequence[ShownStep], charts: Sequence[Figure] = ()
) -> dict[str, bytes]:
    """The page and the pictures on it: path in the report to content.

    `charts` are those that steps recorded.
    """
    record = material.run.record
    parts, pictures = _parts(material, steps, charts)
    shown = {title: part for title, part in parts.items() if part}
    content = page(
        _title(material),
        root="",
        header=_header(material, steps),
        contents=contents_of(shown),
        main=fragment(*shown.values()),
        footer=f"Run {record.run}, nbci {record.nbci}",
    )
    return {"index.html": content, **pictures, **figure_files(charts)}


def _parts(
    material: Material, steps: Sequence[ShownStep], charts: Sequence[Figure]
) -> tuple[dict[str, Markup | None], dict[str, bytes]]:
    """The parts of the page by their titles, and the files of the pictures in them."""
    record, plan = material.run.record, material.run.plan
    metrics, histories = metrics_section(material, steps)
    figures, pictures = gallery_section(material, steps)
    behaviour, examples = behaviour_section(material.behaviours, material.run)
    # In the order of a reviewer's questions: may it go out, why, what changed, what is it.
    parts = {
        "Failure": failures_section(record, steps),
        "In short": answers_section(answer_questions(material, steps)),
        "Gates": gates_section(record, plan),
        "How it behaves": behaviour,
        "Proof": proof_section(material.proofs),
        "Why it moved": blame_section(material.blames),
        "What changed": changes_section(
            material.baseline, material.no_baseline, material.addresses
        ),
        "Metrics": metrics,
        "Charts": charts_section(charts, root="", steps=steps),
        "Figures": figures,
        "Outline": outline_section(plan, steps),
        "Graph": _graph(material, steps),
        "Steps": steps_section(material, steps),
        "Warnings": warnings_section(record, plan, steps),
        "Model": models_section(material),
        "Lineage": lineage_section(material, steps),
        "Parameters": parameters_section(record),
        "Environment": environment_section(record, steps),
        "Run this again": again_section(record),
        "About this run": about_section(material),
    }
    return parts, {**histories, **pictures, **examples}


def _graph(material: Material, steps: Sequence[ShownStep]) -> Markup | None:
    if material.is_brief and len(steps) > _DRAWN_AT_ONCE:
        return None
    return graph_section(steps)


def _title(material: Material) -> str:
    # Of two runs, whose result would it be?
    if material.is_comparison:
        return subject(material)
    return f"{subject(material)}: {headline(material.run.record)}"


def _header(material: Material, steps: Sequence[ShownStep]) -> Markup:
    record = material.run.record
    sentence = full_outcome(record, steps)
    if material.is_comparison and material.baseline is not None:
        return _comparison_header(material, material.baseline, sentence)
    return fragment(
        element("h1", record.pipeline, " ", verdict(headline(record))),
        description_paragraphs(material.run.plan.description),
        element("p", sentence, class_="outcome"),
        item_list(_facts(record, material.addresses), class_="facts-line"),
    )


def _comparison_header(material: Material, baseline: Baseline, sentence: str) -> Markup:
    """Both runs as they ended, and of which of them the page is."""
    runs = []
    for word, record in (
        ("This run", material.run.record),
        ("Baseline", baseline.run.record),
    ):
        line = item_list(_facts(record, material.addresses), class_="facts-line")
        runs.append((word, fragment(verdict(headline(record)), line)))
    what = "This is a comparison of two runs: the page is of this run, beside the baseline. "
    return fragment(
        element("h1", subject(material)),
        element("p", what, sentence, class_="outcome"),
        element("div", facts(runs), class_="compared-runs"),
    )


def _facts(record: RunRecord, addresses: Addresses) -> Iterator[str]:
    """When, which, of what, by whom: on one line."""
    if record.started_utc:
        yield time(record.started_utc)
    yield fragment("run ", run_link(record.run, addresses))
    git = record.git
    if git is not None and git.commit:
        branch = ""
        if git.branch:
            branch = f" on {git.branch}"
        yield fragment("commit ", commit_link(git.commit, addresses, length=10), branch)
    yield from filter(None, (change_link(record), build_link(record)))
    person = record.by or record.user
    if person:
        yield f"by {person}"
