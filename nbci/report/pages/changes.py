"""What changed since the baseline: in a few words, and as a part of the page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.formatting.numbers import MINUS, counted, rough
from nbci.formatting.sizes import size
from nbci.formatting.text import as_json, short_line
from nbci.report.html.markup import Markup, element, folded, fragment, table
from nbci.report.html.page import section
from nbci.report.html.text_diff import counts, diff_block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.plan.compare import CellChange, Change, DataChange, MetricChange, RunDifference
    from nbci.records.run_record import FileRef
    from nbci.report.data.material import Baseline

_NAMED = 3
_FILES_NAMED = 20
_CELLS_UNFOLDED = 3
_LINES_UNFOLDED = 30
_ROWS = 200
_NOT_THERE = "—"
_IN_PARTS = ("imports", "functions")
_SURROUNDINGS = ("commit", "branch", "nbci", "platform")


def in_words(found: RunDifference) -> list[str]:
    """Return how the inputs differ, a line for each kind of input; metrics are elsewhere."""
    packages = _packages(found)
    lines = [
        _listed(
            [f"{short_line(change.name)} {_old_new(change)}" for change in found.params],
            "parameter",
        ),
        _code_in_words(found.code),
        *_data_in_words([change for change in found.data if change.role == "in"]),
        _listed(
            [f"{short_line(change.name)} {_came_or_went(change)}" for change in found.used],
            "used file",
        ),
        _listed(
            [f"{short_line(change.name)} {_old_new(change)}" for change in packages], "package"
        ),
        _listed([f"{change.name} {_old_new(change)}" for change in _kernels(found)], "kernel"),
        _listed(
            [f"step {short_line(change.name)} {_came_or_went(change)}" for change in _steps(found)],
            "step",
        ),
    ]
    return [line for line in lines if line]


def kinds(found: RunDifference) -> str:
    """How many things of which kind went in differently: `2 parameters and 1 cell`."""
    numbers = {
        "parameter": len(found.params),
        "cell": len(grouped(found.code)),
        "input": sum(change.role == "in" for change in found.data),
        "used file": len(found.used),
        "package": len(_packages(found)),
        "kernel": len(_kernels(found)),
    }
    said = [counted(count, noun) for noun, count in numbers.items() if count]
    return " and ".join(part for part in (", ".join(said[:-1]), *said[-1:]) if part)


def has_new_input(found: RunDifference) -> bool:
    """Whether anything differs that the results are made of."""
    data_in = [change for change in found.data if change.role == "in"]
    return bool(
        found.params or found.code or data_in or found.used or _packages(found) or _kernels(found)
    )


def has_new_result(found: RunDifference) -> bool:
    """Whether a metric or an out differs."""
    return any(change.role == "out" for change in found.data) or any(
        metric.before is not None and metric.after is not None and metric.difference
        for metric in found.metrics
    )


def moved(change: MetricChange) -> str:
    """Return by how much a metric moved, with its sign and its direction in words.

    `new` or `gone` where one side lacks it.
    """
    if change.before is None or change.after is None:
        return "new" if change.before is None else "gone"
    if math.isnan(change.before) or math.isnan(change.after):
        return "the same" if math.isnan(change.before) and math.isnan(change.after) else "no number"
    if change.before == change.after:
        return "the same"
    difference = change.after - change.before
    sign = "+" if difference > 0 else MINUS
    word = {True: ", better", False: ", worse", None: ""}[change.better]
    return f"{sign}{rough(abs(difference))}{word}"


def changes_section(baseline: Baseline | None, why_none: str | None) -> Markup:
    """The part of the page; it says what the run was compared with also where nothing differs."""
    if baseline is None:
        return section("What changed", element("p", f"Not compared: {why_none}."), anchor="changes")
    found = baseline.difference
    parts = [
        _part("Parameters", _change_table("Parameters", found.params)),
        _part("Code", _code(found.code)),
        _part(
            "Data",
            _data([change for change in found.data if change.role == "in"], "Data that was read"),
        ),
        _part("Modules and undeclared files", _used(found.used)),
        _part("Packages", _change_table("Packages", _packages(found))),
        _part("Steps", _change_table("Steps", found.steps)),
        _part("Outs", _data([change for change in found.data if change.role == "out"], "Outs")),
        _part("Surroundings", _change_table("Surroundings", _surroundings(found))),
    ]
    shown = [part for part in parts if part is not None]
    nothing = None if shown else element("p", "Nothing differs.")
    return section(
        "What changed",
        element("p", f"Since {baseline.title}.", class_="since"),
        nothing,
        *shown,
        anchor="changes",
    )


def cell_title(change: CellChange, steps: Sequence[str] | None = None) -> str:
    """`digits/train, cell 10 changed`; of a cell that moved, both its numbers."""
    numbers = dict.fromkeys(
        number for number in (change.before, change.after) if number is not None
    )
    where = " → ".join(str(number) for number in numbers)
    named = (
        ", ".join(steps or (change.step,))
        if len(steps or ()) <= _NAMED
        else f"{len(steps or ())} steps"
    )
    return f"{named}: cell {where} {change.kind}"


def grouped(changes: Sequence[CellChange]) -> list[tuple[CellChange, tuple[str, ...]]]:
    """Each changed cell once, with the steps that run it.

    Of a cell of imports or functions, a step has only what it needs: what differs for any of them
    is brought together.
    """
    groups: dict[tuple[str, int | None, int | None], list[CellChange]] = {}
    for change in changes:
        key = (change.notebook, change.after, change.before if change.after is None else None)
        groups.setdefault(key, []).append(change)
    return [(_merged(group), tuple(change.step for change in group)) for group in groups.values()]


def _merged(group: Sequence[CellChange]) -> CellChange:
    first = next((change for change in group if change.kind == "changed"), group[0])
    lines = [*first.diff]
    for change in group:
        lines += [line for line in change.diff if line[:1] in ("+", "-") and line not in lines]
    if first.role in _IN_PARTS:  # where a step needs no statement, its lines are blank
        lines = [line for line in lines if line[1:].strip()]
    return replace(first, diff=tuple(lines))


def _part(title: str, content: Markup | None) -> Markup | None:
    return fragment(element("h3", title), content) if content is not None else None


def _packages(found: RunDifference) -> list[Change]:
    return [change for change in found.environment if not _is_surrounding(change)]


def _surroundings(found: RunDifference) -> list[Change]:
    return [change for change in found.environment if _is_surrounding(change)]


def _kernels(found: RunDifference) -> list[Change]:
    return [change for change in found.environment if change.name.startswith("kernel ")]


def _steps(found: RunDifference) -> list[Change]:
    """Return those added or removed; failures are not here, as they come first on the page."""
    return [change for change in found.steps if change.before is None or change.after is None]


def _is_surrounding(change: Change) -> bool:
    return change.name in _SURROUNDINGS or change.name.startswith("kernel ")


def _old_new(change: Change) -> str:
    return f"{_value(change.before, 40)} → {_value(change.after, 40)}"


def _value(value: object, limit: int = 300) -> str:
    if value is None:
        return _NOT_THERE
    return short_line(value if isinstance(value, str) else as_json(value), limit)


def _came_or_went(change: Change) -> str:
    return "added" if change.before is None else "removed" if change.after is None else "changed"


def _listed(items: Sequence[str], noun: str) -> str:
    """The first few items, and how many more there are."""
    more = f" and {counted(len(items) - _NAMED, f'more {noun}')}" if len(items) > _NAMED else ""
    return f"{', '.join(items[:_NAMED])}{more}"


def _code_in_words(changes: Sequence[CellChange]) -> str:
    """`2 cells changed, 1 added in digits/train, digits/predict`."""
    cells = grouped(changes)
    if not cells:
        return ""
    kinds = [change.kind for change, _ in cells]
    parts = [(kind, kinds.count(kind)) for kind in ("changed", "added", "removed") if kind in kinds]
    said = ", ".join(
        f"{counted(count, 'cell') if not at else count} {kind}"
        for at, (kind, count) in enumerate(parts)
    )
    return f"{said} in {_listed(list(dict.fromkeys(step for _, steps in cells for step in steps)), 'step')}"


def _data_in_words(changes: Sequence[DataChange]) -> Iterator[str]:
    for change in changes[:_NAMED]:
        files = [f"{len(names):,} {word}" for word, names in _files(change).items() if names]
        yield f"{short_line(change.path)} {', '.join(files) or change.kind}"
    if len(changes) > _NAMED:
        yield f"and {counted(len(changes) - _NAMED, 'more input')}"


def _files(change: DataChange) -> Mapping[str, Sequence[str]]:
    return {"added": change.added, "removed": change.removed, "changed": change.changed}


def _change_table(title: str, changes: Sequence[Change]) -> Markup | None:
    rows = [
        (
            short_line(change.name),
            element("code", _value(change.before)),
            element("code", _value(change.after)),
        )
        for change in changes
    ]
    return _rows(title, ("Name", "Before", "Now"), rows)


def _used(changes: Sequence[Change]) -> Markup | None:
    rows = [
        (element("code", short_line(change.name)), _kind(_came_or_went(change)))
        for change in changes
    ]
    return _rows("Modules and undeclared files", ("File", "Change"), rows)


def _rows(title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Markup | None:
    if not rows:
        return None
    more = (
        element("p", f"… and {len(rows) - _ROWS:,} more.", class_="note")
        if len(rows) > _ROWS
        else None
    )
    shown = fragment(table(title, heads, rows[:_ROWS], is_stacked=True), more)
    return shown if len(rows) <= _FILES_NAMED else folded(f"{len(rows):,} differ", shown)


def _kind(kind: str) -> Markup:
    return element(
        "span",
        {"added": "+ ", "removed": f"{MINUS} ", "changed": "~ "}.get(kind, ""),
        kind,
        class_=f"kind kind-{kind}",
    )


def _code(changes: Sequence[CellChange]) -> Markup | None:
    cells = grouped(changes)
    unfolded = len(cells) <= _CELLS_UNFOLDED
    shown = [_cell(change, steps, is_open=unfolded) for change, steps in cells[:_ROWS]]
    if len(cells) > _ROWS:
        shown.append(element("p", f"… and {len(cells) - _ROWS:,} more.", class_="note"))
    return fragment(*shown) if shown else None


def _cell(change: CellChange, steps: Sequence[str], *, is_open: bool) -> Markup:
    came, went = counts(change.diff)
    title = cell_title(change, steps)
    size_of = element("span", f"+{came} {MINUS}{went}", class_="note")
    is_open = is_open and len(change.diff) <= _LINES_UNFOLDED
    return folded(
        fragment(title, " ", size_of), diff_block(change.diff, label=title), is_open=is_open
    )


def _data(changes: Sequence[DataChange], title: str) -> Markup | None:
    rows = [
        (
            element("code", short_line(change.path, 200)),
            _kind(change.kind),
            _content(change.before),
            _content(change.after),
        )
        for change in changes
    ]
    if not rows:
        return None
    listed = _rows(title, ("Path", "Change", "Before", "Now"), rows)
    return fragment(listed, *(_names(change) for change in changes[:_ROWS]))


def _content(ref: FileRef | None) -> str:
    if ref is None:
        return _NOT_THERE
    return f"{counted(ref.files, 'file')}, {size(ref.bytes)}" if ref.files != 1 else size(ref.bytes)


def _names(change: DataChange) -> Markup | None:
    """The files of a folder that differ, by what became of them."""
    if not any(_files(change).values()):
        return None
    said = [
        f"{counted(len(names), 'file')} {word}" for word, names in _files(change).items() if names
    ]
    items = [item for word, names in _files(change).items() for item in _some(word, names)]
    return folded(
        f"{short_line(change.path)}: {', '.join(said)}", element("ul", *items, class_="plain")
    )


def _some(word: str, names: Sequence[str]) -> Iterator[Markup]:
    for name in names[:_FILES_NAMED]:
        yield element("li", _kind(word), " ", element("code", short_line(name, 200)))
    if len(names) > _FILES_NAMED:
        yield element("li", f"… and {len(names) - _FILES_NAMED:,} more {word}", class_="note")
