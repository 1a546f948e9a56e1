"""One node of a pipeline file as steps.

They are its notebook, whole or by its tags, once for each combination of its matrix.
"""

from __future__ import annotations

import itertools
import math
import posixpath
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from nbci.errors import UsageError
from nbci.formatting.durations import parse_duration
from nbci.graph import ends
from nbci.pipeline.expressions import as_text, substitute_matrix
from nbci.pipeline.paths import project_path
from nbci.pipeline.tagged_paths import (
    Given,
    fill_tagged_paths,
    has_references,
    paths_from_root,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbci.errors import Location
    from nbci.pipeline.document import Document
    from nbci.pipeline.model import Step, TaggedNotebook

# A matrix grows with every key: beyond this it is a mistake, which would fill the memory.
MAX_COMBINATIONS = 10_000

_NAME_PART = re.compile(r"[a-z0-9_][a-z0-9_-]*")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Group(Struct, frozen=True, kw_only=True):
    """The steps that one name in `after` stands for: a node, or one combination of its matrix.

    `nodes_after` are the names in the node's own `after`, not yet resolved; they bind the roots.
    """

    name: str
    node: str
    steps: tuple[Step, ...]
    roots: tuple[str, ...]
    leaves: tuple[str, ...]
    nodes_after: tuple[str, ...]


class located:  # noqa: N801 - a context manager, which generators make at ten times the cost
    """Give errors from inside that know no place the one that `where` gives for `path`."""

    __slots__ = ("_path", "_where")

    def __init__(self, where: Callable[..., Location], *path: str | int) -> None:
        self._where = where
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, UsageError) and error.where is None:
            raise UsageError(
                error.message, hint=error.hint, where=self._where(*self._path)
            ) from error


def expand(document: Document, node: str, tagged: TaggedNotebook) -> tuple[Group, ...]:
    """The node's steps, in one group for each combination of its matrix (a single one without)."""
    entry = document.data["steps"][node]
    steps = _steps_of(document, node, tagged)
    roots, leaves = ends(steps)
    # Once for all combinations, of which there may be 10,000.
    notebook = _NotebookSteps(steps, roots, leaves, tagged.whole)
    groups = []
    for suffix, matrix in combinations(document, node, entry.get("matrix")):
        name = node
        if suffix:
            name = f"{node}/{suffix}"
        settings = _with_matrix(document, node, entry, matrix)
        combination = _Combination(node, name, settings, matrix)
        own = _with_tags_filled(document, combination, notebook, tagged)
        groups.append(_group(document, combination, own))
    return tuple(groups)


def combinations(
    document: Document, node: str, matrix: Mapping[str, list[Any]] | None
) -> list[tuple[str, dict[str, Any] | None]]:
    """Each combination of a matrix with its part of the step's name.

    In the name, a point in a number becomes `_`.
    """
    if not matrix:
        return [("", None)]
    where = document.where("steps", node, "matrix")
    count = math.prod(map(len, matrix.values()))
    if count > MAX_COMBINATIONS:
        raise UsageError(
            f"this matrix makes {count} steps; the limit is {MAX_COMBINATIONS}", where=where
        )

    # The name of each value is made once, not in each of up to 10,000 combinations.
    named_values = []
    for key, values in matrix.items():
        names = [_name_part(document, node, key, at, value) for at, value in enumerate(values)]
        named_values.append(list(zip(names, values, strict=True)))

    found: dict[str, dict[str, Any]] = {}
    for combination in itertools.product(*named_values):
        parts, chosen = zip(*combination, strict=True)
        suffix = "-".join(parts)
        if suffix in found:
            raise UsageError(
                f"two combinations of this matrix are named {node}/{suffix}", where=where
            )
        found[suffix] = dict(zip(matrix, chosen, strict=True))
    return list(found.items())


def _name_part(document: Document, node: str, key: str, index: int, value: Any) -> str:
    text = as_text(value)
    if isinstance(value, float | int) and not isinstance(value, bool):
        # `0.1`, `1e+20` and `-5` become `0_1`, `1e20` and `m5`.
        text = text.replace(".", "_").replace("+", "")
        if text.startswith("-"):
            text = f"m{text[1:]}"
    if _NAME_PART.fullmatch(text):
        return text
    raise UsageError(
        f"the value {value!r} of matrix {key} makes no step name in step {node}",
        hint="use lower-case letters, digits, - and _, and map the name to the value in `params`",
        where=document.where("steps", node, "matrix", key, index),
    )


class _NotebookSteps(Struct, frozen=True):
    """The steps of a node's notebook, and those of them that come first and last.

    `whole`: the notebook has no step tags, so it is one step.
    """

    steps: list[Step]
    roots: tuple[str, ...]
    leaves: tuple[str, ...]
    whole: bool


class _Combination(Struct, frozen=True):
    """A node with one combination of its matrix put into its settings."""

    node: str
    name: str
    settings: Mapping[str, Any]
    matrix: dict[str, Any] | None


def _with_tags_filled(
    document: Document,
    combination: _Combination,
    notebook: _NotebookSteps,
    tagged: TaggedNotebook,
) -> _NotebookSteps:
    """The steps of one combination, with its values in the paths of their tags."""
    if not any(map(has_references, notebook.steps)):
        return notebook
    given = Given(
        combination.settings.get("params", {}),
        combination.matrix or {},
        document.data.get("params", {}),
    )
    steps = [fill_tagged_paths(step, tagged, given) for step in notebook.steps]
    return replace(notebook, steps=steps)


def _with_matrix(
    document: Document, node: str, entry: Mapping[str, Any], matrix: dict[str, Any] | None
) -> dict[str, Any]:
    settings = {}
    for key, value in entry.items():
        # A condition has the matrix when it is judged; the others have no references.
        if key in {"matrix", "notebook", "when", "description"}:
            settings[key] = value
            continue
        with located(document.where, "steps", node, key):
            settings[key] = substitute_matrix(value, matrix or {})
    return settings


def _steps_of(document: Document, node: str, tagged: TaggedNotebook) -> list[Step]:
    """The notebook's steps with paths relative to the root.

    With `order: dataflow`, edges that only follow notebook order are left out.
    """
    entry = document.data["steps"][node]
    undirected = document.data.get("order") == "dataflow" and not tagged.declares_edges
    where = document.where("steps", node, "notebook")
    steps = []
    for step in tagged.steps:
        own = paths_from_root(step, _folder(entry, step), where)
        after = step.after
        if undirected:
            after = ()
        steps.append(replace(own, node=node, after=after))
    return steps


def _folder(entry: Mapping[str, Any], step: Step) -> str:
    """Where the step's cells run, relative to the project's root."""
    if entry.get("cwd") == "project":
        return "."
    return posixpath.dirname(step.notebook) or "."


def _group(document: Document, combination: _Combination, notebook: _NotebookSteps) -> Group:
    def full(name: str) -> str:
        # A notebook without step tags is one step, which has the node's name.
        if notebook.whole:
            return combination.name
        return f"{combination.name}/{name}"

    named = []
    for step in _with_files(document, combination, notebook):
        settings = _settings(document, combination, step)
        after = tuple(map(full, step.after))
        named.append(replace(step, name=full(step.name), after=after, **settings))
    return Group(
        name=combination.name,
        node=combination.node,
        steps=tuple(named),
        roots=tuple(map(full, notebook.roots)),
        leaves=tuple(map(full, notebook.leaves)),
        nodes_after=tuple(combination.settings.get("after", ())),
    )


def _settings(document: Document, combination: _Combination, step: Step) -> dict[str, Any]:
    """The settings of the node, which are stronger than those of the step's tags."""
    settings = combination.settings
    changed: dict[str, Any] = {}
    for key in ("description", "agent", "retries", "environment", "container", "cwd", "check"):
        # A matrix may put null in: then the notebook's tags decide.
        if settings.get(key) is not None:
            changed[key] = settings[key]
    for key in ("timeout", "cell_timeout"):
        if key in settings:
            with located(document.where, "steps", combination.node, key):
                changed[f"{key}_seconds"] = _seconds(settings[key])
    for key in ("cache", "report"):
        if key in settings:
            changed[key] = settings[key] == "enabled"
    if "env" in settings:
        changed["env"] = {name: as_text(value) for name, value in settings["env"].items()}
    if "when" in settings:
        changed["when"] = as_text(settings["when"])
    # Never None, which is for a notebook that is a pipeline by itself.
    changed["params"] = dict(settings.get("params", {}))
    changed["matrix"] = combination.matrix
    changed["secrets"] = _secrets(document, combination, step)
    return changed


def _seconds(value: str | float) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise UsageError(f"{value!r} is no duration", hint="write 90s, 30m, 2h or 1h30m") from error


def _secrets(document: Document, combination: _Combination, step: Step) -> tuple[str, ...]:
    names = combination.settings.get("secrets", ())
    for index, name in enumerate(names):
        if not _ENVIRONMENT_NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name of an environment variable",
                hint="a secret is named as its variable is, e.g. WAREHOUSE_TOKEN; "
                "its value stands nowhere in the file",
                where=document.where("steps", combination.node, "secrets", index),
            )
    return tuple(dict.fromkeys((*step.secrets, *names)))


def _with_files(
    document: Document, combination: _Combination, notebook: _NotebookSteps
) -> list[Step]:
    """The steps with the files that the node declares.

    `deps` bind the roots; an out (or metrics file) binds the step whose tags name it, else the only
    leaf.
    """
    deps = _paths(document, combination, "deps")
    outs = _paths(document, combination, "outs")
    predictions = _predictions(document, combination)
    if predictions is not None:
        outs.append(predictions)
    metrics = _paths(document, combination, "metrics")
    if not deps and not outs and not metrics:
        return notebook.steps

    added: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in notebook.roots:
        added[name, "deps"] += deps
    for key, paths in (("outs", outs), ("metrics", metrics)):
        for path in paths:
            writer = _writer(document, combination, path, notebook, key=key)
            added[writer, key].append(path)

    bound = []
    for step in notebook.steps:
        changed: dict[str, Any] = {}
        for key in ("deps", "outs", "metrics"):
            # A tag of the notebook may name the same path as the node.
            every_path = (*getattr(step, key), *added[step.name, key])
            changed[key] = tuple(dict.fromkeys(every_path))
        if predictions in changed["outs"]:
            changed["predictions"] = predictions
        bound.append(replace(step, **changed))
    return bound


def _predictions(document: Document, combination: _Combination) -> str | None:
    path = combination.settings.get("predictions")
    if path is None:
        return None
    with located(document.where, "steps", combination.node, "predictions"):
        return project_path(path, ".")


def _paths(document: Document, combination: _Combination, key: str) -> list[str]:
    found = []
    for index, path in enumerate(combination.settings.get(key, ())):
        with located(document.where, "steps", combination.node, key, index):
            found.append(project_path(path, "."))
    return found


def _writer(
    document: Document,
    combination: _Combination,
    path: str,
    notebook: _NotebookSteps,
    *,
    key: str,
) -> str:
    """The step that writes what the node declares as its own."""
    steps, leaves = notebook.steps, notebook.leaves
    for step in steps:
        if path in step.outs:
            return step.name
    if len(leaves) == 1:
        return leaves[0]
    # Without leaves there is a cycle, which is refused when all edges are known.
    if not leaves:
        return steps[-1].name
    # With `order: dataflow` nothing waits for anything yet, so every step is a leaf.
    has_edges = any(step.after for step in steps)
    if document.data.get("order") == "dataflow" and not has_edges:
        return steps[-1].name
    raise UsageError(
        f"{path} could be written by any last step of {combination.node}: {', '.join(leaves)}",
        hint=f"tag the first cell of the step that writes it `out:{path}` "
        "(relative to where its cells run)",
        where=document.where("steps", combination.node, key),
    )
