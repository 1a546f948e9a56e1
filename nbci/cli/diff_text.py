"""`nbci diff`: what differs between two runs, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.formatting.numbers import counted, listed, number
from nbci.formatting.sizes import size
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.plan.compare import CellChange, Change, DataChange, MetricChange, RunDifference
    from nbci.records.run_record import FileRef

_NAMES_SHOWN = 5
_NOT_THERE = "nothing"


def render_difference(found: RunDifference) -> str:
    """A section for each kind of difference; metrics also where they are equal."""
    lines = [f"{found.before} → {found.after}"]
    if found.is_empty:
        return "\n".join([*lines, "", "nothing differs"]) + "\n"
    lines += _section("parameters", _changes(found.params))
    lines += _section("steps", _changes(found.steps))
    lines += _section("code", [line for change in found.code for line in _cell(change)])
    lines += _section("modules and undeclared files", [_used(change) for change in found.used])
    lines += _section("data", [line for change in found.data for line in _data(change)])
    lines += _section(
        "metrics", table([_metric(change) for change in found.metrics]) if found.metrics else ()
    )
    lines += _section("environment", _changes(found.environment))
    return "\n".join(lines) + "\n"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {line}".rstrip() for line in lines)] if lines else []


def _changes(changes: Sequence[Change]) -> list[str]:
    rows = [
        (one_line(change.name), f"{_value(change.before)} → {_value(change.after)}")
        for change in changes
    ]
    return table(rows) if rows else []


def _value(value: Any) -> str:
    return _NOT_THERE if value is None else one_line(str(value))


def _used(change: Change) -> str:
    """Digests say nothing to people."""
    word = "added" if change.before is None else "removed" if change.after is None else "changed"
    return f"{one_line(change.name)}  {word}"


def _cell(change: CellChange) -> Iterator[str]:
    numbers = [
        f"cell {number}"
        for number in dict.fromkeys((change.before, change.after))
        if number is not None
    ]
    yield f"{change.step}  {change.notebook}, {' → '.join(numbers)} {change.kind}"
    yield from (f"  {line}" for line in change.diff)


def _data(change: DataChange) -> Iterator[str]:
    what = "read" if change.role == "in" else "written"
    yield f"{change.path} ({what})  {change.kind}: {_content(change.before)} → {_content(change.after)}"
    for word, names in (
        ("added", change.added),
        ("removed", change.removed),
        ("changed", change.changed),
    ):
        if names:
            shown = listed([one_line(name) for name in names], _NAMES_SHOWN)
            yield f"  {counted(len(names), 'file')} {word}: {shown}"


def _content(ref: FileRef | None) -> str:
    if ref is None:
        return _NOT_THERE
    files = f" in {counted(ref.files, 'file')}" if ref.files != 1 else ""
    return f"{size(ref.bytes)}{files}"


def _metric(change: MetricChange) -> tuple[str, ...]:
    values = [
        _NOT_THERE if value is None else number(value) for value in (change.before, change.after)
    ]
    unit = f" {change.unit}" if change.unit else ""
    difference = change.difference
    moved = "" if not difference else f"{'+' if difference > 0 else ''}{number(difference)}"
    word = {True: "better", False: "worse", None: ""}[change.better]
    return one_line(change.name), f"{values[0]} → {values[1]}{unit}", moved, word
