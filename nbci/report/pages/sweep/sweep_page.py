"""Build the page of a sweep: the best, the time that was saved, then the trials as pictures."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted
from nbci.report.charts.figure import figure_files
from nbci.report.charts.sweeps.best_history import history_figures
from nbci.report.charts.sweeps.importance_bars import importance_figures, problem_sentences
from nbci.report.charts.sweeps.learning_curves import curve_figures
from nbci.report.charts.sweeps.pair import pair_figures
from nbci.report.charts.sweeps.parallel import parallel_figures
from nbci.report.charts.sweeps.pareto import pareto_figures
from nbci.report.charts.sweeps.saved_time import saved_figures, saved_sentence
from nbci.report.charts.sweeps.slices import slice_figures
from nbci.report.charts.sweeps.timeline import timeline_figures
from nbci.report.html.markup import element, fold, fragment, optional
from nbci.report.html.page import contents_of, page, section
from nbci.report.pages.figures_section import figure_grid
from nbci.report.pages.sweep.heading import best_section, header, search_section
from nbci.report.pages.sweep.trials_table import trials_section
from nbci.sweeps.saved_time import times_of, total_of

_UNFOLDED = 9

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.report.charts.figure import Figure
    from nbci.report.data.sweep_material import SweepMaterial
    from nbci.report.html.markup import Markup


def render_sweep(material: SweepMaterial) -> Mapping[str, bytes]:
    """The files of the sweep's pages by their paths; they keep to the policy of the report's."""
    figures: list[Figure] = []

    def pictures(title: str, anchor: str, found: Iterator[Figure]) -> Markup | None:
        return _figures_section(title, anchor, found, figures)

    # What a reader came for first, then what it cost, then how the trials lie.
    parts = {
        "The best": best_section(material),
        "Search": search_section(material),
        "Saved time": _saved_section(material, figures),
        "History": pictures("History of the best", "history", history_figures(material)),
        "Trials": trials_section(material),
        "Pareto front": pictures("Pareto front", "pareto", pareto_figures(material)),
        "Parallel coordinates": pictures(
            "Parallel coordinates", "parallel", parallel_figures(material)
        ),
        "Slices": _slices_section(material, figures),
        "Two parameters": pictures("The two that matter most", "pairs", pair_figures(material)),
        "Importances": _importances_section(material, figures),
        "Timeline": pictures("Timeline of the workers", "timeline", timeline_figures(material)),
        "Curves": pictures("Curves", "curves", curve_figures(material)),
    }
    shown = {title: part for title, part in parts.items() if part}
    content = page(
        _title(material),
        root="",
        header=header(material),
        contents=contents_of(shown),
        main=fragment(*shown.values()),
        footer=f"Sweep {material.sweep.sweep}, nbci {material.sweep.nbci}",
    )
    style = files("nbci.report").joinpath("style.css").read_bytes()
    return {"index.html": content, "style.css": style, **figure_files(figures)}


def _title(material: SweepMaterial) -> str:
    return f"{material.sweep.pipeline}: sweep {material.sweep.name or material.sweep.sweep}"


def _saved_section(material: SweepMaterial, figures: list[Figure]) -> Markup | None:
    """What the trials computed against what they reused."""
    sentence = saved_sentence(total_of(times_of(material.trials)))
    if sentence is None:
        return None
    drawn = list(saved_figures(material.trials))
    figures += drawn
    return section(
        "Computed and saved time",
        element("p", sentence),
        optional("div", figure_grid(drawn, root="") if drawn else None),
        anchor="saved",
    )


def _figures_section(
    title: str, anchor: str, found: Iterator[Figure], figures: list[Figure]
) -> Markup | None:
    """A part of the page that is pictures; None without any. They are added to `figures`."""
    drawn = list(found)
    if not drawn:
        return None
    figures += drawn
    return section(title, figure_grid(drawn, root=""), anchor=anchor)


def _slices_section(material: SweepMaterial, figures: list[Figure]) -> Markup | None:
    """The slices, the first of them unfolded."""
    # With thirty parameters and two objectives there are sixty of them.
    drawn = list(slice_figures(material))
    if not drawn:
        return None
    figures += drawn
    parts: list[Markup] = [figure_grid(drawn[:_UNFOLDED], root="", class_="figures small")]
    others = drawn[_UNFOLDED:]
    if others:
        grid = figure_grid(others, root="", class_="figures small")
        parts.append(fold(counted(len(others), "more slice"), grid))
    return section("Slices", *parts, anchor="slices")


def _importances_section(material: SweepMaterial, figures: list[Figure]) -> Markup | None:
    """How much each parameter mattered, or why nobody knows."""
    parts: list[Markup] = []
    drawn = list(importance_figures(material))
    figures += drawn
    if drawn:
        parts.append(figure_grid(drawn, root=""))
    for sentence in problem_sentences(material):
        parts.append(element("p", sentence, class_="note"))
    if not parts:
        return None
    return section("Importances", *parts, anchor="importances")
