"""Attributes of modules and of their classes that a step's cells set (`math.pi = 3`).

Each step imports its modules itself, so the steps after it have the attribute as it was. No picture
of whole modules is taken: packages set attributes of their own all the time (caches, counters).
Only those count that the text of a cell sets, and only where they end up as something else.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
import types
from typing import TYPE_CHECKING, Any

from .kernel_settings import pandas_classes
from .notes import quietly
from .process_state import ABSENT, cell_count, change_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    # the names that lead to an attribute: `("np", "random", "rand")`
    Path = tuple[str, ...]

MAY_SET = re.compile(r"\.\s*\w+[^=\n]*=(?!=)|\bsetattr\s*\(|\bdel\s|\bfor\s|\bas\s")
"""A text without this sets no attribute, and need not be parsed."""
SEEN_OTHERWISE = {
    "sys": ("path", "stdout", "stderr", "excepthook", "dont_write_bytecode"),
    "ssl": ("_create_default_https_context",),
    "torch.backends.cudnn": ("benchmark", "deterministic"),
}
"""What `kernel_settings` reads, by its module."""
PLAIN = (bool, int, float, str, bytes, type(None))

# What follows is this kernel's own, from `begin` to `finish`.

first: dict[Path, Any] = {}
"""What each attribute was before a cell could set it."""
awaited: set[Path] = set()
"""Attributes that a text sets, of modules that have not come yet."""
set_at_once: set[Path] = set()
"""Attributes that the running cell sets itself, not a function that somebody may call."""
changed_in: dict[Path, int] = {}
"""The execution count of the cell after which an attribute was another one first."""


def begin() -> None:
    """Look at the text of each cell before it runs, and at what it has set afterwards."""
    from IPython import get_ipython

    events = get_ipython().events
    events.register("pre_run_cell", before_cell)
    events.register("post_run_cell", after_cell)


def before_cell(info: Any) -> None:
    quietly(picture, str(getattr(info, "raw_cell", "")))


def after_cell(_: Any) -> None:
    quietly(compare)


def picture(text: str) -> None:
    """Remember the attributes that the text sets, or a function of an earlier cell does."""
    set_at_once.clear()
    if MAY_SET.search(text):
        for path, runs_at_once in set_attributes(text):
            awaited.add(path)
            if runs_at_once:
                set_at_once.add(path)
    for path in list(awaited):
        note_first(path)


def compare() -> None:
    """Note which attributes the cell has set.

    Of a module that the cell imports itself nothing is known from before: what its own statements
    set is taken for a change, what only its functions might set is not.
    """
    for path in list(awaited):
        if note_first(path) and path in set_at_once:
            first[path] = ABSENT

    count = cell_count()
    for path, before in first.items():
        if path not in changed_in and differs(before, value_of(path)):
            changed_in[path] = count


def note_first(path: Path) -> bool:
    """Remember an attribute as it is, once its module has come; whether that is so."""
    owner = owner_of(path)
    if owner is None:
        return False
    awaited.discard(path)
    if path not in first and not is_seen_otherwise(owner, path[-1]):
        first[path] = vars(owner).get(path[-1], ABSENT)
    return path in first


def set_attributes(text: str) -> Iterator[tuple[Path, bool]]:
    """The attributes that a cell's text sets, with whether it does so when the cell runs.

    What stands in a function is set when somebody calls it.
    """
    from IPython import get_ipython

    try:
        tree = ast.parse(get_ipython().transform_cell(text))
    except (SyntaxError, ValueError, RecursionError):
        return
    yield from attributes_below(tree, True)


def attributes_below(node: ast.AST, runs_at_once: bool) -> Iterator[tuple[Path, bool]]:
    for child in ast.iter_child_nodes(node):
        path: Path = ()
        if isinstance(child, ast.Attribute) and isinstance(child.ctx, (ast.Store, ast.Del)):
            path = path_of(child)
        elif isinstance(child, ast.Call):
            path = path_of_setattr(child)
        if path:
            yield path, runs_at_once

        is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from attributes_below(child, runs_at_once and not is_function)


def path_of(node: ast.AST) -> Path:
    """The names of `a.b.c`; nothing where it begins with something else than a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ()
    return (node.id, *reversed(names))


def path_of_setattr(call: ast.Call) -> Path:
    """The attribute that `setattr(a.b, "c", value)` or `delattr` names."""
    if not isinstance(call.func, ast.Name) or call.func.id not in ("setattr", "delattr"):
        return ()
    if len(call.args) < 2 or not isinstance(call.args[1], ast.Constant):
        return ()
    name, owner = call.args[1].value, path_of(call.args[0])
    if not owner or not isinstance(name, str):
        return ()
    return (*owner, name)


def owner_of(path: Path) -> Any:
    """The module, or the class of a module, whose attribute it is; None for any other object.

    Objects are values, which are handed on; the notebook's own classes are handed on as well.
    """
    from IPython import get_ipython

    found = get_ipython().user_ns.get(path[0])
    for name in path[1:-1]:
        if not isinstance(found, (types.ModuleType, type)):
            return None
        found = vars(found).get(name)
    if isinstance(found, types.ModuleType):
        return found
    if isinstance(found, type) and found.__module__ != "__main__":
        return found
    return None


def is_seen_otherwise(owner: Any, name: str) -> bool:
    """Whether it is one of the settings that `process_state` tells of."""
    if isinstance(owner, type):
        pandas = sys.modules.get("pandas")
        return pandas is not None and owner in pandas_classes(pandas)
    return owner is builtins or name in SEEN_OTHERWISE.get(owner.__name__, ())


def value_of(path: Path) -> Any:
    """The attribute as it is now; the name that leads to it may mean something else by now."""
    owner = owner_of(path)
    if owner is None:
        return first[path]
    return vars(owner).get(path[-1], ABSENT)


def differs(before: Any, now: Any) -> bool:
    if before is now:
        return False
    return not (type(before) is type(now) and isinstance(now, PLAIN) and before == now)


def finish() -> list[list[Any]]:
    """What is not as it was, as `process_state.finish` has it."""
    by_cell: dict[int, list[str]] = {}
    for path, count in changed_in.items():
        if differs(first[path], value_of(path)):
            by_cell.setdefault(count, []).append("`%s`" % ".".join(path))
    return change_lines(by_cell)
