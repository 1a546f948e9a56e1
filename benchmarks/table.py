"""Rows as a text table, as Markdown, as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.measure import Row, Spread, Unit

HEAD = ("work", "nbci", "peer", "", "ratio", "target", "met")

PREFACE = """\
Written by `make bench`; do not edit. Every figure is a median. \
A ratio is nbci's figure divided by the peer's, taken in
pairs that took turns in one run, with the quartiles in brackets: \
below 1 nbci is better, and `1/150` means 150 times.
Ratios travel between machines, absolute times do not."""


def cells(row: Row) -> tuple[str, ...]:
    """A row as the table shows it."""
    met = {True: "yes", False: "no", None: ""}[row.met]
    theirs = amount(row.peer_figure.median, row.unit) if row.peer_figure else ""
    return (
        row.work,
        amount(row.figure.median, row.unit),
        theirs,
        row.peer or "",
        _spread(row.ratio),
        goal(row),
        met,
    )


def amount(value: float, unit: Unit) -> str:
    """A figure with three digits and a unit that suits it.

    >>> amount(0.0123, "s"), amount(12.34, "s"), amount(150e6, "bytes")
    ('12.3 ms', '12.3 s', '150 MB')
    """
    if unit == "bytes":
        return f"{value / 1e6:.0f} MB" if value >= 1e7 else f"{value / 1e3:.0f} kB"
    return f"{_digits(value * 1000)} ms" if value < 1 else f"{_digits(value)} s"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def share(value: float) -> str:
    """A ratio; tiny ones as one part of so many.

    >>> share(0.254), share(1 / 168.2), share(12.3)
    ('0.25', '1/168', '12.3')
    """
    return (
        f"1/{1 / value:.0f}"
        if 0 < value < 0.02
        else f"{value:.2f}"
        if value < 10
        else f"{value:.3g}"
    )


def _spread(ratio: Spread | None) -> str:
    if ratio is None:
        return ""
    around = f" ({share(ratio.low)} … {share(ratio.high)})" if ratio.rounds > 1 else ""
    return f"{share(ratio.median)}{around}"


def goal(row: Row) -> str:
    """The target in words."""
    if row.target is None:
        return ""
    most = (
        share(row.target.at_most)
        if row.target.of == "ratio"
        else amount(row.target.at_most, row.unit)
    )
    return f"≤ {most}"


def as_text(rows: Sequence[Row]) -> str:
    """Columns for a terminal."""
    lines = [HEAD, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_markdown(groups: Mapping[str, Iterable[Row]], titles: Mapping[str, str], quick: bool) -> str:
    """A page: what was measured where, and a table for each benchmark."""
    parts = [
        "# Benchmarks",
        PREFACE,
        f"This run: {machine()}." + (" A quick look: few rounds, small sizes." if quick else ""),
    ]
    for name, rows in groups.items():
        lines = ["| work | nbci | peer | | ratio | target | met |", "|---|---|---|---|---|---|---|"]
        lines += [f"| {' | '.join(cells(row))} |" for row in rows]
        parts += [f"## {titles[name]}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def as_json(groups: Mapping[str, Iterable[Row]], quick: bool) -> str:
    """Everything for programs: figures in seconds or bytes."""
    rows = [
        {"benchmark": name, **asdict(row), "met": row.met}
        for name, group in groups.items()
        for row in group
    ]
    return (
        json.dumps(
            {"machine": machine(), "quick": quick, "rows": rows}, indent=1, ensure_ascii=False
        )
        + "\n"
    )


def machine() -> str:
    """The machine in words, and how busy it was."""
    cores = len(os.sched_getaffinity(0))
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{cores} cores ({platform.machine()}), {gib:.0f} GiB of memory, {platform.system()}, "
        f"Python {platform.python_version()}; load average {os.getloadavg()[0]:.1f} at the end"
    )
