"""Write the pages of a sweep into its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.app.sweeps.importances import find_importances
from nbci.report.data.sweep_material import SweepMaterial
from nbci.report.pages.sweep.sweep_page import render_sweep
from nbci.report.write import write_report
from nbci.runs.project_runs import sweep_trials

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.app.sweeps.sweep_folder import SweepFolder

_REPORT = "report"


def write_sweep_pages(folder: SweepFolder, target: str) -> Path:
    """Write the pages of a sweep, of one that goes on as far as it is; the first page.

    `target` is what it searched, as it is called here.
    """
    sweep, trials = folder.read_record(), folder.read_trials()
    material = SweepMaterial(
        sweep=sweep,
        trials=trials,
        target=target,
        is_going_on=folder.is_going_on,
        importances=find_importances(sweep, trials),
        pages=_pages_of_runs(folder),
    )
    place = folder.path / _REPORT
    write_report(place, render_sweep(material))
    return place / "index.html"


def _pages_of_runs(folder: SweepFolder) -> dict[str, str]:
    """The reports of trials that were written, by run, as the sweep's pages lead to them."""
    found = {}
    for run in sweep_trials(folder.path):
        page = run.report / "index.html"
        # Reports of trials are written on demand: of a thousand, a few have one.
        if page.exists():
            found[run.run] = f"../{page.relative_to(folder.path).as_posix()}"
    return found
