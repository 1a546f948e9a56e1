"""Values of a metric over the steps of a training, as they come while a step runs."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from nbci.pipeline.early_stopping import STEP_GROUP, value_group
from nbci.records.metrics import as_number

if TYPE_CHECKING:
    from collections.abc import Iterator

Point = tuple[int, float]
"""A step of the training, and the value there."""

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
            value = number_in(found.group(self._value_group))
            if value is None:
                continue
            self._matches += 1
            step: int | None = self._matches
            if self._has_steps:
                step = step_in(found.group(STEP_GROUP))
            if step is not None:
                yield step, value


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
