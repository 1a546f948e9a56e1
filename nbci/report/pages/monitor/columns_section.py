"""The columns of a monitor's window: a table with the worst first, and pictures of these."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nbci.behaviour.wording import share
from nbci.formatting.numbers import ABSENT, brief, counted, number_or_blank
from nbci.formatting.text import short_line
from nbci.report.charts.monitor.distributions import distribution_figure
from nbci.report.data.drift_wording import (
    MEASURES,
    new_values_text,
    p_text,
    shown_name,
    worst_first,
)
from nbci.report.html.markup import Markup, element, fold, fragment, table
from nbci.report.html.page import left_out_note, section, verdict, with_note
from nbci.report.pages.figures_section import figure_grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.records.monitoring import MonitorResult
    from nbci.records.profile import ColumnDrift, ColumnProfile, SchemaFinding
    from nbci.report.charts.figure import Figure

_UNFOLDED, _FEWEST = 20, 6
_MOST = 5_000
"""With more rows, a browser takes long to show the page."""
_DRAWN = 50
_DRAWN_UNFOLDED = 9
_USUAL_NAME = 36
_LONGEST = 300
_FINDINGS = 20


def findings_section(findings: Sequence[SchemaFinding]) -> Markup | None:
    """What of the window the reference's schema does not have."""
    if not findings:
        return None
    rows = []
    for finding in findings[:_MOST]:
        of_rows = ""
        if finding.share is not None and math.isfinite(finding.share):
            of_rows = share(finding.share)
        rows.append((_name(finding.column), short_line(finding.sentence, _LONGEST), of_rows))
    heads = ("Column", "What", "Of the rows")
    parts: list[Markup | None] = [table("Schema", heads, rows[:_FINDINGS], is_stacked=True)]
    if len(rows) > _FINDINGS:
        more = table("More of the schema", heads, rows[_FINDINGS:], is_stacked=True)
        parts.append(fold(counted(len(rows) - _FINDINGS, "more finding"), more))
    parts.append(left_out_note(len(findings), _MOST))
    return section("Schema", *parts, anchor="schema")


def columns_section(result: MonitorResult) -> Markup | None:
    """All columns with their distances, the worst first; those below the first ones folded."""
    if not result.columns:
        return None
    ordered = worst_first(result.columns)
    measure = _measure_head(ordered)
    rows = [_row(drift, measure) for drift in ordered[:_MOST]]
    unfolded = _count_unfolded(ordered, _UNFOLDED)
    parts: list[Markup | None] = [element("p", _summary(result.columns))]
    if unfolded:
        parts.append(_table("Columns", measure, rows[:unfolded]))
    if len(rows) > unfolded:
        more = rows[unfolded:]
        noun = "more column" if unfolded else "column"
        parts.append(fold(counted(len(more), noun), _table("More columns", measure, more)))
    parts.append(left_out_note(len(ordered), _MOST))
    return section("Columns", *parts, anchor="columns")


def _count_unfolded(ordered: Sequence[ColumnDrift], most: int) -> int:
    """How many columns are shown at once: those that drifted, and a few more to compare with."""
    compared = sum(drift.effect is not None for drift in ordered)
    drifted = sum(drift.is_drifted for drift in ordered)
    return min(compared, max(drifted, _FEWEST), most)


def _summary(columns: Sequence[ColumnDrift]) -> str:
    """How many columns are beyond their limits, of how many that were compared."""
    unknown = [drift for drift in columns if drift.effect is None]
    if len(unknown) == len(columns):
        reasons = {drift.why for drift in unknown if drift.why}
        # One reason for all is what the reader came for.
        why = f": {short_line(reasons.pop(), _LONGEST)}" if len(reasons) == 1 else ""
        return f"None of {counted(len(columns), 'column')} could be compared{why}."
    by_chance = sum(drift.chance_limit is not None for drift in columns)
    judged = by_chance + sum(drift.limit is not None for drift in columns)
    drifted = sum(drift.is_drifted for drift in columns)
    text = f"{counted(len(columns) - len(unknown), 'column')} compared; no rule is of their drift."
    if judged:
        text = f"{drifted:,} of {counted(judged, 'column')} beyond the limit."
    if by_chance:
        text += f" {by_chance:,} may be beyond it by chance, of so few rows."
    if unknown:
        text += f" {len(unknown):,} could not be compared."
    return text


def _table(caption: str, measure: str, rows: Sequence[Sequence[str]]) -> Markup:
    heads = (
        "Column",
        "Holds",
        "Verdict",
        measure,
        "Allowed",
        "p, corrected",
        "Missing",
        "Outside",
        "New values",
        "Why",
    )
    return table(caption, heads, rows, is_stacked=True)


def _measure_head(columns: Sequence[ColumnDrift]) -> str:
    """The measure, where all columns have the same."""
    measures = {drift.measure for drift in columns}
    if len(measures) == 1:
        return MEASURES[measures.pop()]
    return "Effect"


def _row(drift: ColumnDrift, measure: str) -> Sequence[str]:
    effect: str = ABSENT
    if drift.effect is not None:
        effect = element("strong", brief(drift.effect))
        # All columns are mostly judged by one measure, which heads the table.
        if MEASURES[drift.measure] != measure:
            effect = with_note(effect, MEASURES[drift.measure])
    return (
        _name(drift.column),
        drift.kind,
        _verdict(drift),
        effect,
        number_or_blank(drift.chance_limit if drift.limit is None else drift.limit),
        _p_value(drift),
        _missing(drift),
        share(drift.outside) if drift.outside else "",
        new_values_text(drift),
        short_line(drift.why, _LONGEST),
    )


def _name(column: str) -> Markup:
    name = shown_name(column)
    class_ = None
    # A name of usual length is not broken into parts; a longer one would widen the page.
    if len(name) <= _USUAL_NAME:
        class_ = "id"
    return element("code", name, class_=class_)


def _verdict(drift: ColumnDrift) -> str:
    if drift.effect is None:
        return "not compared"
    if drift.chance_limit is not None:
        return "may be chance"
    if drift.limit is None:
        return ""
    return verdict("drifted" if drift.is_drifted else "passed")


def _p_value(drift: ColumnDrift) -> str:
    if drift.p_corrected is None:
        return ""
    return p_text(drift.p_corrected).removeprefix("p ").removeprefix("= ")


def _missing(drift: ColumnDrift) -> str:
    if not drift.missing_share and not drift.missing_share_before:
        return ""
    before = f"{share(drift.missing_share_before)} in the reference"
    return with_note(share(drift.missing_share), before)


# ---------------------------------------------------------------------------------- pictures
def distributions_section(result: MonitorResult, figures: list[Figure]) -> Markup | None:
    """The worst columns in pictures, which are added to `figures`; the first ones unfolded."""
    drawn = list(_distributions(result))
    if not drawn:
        return None
    figures += drawn
    unfolded = _count_unfolded(result.columns, _DRAWN_UNFOLDED)
    grid = figure_grid(drawn[:unfolded], root="", class_="figures small")
    parts: list[Markup] = [_note(result, len(drawn)), element("div", grid, class_="matrix")]
    others = drawn[unfolded:]
    if others:
        grid = figure_grid(others, root="", class_="figures small")
        parts.append(fold(counted(len(others), "more column"), grid))
    return section("Distributions", fragment(*parts), anchor="distributions")


def _distributions(result: MonitorResult) -> Iterator[Figure]:
    before, now = _by_name(result.before), _by_name(result.now)
    count = 0
    for drift in worst_first(result.columns):
        # Beside a window without rows there is nothing to see.
        if drift.effect is None:
            continue
        path = f"images/column-{count + 1}.svg"
        profiles = (before.get(drift.column), now.get(drift.column))
        figure = distribution_figure(drift, *profiles, path)
        if figure is None:
            continue
        yield figure
        count += 1
        if count == _DRAWN:
            return


def _by_name(columns: Sequence[ColumnProfile]) -> Mapping[str, ColumnProfile]:
    return {column.name: column for column in columns}


def _note(result: MonitorResult, drawn: int) -> Markup:
    text = "The window over the reference: data that the released model was made of."
    if drawn == _DRAWN:
        text += f" The {drawn} worst of {len(result.columns):,} columns; the table has all of them."
    return element("p", text, class_="note")
