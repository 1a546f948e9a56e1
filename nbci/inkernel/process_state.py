"""Settings of the process and of libraries that a step changed, which the next steps do not have.

Each step runs in a process of its own, so a changed setting stays behind: the user is told.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from . import arrivals
from .kernel_settings import KINDS, Kind
from .notes import is_own, quietly

SHOWN = 4
"""So many names of changed settings are shown."""

# What follows is this kernel's own, from `begin` to `finish`.

first: dict[str, dict[str, Any]] = {}
"""Each kind's settings before the step's own cells, or when its library came."""
last: dict[str, dict[str, Any]] = {}
"""The same after the last cell."""
tokens: dict[str, Any] = {}
changed_in: dict[tuple[str, str], int] = {}
"""The execution count of the cell that changed a setting last."""
known: set[str] = set()
"""The modules that were here after the last cell."""
ABSENT = object()


def begin() -> None:
    """Take a picture of all settings, and compare with it after each cell.

    Only there the settings of a context (`decimal`, numpy) are seen: nbci's own calls have another.
    """
    from IPython import get_ipython

    # Most libraries come later, or never: each is looked at when it comes.
    for kind in KINDS:
        arrivals.watch(kind.owner, functools.partial(picture, kind))
    known.update(sys.modules)
    get_ipython().events.register("post_run_cell", after_cell)


def picture(kind: Kind, owner: Any) -> None:
    """Remember how it is now; what cannot be read is not looked at any more.

    Nothing of it is the step's reading.
    """
    quietly(remember, kind, owner)


def remember(kind: Kind, owner: Any) -> None:
    last[kind.name] = kind.read(owner)
    tokens[kind.name] = None
    if kind.token is not None:
        tokens[kind.name] = kind.token(owner)
    first[kind.name] = dict(last[kind.name])


def cell_count() -> int:
    """The execution count of the cell that has just run."""
    from IPython import get_ipython

    return len(get_ipython().history_manager.input_hist_raw) - 1


def after_cell(result: Any) -> None:
    """Note which settings the cell changed."""
    count = cell_count()
    text = str(getattr(getattr(result, "info", None), "raw_cell", ""))
    came = sorted(set(sys.modules) - known)
    known.update(came)
    for kind in KINDS:
        if kind.name in first:
            imported: list[str] = []
            if kind.words and not mentions(text, kind):
                imported = came
            quietly(note_changes, kind, count, imported)


def mentions(text: str, kind: Kind) -> bool:
    return any(word in text for word in kind.words)


def note_changes(kind: Kind, count: int, imported: list[str]) -> None:
    """Note what changed; `imported` are modules whose import may have done it."""
    owner = arrivals.here(kind.owner)
    # reading hundreds of options takes longer than most cells
    if kind.token is not None:
        token = kind.token(owner)
        if token == tokens.get(kind.name):
            return
        tokens[kind.name] = token
    before, now = last[kind.name], kind.read(owner)
    if now == before:
        return
    last[kind.name] = now
    # an import of an installed package does the same in the next step; it is no change then
    of_imports = imported and not any_own(imported)
    for name in differing_names(before, now):
        if not of_imports:
            changed_in[kind.name, name] = count
        elif name in now:
            first[kind.name][name] = now[name]
        else:
            first[kind.name].pop(name, None)


def any_own(imported: list[str]) -> bool:
    """Whether there is a module of the project among them: the next step need not import it."""
    for name in imported:
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str) and is_own(file):
            return True
    return False


def differing_names(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    # not a set: the order of the settings is that of the lines that people see
    names = dict.fromkeys((*before, *now))
    return [name for name in names if before.get(name, ABSENT) != now.get(name, ABSENT)]


def finish() -> list[list[Any]]:
    """What is not as it was at the beginning, as `[execution count, text]`.

    There is a line for each cell that changed something.
    """
    lines: dict[int, list[str]] = {}
    for kind in KINDS:
        by_cell: dict[int, list[str]] = {}
        for name in differing_names(first.get(kind.name, {}), last.get(kind.name, {})):
            by_cell.setdefault(changed_in.get((kind.name, name), 0), []).append(name)
        for count, names in by_cell.items():
            lines.setdefault(count, []).append(settings_text(kind.name, names))
    return change_lines(lines)


def change_lines(by_cell: dict[int, list[str]]) -> list[list[Any]]:
    """What each cell changed, as `[execution count, text]`."""
    lines = []
    for count, changes in sorted(by_cell.items()):
        lines.append([count, "it changed " + ", ".join(changes)])
    return lines


def settings_text(kind: str, names: list[str]) -> str:
    """The kind of settings with the names of those that changed, at most `SHOWN`."""
    # a kind with one setting has no name for it
    shown = list(filter(None, names))
    if not shown:
        return kind
    text = ", ".join(shown[:SHOWN])
    more = len(shown) - SHOWN
    if more > 0:
        text += " and %d more" % more
    return kind + " (" + text + ")"
