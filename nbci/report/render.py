"""The report of a run: values in, the files of its `report/` folder out."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from nbci.report.charts import figures_of
from nbci.report.data.view import shown_steps
from nbci.report.junit import junit
from nbci.report.pages.index_page import index_page
from nbci.report.pages.step_page import ComparedStep, step_page
from nbci.report.summary import summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbci.report.data.material import Baseline, Material
    from nbci.report.data.view import ShownStep


def render_report(material: Material) -> Mapping[str, bytes]:
    """The report's files by their path in the folder.

    A step without a notebook is shown from the plan, a reused one only if the material has reused
    ones too. Pages keep to the policy under which Jenkins serves a build's files: no script, no
    inline style, no `data:`, no download.
    """
    record, plan = material.run.record, material.run.plan
    steps = shown_steps(record, plan, material.run.notebooks, reused_too=material.reused_too)
    figures = figures_of(material)
    result = {
        **index_page(material, steps, figures),
        "style.css": files("nbci.report").joinpath("style.css").read_bytes(),
        "summary.md": summary(material, steps, figures),
        "junit.xml": junit(record, steps, material.url),
    }
    with_page = [step for step in steps if step.page is not None]
    was = _compared(material.baseline, with_page)
    for at, step in enumerate(with_page):
        before = with_page[at - 1] if at else None
        after = with_page[at + 1] if at + 1 < len(with_page) else None
        its_charts = [figure for figure in figures if figure.step == step.record.name]
        result |= step_page(record, step, (before, after), was.get(step.record.name), its_charts)
    return result


def _compared(baseline: Baseline | None, steps: Iterable[ShownStep]) -> dict[str, ComparedStep]:
    """Return what the steps that ran are compared with.

    The baseline's notebooks of other steps are not read.
    """
    if baseline is None:
        return {}
    names = [step.record.name for step in steps if step.record.result not in ("skipped", "reused")]
    run = baseline.run
    notebooks = {name: found for name in names if (found := run.notebooks.get(name)) is not None}
    known = {step.record.name: step for step in shown_steps(run.record, run.plan, notebooks)}
    return {name: ComparedStep(title=baseline.title, step=known.get(name)) for name in names}
