"""Compare JSON documents and tables, as files that steps wrote hold them."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

from nbci.proofs.tolerance import IDENTICAL, Finding, changed, of_unequal_bytes, worse

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.proofs.tolerance import Tolerance

_LONGEST = 80


def compare_json(before: Path, now: Path, tolerance: Tolerance) -> Finding:
    """Compare two JSON documents; ValueError for what is none."""
    one, other = (json.loads(path.read_bytes()) for path in (before, now))
    return of_unequal_bytes(_compare(one, other, tolerance, ""))


def compare_json_lines(before: Path, now: Path, tolerance: Tolerance) -> Finding:
    """Compare two files with a JSON document a line; ValueError for what is none."""
    one, other = (list(map(json.loads, path.read_bytes().splitlines())) for path in (before, now))
    return of_unequal_bytes(_compare(one, other, tolerance, ""))


def compare_csv(before: Path, now: Path, tolerance: Tolerance, *, delimiter: str = ",") -> Finding:
    """Compare two files of separated values, cell by cell.

    Rows and columns are counted from 1, as editors do; ValueError where it is no text.
    """
    one, other = _rows(before, delimiter), _rows(now, delimiter)
    if len(one) != len(other):
        return changed(f"{len(one):,} rows", f"{len(other):,}")
    found = IDENTICAL
    for number, (row, same) in enumerate(zip(one, other, strict=True), 1):
        if row == same:
            continue
        found = worse(found, _compare_row(row, same, number, tolerance))
        if found.agreement == "different":
            break
    return of_unequal_bytes(found)


def _rows(path: Path, delimiter: str) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def _compare_row(row: list[str], same: list[str], number: int, tolerance: Tolerance) -> Finding:
    if len(row) != len(same):
        return changed(f"{len(row)} columns", len(same), f"row {number}")
    found = IDENTICAL
    for column, (cell, now) in enumerate(zip(row, same, strict=True), 1):
        if cell != now:
            place = f"row {number}, column {column}"
            found = worse(found, _compare_texts(cell, now, tolerance, place))
    return found


def _compare_texts(cell: str, now: str, tolerance: Tolerance, place: str) -> Finding:
    """Compare two cells that differ: as numbers where both are."""
    try:
        numbers = float(cell), float(now)
    except ValueError:
        return changed(_short(cell), _short(now), place)
    return tolerance.compare(*numbers, place)


def _compare(one: Any, other: Any, tolerance: Tolerance, place: str) -> Finding:
    # A loop: a document may nest deeper than Python calls functions.
    found = IDENTICAL
    pending = [(one, other, place)]
    while pending and found.agreement != "different":
        before, now, where = pending.pop()
        if isinstance(before, dict) and isinstance(now, dict) and before.keys() == now.keys():
            for key in reversed(before):
                pending.append((before[key], now[key], f"{where}.{key}"))
        elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
            for number in range(len(before) - 1, -1, -1):
                pending.append((before[number], now[number], f"{where}[{number}]"))
        else:
            found = worse(found, _compare_scalars(before, now, tolerance, where))
    return found


def _compare_scalars(before: Any, now: Any, tolerance: Tolerance, place: str) -> Finding:
    """Compare what is no container, or containers that cannot be compared part by part."""
    if _is_number(before) and _is_number(now) and float in (type(before), type(now)):
        return tolerance.compare(float(before), float(now), place)
    # In Python, True is 1; in JSON they are two things.
    if type(before) is type(now) and before == now:
        return IDENTICAL
    return changed(_short(before), _short(now), place)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = repr(value)
    if len(text) > _LONGEST:
        return f"{text[:_LONGEST]}…"
    return text
