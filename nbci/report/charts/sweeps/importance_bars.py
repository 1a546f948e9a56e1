"""How much each parameter mattered, as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted
from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.panel import LETTERS, box, cut_to, picture, rule, text_at
from nbci.report.charts.svg import widest
from nbci.report.data.sweep_material import name_text
from nbci.report.html.markup import fragment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.report.data.sweep_material import SweepMaterial
    from nbci.report.html.markup import Markup
    from nbci.sweeps.importance import Importances

_WIDTH, _ROW, _TOP = 450, 26, 6
_SHOWN = 15


def importance_figures(material: SweepMaterial) -> Iterator[Figure]:
    """A picture an objective, of those whose importances are known."""
    for at, importances in enumerate(material.importances):
        if importances.shares:
            yield _figure(importances, f"images/importances-{at + 1}.svg")


def problem_sentences(material: SweepMaterial) -> Iterator[str]:
    """Why there is no picture, for each objective without one."""
    for importances in material.importances:
        # An empty place would look like a mistake of the page.
        if importances.problem is not None:
            name = name_text(importances.objective)
            yield f"There are none for {name}: {importances.problem}."


def _figure(importances: Importances, path: str) -> Figure:
    shares = importances.shares
    height = _TOP + _ROW * min(len(shares), _SHOWN) + 8
    words = ", ".join(f"{each.parameter} {each.share:.0%}" for each in shares[:3])
    alt = f"Importances of {counted(len(shares), 'parameter')} for {importances.objective}: {words}"
    rows = tuple((each.parameter, f"{each.share:.1%}", str(each.trials)) for each in shares)
    return Figure(
        name=importances.objective,
        title=f"Importance for {name_text(importances.objective)}",
        alt=alt,
        path=path,
        content=picture(fragment(*_bars(importances)), width=_WIDTH, height=height, title=alt),
        width=_WIDTH,
        height=height,
        source=importances.method,
        note=_note(importances),
        numbers=Numbers(heads=("Parameter", "Importance", "Trials with it"), rows=rows),
    )


def _note(importances: Importances) -> str | None:
    """What the shares are of, and how many of them have no bar."""
    count = len(importances.shares)
    if count <= _SHOWN:
        return importances.note
    return f"{importances.note or ''} The {_SHOWN} greatest of {count}.".strip()


def _bars(importances: Importances) -> Iterator[Markup]:
    shown = importances.shares[:_SHOWN]
    left = min(150.0, widest([each.parameter for each in shown], LETTERS)) + 22
    # Room for the number behind the longest bar.
    room = _WIDTH - left - 52
    longest = max(each.share for each in shown) or 1.0
    for at, each in enumerate(shown):
        y = _TOP + _ROW * at
        # Relative to the greatest: shares of a few percent would be slivers.
        width = room * each.share / longest
        yield text_at(cut_to(each.parameter, left - 8), left - 7, y + 16, anchor="end")
        yield box(left, y + 4, width, _ROW - 8, "computed")
        yield text_at(f"{each.share:.0%}", left + width + 6, y + 16, kind="strong")
    yield rule(left, _TOP, left, _TOP + _ROW * len(shown), "axis")
