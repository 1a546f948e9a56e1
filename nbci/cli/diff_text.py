"""`nbci diff`: what differs between two runs, as text."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from nbci.behaviour.wording import summarise
from nbci.formatting.numbers import counted, listed, number
from nbci.formatting.sizes import size
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line
from nbci.formatting.text import text_of_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.behaviour.of_runs import StepBehaviour
    from nbci.plan.compare import CellChange, Change, DataChange, MetricChange, RunDifference
    from nbci.records.run_record import FileRef

_NAMES_SHOWN = 5
_NOTHING = "nothing"
# None where the pipeline declares no direction: then neither value is the better one.
_BETTER = {True: "better", False: "worse", None: ""}


def render_difference(found: RunDifference, behaviours: Sequence[StepBehaviour] = ()) -> str:
    """The differences as text, a section for each kind.

    Equal metrics, and models that behave alike, are listed too.
    """
    lines = [f"{found.before} → {found.after}"]
    if found.is_empty:
        lines += ["", "nothing differs"]
    else:
        lines += _sections(found)
    lines += _section("behaviour", _behaviour_lines(behaviours))
    return text_of_lines(lines)


def _sections(found: RunDifference) -> Iterator[str]:
    yield from _section("parameters", _changes(found.params))
    yield from _section("steps", _changes(found.steps))
    yield from _section("code", chain.from_iterable(map(_cell, found.code)))
    yield from _section("modules and undeclared files", map(_used_file, found.used))
    yield from _section("data", chain.from_iterable(map(_data, found.data)))
    yield from _section("metrics", table(map(_metric_row, found.metrics)))
    yield from _section("environment", _changes(found.environment))


def _behaviour_lines(behaviours: Iterable[StepBehaviour]) -> Iterator[str]:
    for behaviour in behaviours:
        if behaviour.difference is None:
            yield f"{behaviour.step}  not compared: {one_line(str(behaviour.problem))}"
            continue
        for sentence in summarise(behaviour.difference):
            yield f"{behaviour.step}  {one_line(sentence)}"


def _section(title: str, lines: Iterable[str]) -> list[str]:
    shown = [f"  {line}".rstrip() for line in lines]
    if not shown:
        return []
    return ["", title, *shown]


def _changes(changes: Sequence[Change]) -> list[str]:
    rows = []
    for change in changes:
        values = f"{_value(change.before)} → {_value(change.after)}"
        rows.append((one_line(change.name), values))
    return table(rows)


def _value(value: Any) -> str:
    if value is None:
        return _NOTHING
    return one_line(str(value))


def _used_file(change: Change) -> str:
    """The name of the file, and whether it was added, removed or changed."""
    word = "changed"
    if change.before is None:
        word = "added"
    elif change.after is None:
        word = "removed"
    return f"{one_line(change.name)}  {word}"


def _cell(change: CellChange) -> Iterator[str]:
    # A cell that was added or removed has one number; one that stayed in its place, twice the same.
    places = dict.fromkeys((change.before, change.after))
    numbers = [f"cell {place}" for place in places if place is not None]
    yield f"{change.step}  {change.notebook}, {' → '.join(numbers)} {change.kind}"
    for line in change.diff:
        yield f"  {line}"


def _data(change: DataChange) -> Iterator[str]:
    what = "written"
    if change.role == "in":
        what = "read"
    contents = f"{_content(change.before)} → {_content(change.after)}"
    yield f"{change.path} ({what})  {change.kind}: {contents}"

    # Of a folder, where both of its listings are still kept.
    yield from _files("added", change.added)
    yield from _files("removed", change.removed)
    yield from _files("changed", change.changed)


def _files(word: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        shown = listed([*map(one_line, names)], _NAMES_SHOWN)
        yield f"  {counted(len(names), 'file')} {word}: {shown}"


def _content(ref: FileRef | None) -> str:
    if ref is None:
        return _NOTHING
    if ref.files == 1:
        return size(ref.bytes)
    return f"{size(ref.bytes)} in {counted(ref.files, 'file')}"


def _metric_row(change: MetricChange) -> tuple[str, ...]:
    values = f"{_metric_value(change.before)} → {_metric_value(change.after)}"
    if change.unit:
        values += f" {change.unit}"

    difference = ""
    if change.difference:
        difference = number(change.difference)
        # `number` writes the minus of a negative one.
        if change.difference > 0:
            difference = f"+{difference}"
    return one_line(change.name), values, difference, _BETTER[change.better]


def _metric_value(value: float | None) -> str:
    if value is None:
        return _NOTHING
    return number(value)
