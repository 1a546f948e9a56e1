"""Values of a metric over the steps of a training, as they come while a step runs."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nbci.pipeline.early_stopping import STEP_GROUP, value_group
from nbci.records.metrics import as_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Point = tuple[int, float]
"""A step of the training, and the value there."""

STEP_KEYS = ("step", "epoch", "iteration", "iter", "global_step")
"""What the step is called beside a value, the first that is there."""

LONGEST_LINE = 2_000
"""Characters of a line that are looked at."""

_KEPT_WHOLE = 200
_LINE_ENDS = re.compile(r"\r\n|[\r\n]")


class PrintedLines:
    """Reads values out of printed text, which comes in pieces."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self._value_group = value_group(pattern)
        self._has_steps = STEP_GROUP in pattern.groupindex
        self._begun = ""
        self._matches = 0

    def feed(self, text: str) -> Iterator[Point]:
        """The values in the lines that this text completes."""
        # A progress bar ends its line with a return only.
        *lines, begun = _LINE_ENDS.split(self._begun + text)
        self._begun = begun[:LONGEST_LINE]
        for line in lines:
            yield from self._points(line)

    def _points(self, line: str) -> Iterator[Point]:
        for found in self._pattern.finditer(line[:LONGEST_LINE]):
            # A group may take in what is no number, such as 1.2.3.
            value = number_in(found.group(self._value_group))
            if value is None:
                continue
            self._matches += 1
            step: int | None = self._matches
            if self._has_steps:
                step = step_in(found.group(STEP_GROUP))
            if step is not None:
                yield step, value


class Documents:
    """Reads values of a metric out of JSON documents, of which each replaces the one before.

    A document has the whole curve, or the newest value of it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def read(self, document: Any) -> tuple[Point, ...]:
        """The values in the next document, of which some may have been in the one before."""
        if isinstance(document, list):
            return curve_of_records(document, self._name)
        if not isinstance(document, Mapping):
            return ()
        value = _at(document, self._name)
        if isinstance(value, list):
            return _curve_of_list(value, document, self._name)
        # As `{"loss": {"step": 3, "value": 0.5}}`.
        if isinstance(value, Mapping):
            document, value = value, _at(value, "value")
        number = number_in(value)
        if number is None:
            return ()
        self._count += 1
        step = _step_of(document)
        return ((self._count if step is None else step, number),)


def _curve_of_list(values: list[Any], document: Mapping[str, Any], name: str) -> tuple[Point, ...]:
    """The curve of a list: of numbers, whose steps may be a list beside it, or of records."""
    if any(isinstance(value, Mapping) for value in values):
        return curve_of_records(values, name)
    steps = _steps_beside(document)
    records = []
    for at, value in enumerate(values):
        record = {name: value}
        if at < len(steps):
            record["step"] = steps[at]
        records.append(record)
    return curve_of_records(records, name)


def _steps_beside(document: Mapping[str, Any]) -> list[Any]:
    for key in STEP_KEYS:
        if isinstance(document.get(key), list):
            return list(document[key])
    return []


def curve_of_records(records: Iterable[Any], name: str) -> tuple[Point, ...]:
    """The curve in rows, each with its value and, under a usual name, its step.

    Rows without a step are counted from 1.
    """
    points: list[Point] = []
    for record in records:
        if not isinstance(record, Mapping):
            continue
        value = number_in(_at(record, name))
        # A list under the metric's name need not repeat it in each row.
        if value is None:
            value = number_in(record.get("value"))
        if value is None:
            continue
        step = _step_of(record)
        points.append((len(points) + 1 if step is None else step, value))
    return tuple(points)


def curve_of_table(text: str, name: str, separator: str) -> tuple[Point, ...]:
    """The curve in a table with a header; a last line that is not at its end does not count."""
    whole, _, _ = text.rpartition("\n")
    return curve_of_records(csv.DictReader(io.StringIO(whole), delimiter=separator), name)


def curve_of_lines(text: str, name: str) -> tuple[Point, ...]:
    """The curve in lines of JSON; a last line that is not at its end does not count."""
    records = []
    for line in text.split("\n")[:-1]:
        # Whatever else a program logs there.
        with suppress(ValueError):
            records.append(json.loads(line))
    return curve_of_records(records, name)


def _at(record: Mapping[str, Any], name: str) -> Any:
    """What has that name: as it is, nested under its parts, or under the last of them.

    DVCLive writes `train/loss` nested in JSON, and into a file of its own among those of `train`.
    """
    if name in record:
        return record[name]
    found: Any = record
    parts = re.split("[./]", name)
    for part in parts:
        if not isinstance(found, Mapping) or part not in found:
            return record.get(parts[-1])
        found = found[part]
    return found


def _step_of(record: Mapping[str, Any]) -> int | None:
    # Tables that people read, too, have a `Step`.
    named = {str(key).lower(): value for key, value in record.items()}
    for key in STEP_KEYS:
        step = step_in(named.get(key))
        if step is not None:
            return step
    return None


def number_in(text: object) -> float | None:
    """The number that a text spells, `nan` and `inf` among them; a number as it is."""
    if not isinstance(text, str):
        return as_number(text)
    try:
        return float(text)
    except ValueError:
        return None


def step_in(text: object) -> int | None:
    """The step that a text spells, or that is one: a whole number from 0 on."""
    number = number_in(text)
    if number is None or not math.isfinite(number) or number != int(number) or number < 0:
        return None
    return int(number)


def is_kept(count: int) -> bool:
    """Whether the value that `count` others came before counts, for the pruner and the record.

    All of the first 200 do, then every second one, from the 400th on every fourth, and so on: a
    training of a million steps has about 1,400. What is left out depends on the count alone, so
    that trials are compared at the same steps.
    """
    doublings = (count // _KEPT_WHOLE).bit_length()
    return count % (1 << doublings) == 0
