"""Rules about changes that stay in one kernel, and about absolute paths.

A step's environment variables, working folder and plot settings do not reach later steps.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from nbci.dataflow.dotted import dotted_name
from nbci.lint.calls import calls, magics
from nbci.lint.finding import Hit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nbci.dataflow.code import ParsedCell
    from nbci.lint.notebook_facts import NotebookFacts
    from nbci.pipeline.model import Step

    Names = Mapping[str, str]

_ENVIRONMENT_CALLS = (
    "os.putenv",
    "os.environ.update",
    "os.environ.setdefault",
    "os.environ.pop",
    "os.unsetenv",
)
_PLOT_STYLE_CALLS = (
    "matplotlib.pyplot.style.use",
    "matplotlib.style.use",
    "matplotlib.rc",
    "matplotlib.pyplot.rc",
    "matplotlib.rcParams.update",
    "matplotlib.pyplot.rcParams.update",
    "seaborn.set_theme",
    "seaborn.set",
    "seaborn.set_style",
    "seaborn.set_context",
    "seaborn.set_palette",
)
# The text of a notebook is compared with these; nothing is opened.
_ON_EVERY_MACHINE = ("/dev/", "/proc/", "/tmp", "/etc/")  # noqa: S108 - see the line above
_PLOTTING = ("matplotlib.pyplot.", "seaborn.")


@dataclass(frozen=True, slots=True)
class _Place:
    number: int
    line: int
    text: str


def environment_changes(facts: NotebookFacts) -> Iterator[Hit]:
    """Environment variables that a step sets and a later step will not see."""
    for step, place in _in_steps_before_others(facts, _environment_changes):
        yield Hit(
            message=f"{place.text} holds in step {step.name} only, not in the steps after it",
            hint="set it with `env:` in the pipeline file, or in a cell tagged `imports`",
            cell=place.number,
            line=place.line,
        )


def folder_changes(facts: NotebookFacts) -> Iterator[Hit]:
    """Changes of the working folder, which the next step does not see."""
    for step, place in _in_steps_before_others(facts, _folder_changes):
        yield Hit(
            message=f"{place.text} changes the folder of step {step.name} only, "
            "not of the steps after it",
            hint="use paths relative to the notebook's folder, "
            "or `cwd: project` in the pipeline file",
            cell=place.number,
            line=place.line,
        )


def _in_steps_before_others(
    facts: NotebookFacts, look: Callable[[ParsedCell, Names], Iterator[tuple[int, str]]]
) -> Iterator[tuple[Step, _Place]]:
    for step in facts.steps:
        # behind the last step there is no step to miss the change
        if not facts.is_last(step):
            for number, cell in facts.own_cells(step).items():
                for line, text in look(cell, facts.imported_names):
                    yield step, _Place(number, line, text)


def _environment_changes(cell: ParsedCell, names: Names) -> Iterator[tuple[int, str]]:
    for node in ast.walk(cell.tree):
        if _is_changed_item(node) and dotted_name(node.value, names) == "os.environ":
            yield node.lineno, "a change of `os.environ`"
    for name, call in calls(cell.tree, names):
        if name in _ENVIRONMENT_CALLS:
            yield call.lineno, f"`{name}`"
    for name, argument, line in magics(cell.tree):
        # `%env NAME` only shows a variable; `%env NAME=value` and `%env NAME value` set it
        if name == "set_env" or (name == "env" and ("=" in argument or " " in argument.strip())):
            yield line, f"`%{name}`"


def _is_changed_item(node: ast.AST) -> TypeGuard[ast.Subscript]:
    return isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load)


def _folder_changes(cell: ParsedCell, names: Names) -> Iterator[tuple[int, str]]:
    for name, call in calls(cell.tree, names):
        if name == "os.chdir":
            yield call.lineno, "`os.chdir`"
    for name, _, line in magics(cell.tree):
        if name in {"cd", "pushd", "popd"}:
            yield line, f"`%{name}`"


def _plotting_steps(facts: NotebookFacts) -> set[str]:
    """The names of the steps that call a function which plots."""
    found: set[str] = set()
    for step in facts.steps:
        for cell in facts.own_cells(step).values():
            for name, _ in calls(cell.tree, facts.imported_names):
                if _plots(name):
                    found.add(step.name)
    return found


def plot_settings(facts: NotebookFacts) -> Iterator[Hit]:
    """Styles of plots set in one step, while a later one plots too."""
    plotting = _plotting_steps(facts)
    if not plotting:
        return
    for step in facts.steps:
        later = [other.name for other in facts.steps_after(step) if other.name in plotting]
        if not later:
            continue
        for number, cell in facts.own_cells(step).items():
            for line, text in _style_changes(cell, facts.imported_names):
                yield Hit(
                    message=f"{text} in step {step.name} does not reach step {', '.join(later)}, "
                    "which plots",
                    hint="put it in a cell tagged `imports`, which every step runs",
                    cell=number,
                    line=line,
                )


def _plots(name: str) -> bool:
    return name.startswith(_PLOTTING) and name not in _PLOT_STYLE_CALLS


def _style_changes(cell: ParsedCell, names: Names) -> Iterator[tuple[int, str]]:
    for name, call in calls(cell.tree, names):
        if name in _PLOT_STYLE_CALLS:
            yield call.lineno, f"`{name}`"
    for node in ast.walk(cell.tree):
        if _is_changed_item(node) and (dotted_name(node.value, names) or "").endswith(".rcParams"):
            yield node.lineno, "a change of `rcParams`"


def absolute_paths(facts: NotebookFacts) -> Iterator[Hit]:
    """Literal paths that exist on one machine only."""
    for number, cell in facts.cells.items():
        for node in ast.walk(cell.tree):
            match node:
                case ast.Call(func=func, args=[ast.Constant(value=str(path)), *_]):
                    function = _function_name(func, facts.imported_names)
                    if not _opens(function) or not _is_absolute(path):
                        continue
                    yield Hit(
                        message=f"{path!r} is an absolute path, which another machine may not have",
                        hint="use a path relative to the notebook, or a parameter",
                        cell=number,
                        line=node.lineno,
                    )


def _function_name(function: ast.expr, names: Names) -> str:
    """The dotted name, or the method's where the object is computed: `frame().to_csv`."""
    name = dotted_name(function, names)
    if name:
        return name
    if isinstance(function, ast.Attribute):
        return function.attr
    return ""


def _opens(name: str) -> bool:
    last = name.rpartition(".")[2]
    # libraries name what reads and writes files alike: read_csv, to_parquet, load, save_model
    return name in {"open", "pathlib.Path", "io.open"} or last.startswith(
        ("read_", "to_", "load", "save")
    )


def _is_absolute(path: str) -> bool:
    if path.startswith("/"):
        return not path.startswith(_ON_EVERY_MACHINE)
    # Windows' drive letters are recognized by hand: on Linux, os.path.isabs does not know them
    return path.startswith("~") or (path[1:3] in {":\\", ":/"} and path[0].isalpha())
