"""The part of a run's page that shows in full what changed since the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import ABSENT, MINUS, and_more, counted
from nbci.formatting.sizes import size
from nbci.formatting.text import short_line
from nbci.report.data.change_wording import (
    cell_title,
    data_changes,
    files_by_kind,
    group_by_cell,
    kind_of_change,
    package_changes,
    surroundings_changes,
    value_text,
)
from nbci.report.html.markup import Markup, element, fold, fragment, table
from nbci.report.html.page import left_out_note, section
from nbci.report.html.text_diff import counts, diff_block
from nbci.report.pages.links import commit_link, with_run_linked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.plan.compare import CellChange, Change, DataChange
    from nbci.records.run_record import FileRef
    from nbci.report.data.addresses import Addresses
    from nbci.report.data.material import Baseline

_FILES_NAMED = 20
_ROWS_UNFOLDED = 20
_CELLS_UNFOLDED = 3
_LINES_UNFOLDED = 30
_ROWS = 200
_VALUE_LENGTH = 300
_PATH_LENGTH = 200
# Colours alone would not tell them apart for everyone.
_SIGNS = {"added": "+ ", "removed": f"{MINUS} ", "changed": "~ "}


def changes_section(
    baseline: Baseline | None, why_none: str | None, addresses: Addresses
) -> Markup:
    """The part of the page; it says what the run was compared with also where nothing differs."""
    if baseline is None:
        return section("What changed", element("p", f"Not compared: {why_none}."), anchor="changes")

    found = baseline.difference
    since = with_run_linked(baseline.title, baseline.run.record.run, addresses)
    contents = {
        "Parameters": _change_table("Parameters", found.params),
        "Code": _changed_cells(found.code),
        "Data": _changed_files("Data that was read", data_changes(found, "in")),
        "Modules and undeclared files": _used_files(found.used),
        "Packages": _change_table("Packages", package_changes(found)),
        "Steps": _change_table("Steps", found.steps),
        "Outs": _changed_files("Outs", data_changes(found, "out")),
        "Surroundings": _surroundings(surroundings_changes(found), addresses),
    }
    parts = []
    for title, content in contents.items():
        if content is not None:
            parts.append(fragment(element("h3", title), content))
    return section(
        "What changed",
        element("p", "Since ", since, ".", class_="since"),
        *(parts or [element("p", "Nothing differs.")]),
        anchor="changes",
    )


# --------------------------------------------------------------------- tables of names and values
def _change_table(title: str, changes: Sequence[Change]) -> Markup | None:
    rows = []
    for change in changes:
        before = element("code", value_text(change.before, _VALUE_LENGTH))
        after = element("code", value_text(change.after, _VALUE_LENGTH))
        rows.append((short_line(change.name), before, after))
    return _limited_table(title, ("Name", "Before", "Now"), rows)


def _surroundings(changes: Sequence[Change], addresses: Addresses) -> Markup | None:
    rows = []
    for change in changes:
        sides = []
        for value in (change.before, change.after):
            if change.name == "commit" and isinstance(value, str):
                sides.append(commit_link(value, addresses))
            else:
                sides.append(element("code", value_text(value, _VALUE_LENGTH)))
        rows.append((change.name, *sides))
    return _limited_table("Surroundings", ("Name", "Before", "Now"), rows)


def _used_files(changes: Sequence[Change]) -> Markup | None:
    rows = []
    for change in changes:
        name = element("code", short_line(change.name))
        rows.append((name, _marked_kind(kind_of_change(change))))
    return _limited_table("Modules and undeclared files", ("File", "Change"), rows)


def _limited_table(
    title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> Markup | None:
    """Folded if it is long; of thousands of rows only the first, for the page's size."""
    if not rows:
        return None
    shown = fragment(
        table(title, heads, rows[:_ROWS], is_stacked=True), left_out_note(len(rows), _ROWS)
    )
    if len(rows) <= _ROWS_UNFOLDED:
        return shown
    return fold(f"{len(rows):,} differ", shown)


def _marked_kind(kind: str) -> Markup:
    return element("span", _SIGNS.get(kind, ""), kind, class_=f"kind kind-{kind}")


# ------------------------------------------------------------------------------------------ code
def _changed_cells(changes: Sequence[CellChange]) -> Markup | None:
    cells = group_by_cell(changes)
    if not cells:
        return None
    are_few = len(cells) <= _CELLS_UNFOLDED
    shown = [_changed_cell(change, steps, are_few=are_few) for change, steps in cells[:_ROWS]]
    return fragment(*shown, left_out_note(len(cells), _ROWS))


def _changed_cell(change: CellChange, steps: Sequence[str], *, are_few: bool) -> Markup:
    added, removed = counts(change.diff)
    title = cell_title(change, steps)
    line_counts = element("span", f"+{added} {MINUS}{removed}", class_="note")
    return fold(
        fragment(title, " ", line_counts),
        diff_block(change.diff, label=title),
        is_open=are_few and len(change.diff) <= _LINES_UNFOLDED,
    )


# ----------------------------------------------------------------------------------------- files
def _changed_files(title: str, changes: Sequence[DataChange]) -> Markup | None:
    if not changes:
        return None
    rows = []
    for change in changes:
        path = element("code", short_line(change.path, _PATH_LENGTH))
        sizes = (_file_size(change.before), _file_size(change.after))
        rows.append((path, _marked_kind(change.kind), *sizes))
    shown = _limited_table(title, ("Path", "Change", "Before", "Now"), rows)
    return fragment(shown, *map(_files_in_folder, changes[:_ROWS]))


def _file_size(ref: FileRef | None) -> str:
    if ref is None:
        return ABSENT
    if ref.files == 1:
        return size(ref.bytes)
    return f"{counted(ref.files, 'file')}, {size(ref.bytes)}"


def _files_in_folder(change: DataChange) -> Markup | None:
    """The files of a folder that differ, by what became of them."""
    numbers: list[str] = []
    items: list[Markup] = []
    for kind, names in files_by_kind(change).items():
        numbers.append(f"{counted(len(names), 'file')} {kind}")
        items += _file_items(kind, names)
    if not items:
        return None
    summary = f"{short_line(change.path)}: {', '.join(numbers)}"
    return fold(summary, element("ul", *items, class_="plain"))


def _file_items(kind: str, names: Sequence[str]) -> Iterator[Markup]:
    for name in names[:_FILES_NAMED]:
        path = element("code", short_line(name, _PATH_LENGTH))
        yield element("li", _marked_kind(kind), " ", path)
    if len(names) > _FILES_NAMED:
        yield element("li", f"…{and_more(len(names), _FILES_NAMED)} {kind}", class_="note")
