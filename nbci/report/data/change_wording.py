"""What changed since the baseline in words, as the page of a run and `summary.md` say it."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.formatting.numbers import ABSENT, and_more, counted, measured_or_dash, signed
from nbci.formatting.text import as_json, short_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.plan.compare import CellChange, Change, DataChange, MetricChange, RunDifference
    from nbci.records.page import Direction

_NAMED = 3
_VALUE_LENGTH = 40
_ROLES_CUT_TO_NEED = ("imports", "functions")
"""Roles of cells of which each step gets only the statements that it needs."""
_SURROUNDINGS = ("commit", "branch", "nbci", "platform")
_DIRECTIONS: dict[bool | None, Direction] = {True: "better", False: "worse", None: "unknown"}
_JUDGEMENTS = {True: ", better", False: ", worse", None: ""}


def describe_inputs(found: RunDifference) -> list[str]:
    """Return how the inputs differ, a line for each kind of input; metrics are elsewhere."""
    steps: list[str] = []
    for change in found.steps:
        # A step that both runs have differs in its result; failures come first on the page.
        if change.before is None or change.after is None:
            steps.append(f"step {_name_and_kind(change)}")
    lines = [
        _list_few(map(_name_old_new, found.params), "parameter"),
        _describe_code(found.code),
        *_describe_data(data_changes(found, "in")),
        _list_few(map(_name_and_kind, found.used), "used file"),
        _list_few(map(_name_old_new, package_changes(found)), "package"),
        _list_few(map(_name_old_new, _kernel_changes(found)), "kernel"),
        _list_few(steps, "step"),
    ]
    return list(filter(None, lines))


def summarize_inputs(found: RunDifference) -> str:
    """How many things of which kind went in differently: `2 parameters and 1 cell`."""
    numbers = {
        "parameter": len(found.params),
        "cell": len(group_by_cell(found.code)),
        "input": len(data_changes(found, "in")),
        "used file": len(found.used),
        "package": len(package_changes(found)),
        "kernel": len(_kernel_changes(found)),
    }
    parts: list[str] = []
    for noun, count in numbers.items():
        if count:
            parts.append(counted(count, noun))
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def has_new_input(found: RunDifference) -> bool:
    """Whether anything differs that the results are made of."""
    return bool(
        found.params
        or found.code
        or found.used
        or data_changes(found, "in")
        or package_changes(found)
        or _kernel_changes(found)
    )


def has_new_result(found: RunDifference) -> bool:
    """Whether an out differs, or a metric that both runs have."""
    return bool(data_changes(found, "out")) or any(map(_differs_in_value, found.metrics))


def _differs_in_value(change: MetricChange) -> bool:
    both = change.before is not None and change.after is not None
    return both and bool(change.difference)


# ------------------------------------------------------------------------------ parts of it
def data_changes(found: RunDifference, role: str) -> list[DataChange]:
    """The files and folders that were read (`in`) or written (`out`) and differ."""
    return [change for change in found.data if change.role == role]


def package_changes(found: RunDifference) -> list[Change]:
    """The packages whose versions differ."""
    return list(itertools.filterfalse(_is_of_surroundings, found.environment))


def surroundings_changes(found: RunDifference) -> list[Change]:
    """What differs around the run: commit, branch, nbci, platform, kernels."""
    return list(filter(_is_of_surroundings, found.environment))


def _is_of_surroundings(change: Change) -> bool:
    return change.name in _SURROUNDINGS or _is_kernel(change)


def _kernel_changes(found: RunDifference) -> list[Change]:
    return list(filter(_is_kernel, found.environment))


def _is_kernel(change: Change) -> bool:
    # `plan.compare` puts the kernels' versions among the packages under this name.
    return change.name.startswith("kernel ")


# ------------------------------------------------------------------------------- one change
def kind_of_change(change: Change) -> str:
    """`added`, `removed` or `changed`."""
    if change.before is None:
        return "added"
    if change.after is None:
        return "removed"
    return "changed"


def _name_and_kind(change: Change) -> str:
    # The values of a file or a step are digests and results: only what happened to it is said.
    return f"{short_line(change.name)} {kind_of_change(change)}"


def _name_old_new(change: Change) -> str:
    old = value_text(change.before, _VALUE_LENGTH)
    new = value_text(change.after, _VALUE_LENGTH)
    return f"{short_line(change.name)} {old} → {new}"


def value_text(value: object, limit: int) -> str:
    """A value on one line; a dash for one that a run does not have."""
    if value is None:
        return ABSENT
    if not isinstance(value, str):
        value = as_json(value)
    return short_line(value, limit)


def recorded_note(change: MetricChange) -> str | None:
    """What the baseline had recorded, where its model gave another value when measured again."""
    if change.recorded is None or change.recorded == change.before:
        return None
    return f"measured again; recorded: {measured_or_dash(change.recorded)}"


def describe_metric_change(change: MetricChange) -> str:
    """Return by how much a metric moved, with its sign and its direction in words.

    `new` or `gone` where one side lacks it.
    """
    before, after = change.before, change.after
    if before is None:
        return "new"
    if after is None:
        return "gone"

    if _is_the_same(before, after):
        return "the same"
    moved = moved_by(change)
    if not moved:
        return "no number"
    return f"{moved}{_JUDGEMENTS[change.better]}"


def moved_by(change: MetricChange) -> str:
    """The difference with its sign; empty where there is none, or no number for it."""
    difference = change.difference
    if not difference or math.isnan(difference):
        return ""
    return signed(difference)


def direction_of(change: MetricChange) -> Direction:
    """Where a metric went, in a word."""
    before, after = change.before, change.after
    if before is None or after is None:
        return "unknown"
    if _is_the_same(before, after):
        return "same"
    return _DIRECTIONS[change.better]


def _is_the_same(before: float, after: float) -> bool:
    # A metric that is NaN in both runs has not moved, though NaN differs from itself.
    return before == after or (math.isnan(before) and math.isnan(after))


def files_by_kind(change: DataChange) -> Mapping[str, Sequence[str]]:
    """The files in a folder that were added, removed and changed, as far as there are any."""
    by_kind = {"added": change.added, "removed": change.removed, "changed": change.changed}
    return {kind: names for kind, names in by_kind.items() if names}


def _describe_data(changes: Sequence[DataChange]) -> Iterator[str]:
    for change in changes[:_NAMED]:
        files = [f"{len(names):,} {kind}" for kind, names in files_by_kind(change).items()]
        yield f"{short_line(change.path)} {', '.join(files) or change.kind}"
    if len(changes) > _NAMED:
        yield f"and {counted(len(changes) - _NAMED, 'more input')}"


# ------------------------------------------------------------------------------------ cells
def cell_title(change: CellChange, steps: Sequence[str] | None = None) -> str:
    """`digits/train, cell 10 changed`; of a cell that moved, both its numbers."""
    steps = steps or (change.step,)
    named = ", ".join(steps)
    if len(steps) > _NAMED:
        named = f"{len(steps)} steps"
    numbers: list[str] = []
    for number in (change.before, change.after):
        if number is not None and str(number) not in numbers:
            numbers.append(str(number))
    return f"{named}: cell {' → '.join(numbers)} {change.kind}"


def group_by_cell(changes: Sequence[CellChange]) -> list[tuple[CellChange, tuple[str, ...]]]:
    """Each changed cell once, with the steps that run it.

    Of a cell of imports or functions, a step has only what it needs: what differs for any of them
    is brought together.
    """
    groups: dict[tuple[str, int | None, int | None], list[CellChange]] = {}
    for change in changes:
        # The new number names a cell; the old one only where the cell was removed.
        removed = None
        if change.after is None:
            removed = change.before
        groups.setdefault((change.notebook, change.after, removed), []).append(change)

    merged: list[tuple[CellChange, tuple[str, ...]]] = []
    for group in groups.values():
        merged.append((_merge(group), tuple(change.step for change in group)))
    return merged


def _merge(group: Sequence[CellChange]) -> CellChange:
    first = _first_changed(group)
    lines = list(first.diff)
    for change in group:
        for line in change.diff:
            if line.startswith(("+", "-")) and line not in lines:
                lines.append(line)
    # Where a step does not need a statement, its lines are blank, which is no change of the cell.
    if first.role in _ROLES_CUT_TO_NEED:
        lines = [line for line in lines if line[1:].strip()]
    return replace(first, diff=tuple(lines))


def _first_changed(group: Sequence[CellChange]) -> CellChange:
    # For a step that needs it for the first time the cell is "added"; the notebook had it before.
    for change in group:
        if change.kind == "changed":
            return change
    return group[0]


def _describe_code(changes: Sequence[CellChange]) -> str:
    """`2 cells changed, 1 added in digits/train, digits/predict`."""
    cells = group_by_cell(changes)
    if not cells:
        return ""
    numbers = Counter(change.kind for change, _ in cells)
    parts: list[str] = []
    for kind in ("changed", "added", "removed"):
        number = numbers[kind]
        if number and not parts:
            parts.append(f"{counted(number, 'cell')} {kind}")
        elif number:
            parts.append(f"{number} {kind}")

    steps: dict[str, None] = {}
    for _, its_steps in cells:
        steps.update(dict.fromkeys(its_steps))
    return f"{', '.join(parts)} in {_list_few(steps, 'step')}"


def _list_few(items: Iterable[str], noun: str) -> str:
    """The first few items, and how many more there are."""
    texts = list(items)
    shown = ", ".join(texts[:_NAMED])
    if len(texts) <= _NAMED:
        return shown
    return shown + and_more(len(texts), _NAMED, noun)
