"""The report of a run: values in, the files of its `report/` folder out."""

from __future__ import annotations

from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING

from nbci.report.charts import figures_of
from nbci.report.data.view import build_shown_steps, steps_by_name, steps_with_page
from nbci.report.junit import junit
from nbci.report.pages.index_page import index_page
from nbci.report.pages.step_page import ComparedStep, step_page
from nbci.report.summary import summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.report.data.material import Baseline, Material
    from nbci.report.data.view import ShownStep


def render_report(material: Material) -> Mapping[str, bytes]:
    """The report's files by their path in the folder.

    A step without a notebook is shown from the plan, a reused one only if the material has reused
    ones too. Pages keep to the policy under which Jenkins serves a build's files: no script, no
    inline style, no `data:`, no download.
    """
    record, plan = material.run.record, material.run.plan
    steps = build_shown_steps(record, plan, material.run.notebooks, reused_too=material.reused_too)
    # Once for the index, the summary and the steps' pages: matplotlib takes longer than all else.
    charts = figures_of(material)
    result = {
        **index_page(material, steps, charts),
        "style.css": files("nbci.report").joinpath("style.css").read_bytes(),
        "summary.md": summary(material, steps, charts),
        "junit.xml": junit(record, steps, material.url),
    }

    with_page = steps_with_page(steps)
    earlier = _steps_to_compare_with(material.baseline, with_page)
    for before, step, after in _with_neighbours(with_page):
        name = step.record.name
        its_charts = [chart for chart in charts if chart.step == name]
        result |= step_page(material, step, (before, after), earlier.get(name), its_charts)
    return result


def _with_neighbours(
    steps: Sequence[ShownStep],
) -> Iterable[tuple[ShownStep | None, ShownStep, ShownStep | None]]:
    return zip((None, *steps), steps, (*steps[1:], None), strict=False)


def _steps_to_compare_with(
    baseline: Baseline | None, steps: Iterable[ShownStep]
) -> dict[str, ComparedStep]:
    """Return what the steps that ran are compared with, by name.

    The baseline's notebooks of other steps are not read: in a run where nearly everything is
    reused, reading them would take longer than the run.
    """
    if baseline is None:
        return {}
    names = [step.record.name for step in steps if step.record.result not in ("skipped", "reused")]
    run = baseline.run
    was = partial(ComparedStep, title=baseline.title, run=run.record.run)
    notebooks = {}
    for name in names:
        notebook = run.notebooks.get(name)
        if notebook is not None:
            notebooks[name] = notebook
    known = steps_by_name(build_shown_steps(run.record, run.plan, notebooks))
    return {name: was(step=known.get(name)) for name in names}
