"""One node of a pipeline file as steps: its notebook, whole or by its tags, once for each
combination of its matrix.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from nbci.errors import UsageError
from nbci.formatting.durations import parse_duration
from nbci.pipeline.expressions import as_text, escaped, substitute_matrix
from nbci.pipeline.paths import project_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbci.errors import Location
    from nbci.pipeline.document import Document
    from nbci.pipeline.model import Step, TaggedNotebook

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
    groups = []
    for suffix, matrix in combinations(document, node, entry.get("matrix")):
        name = f"{node}/{suffix}" if suffix else node
        settings = _with_matrix(document, node, entry, matrix)
        groups.append(
            _group(document, _Combination(node, name, settings, matrix), steps, tagged.whole)
        )
    return tuple(groups)


def combinations(
    document: Document, node: str, matrix: Mapping[str, list[Any]] | None
) -> list[tuple[str, dict[str, Any] | None]]:
    """Each combination of a matrix with its part of the step's name; a point in a number becomes
    `_`.
    """
    if not matrix:
        return [("", None)]
    count = 1
    for values in matrix.values():
        count *= len(values)
    where = document.where("steps", node, "matrix")
    if count > MAX_COMBINATIONS:
        raise UsageError(
            f"this matrix makes {count} steps; the limit is {MAX_COMBINATIONS}", where=where
        )
    named = [
        [
            (_name_part(document, node, key, index, value), value)
            for index, value in enumerate(values)
        ]
        for key, values in matrix.items()
    ]
    found: dict[str, dict[str, Any]] = {}
    for combination in itertools.product(*named):
        suffix = "-".join(part for part, _ in combination)
        if suffix in found:
            raise UsageError(
                f"two combinations of this matrix are named {node}/{suffix}", where=where
            )
        found[suffix] = dict(zip(matrix, (value for _, value in combination), strict=True))
    return list(found.items())


def _name_part(document: Document, node: str, key: str, index: int, value: Any) -> str:
    text = as_text(value)
    if isinstance(value, float | int) and not isinstance(value, bool):
        text = text.replace(".", "_").replace("+", "")
        text = f"m{text[1:]}" if text.startswith("-") else text
    if _NAME_PART.fullmatch(text):
        return text
    raise UsageError(
        f"the value {value!r} of matrix {key} makes no step name in step {node}",
        hint="use lower-case letters, digits, - and _, and map the name to the value in `params`",
        where=document.where("steps", node, "matrix", key, index),
    )


class _Combination(Struct, frozen=True):
    """A node with one combination of its matrix put into its settings."""

    node: str
    name: str
    settings: Mapping[str, Any]
    matrix: dict[str, Any] | None


def _with_matrix(
    document: Document, node: str, entry: Mapping[str, Any], matrix: dict[str, Any] | None
) -> dict[str, Any]:
    settings = {}
    for key, value in entry.items():
        if key in {"matrix", "notebook", "when", "description"}:
            settings[key] = value
            continue
        with located(document.where, "steps", node, key):
            settings[key] = substitute_matrix(value, matrix or {})
    return settings


def _steps_of(document: Document, node: str, tagged: TaggedNotebook) -> list[Step]:
    """The notebook's steps with paths relative to the root; edges that only follow notebook order
    may be dropped.
    """
    entry = document.data["steps"][node]
    undirected = document.data.get("order") == "dataflow" and not tagged.declares_edges
    return [
        replace(
            _escaped_paths(
                rooted(step, _folder(entry, step), document.where("steps", node, "notebook"))
            ),
            node=node,
            after=() if undirected else step.after,
        )
        for step in tagged.steps
    ]


def _folder(entry: Mapping[str, Any], step: Step) -> str:
    return "." if entry.get("cwd") == "project" else posixpath.dirname(step.notebook) or "."


def rooted(step: Step, folder: str, where: Location) -> Step:
    """The step with the paths that its tags name made relative to the root; `folder` is where its
    cells run.
    """
    if not step.deps and not step.outs:
        return step
    return replace(
        step,
        deps=tuple(project_path(path, folder, where) for path in step.deps),
        outs=tuple(project_path(path, folder, where) for path in step.outs),
    )


def _escaped_paths(step: Step) -> Step:
    """Paths from tags stand for themselves: `${` in them is no reference."""
    if not step.deps and not step.outs:
        return step
    return replace(step, deps=tuple(map(escaped, step.deps)), outs=tuple(map(escaped, step.outs)))


def _group(document: Document, combination: _Combination, steps: list[Step], whole: bool) -> Group:
    waited_for = {after for step in steps for after in step.after}
    roots = tuple(step.name for step in steps if not step.after)
    leaves = tuple(step.name for step in steps if step.name not in waited_for)
    steps = _bind_files(document, combination, steps, roots, leaves)

    def full(name: str) -> str:
        return combination.name if whole else f"{combination.name}/{name}"

    return Group(
        name=combination.name,
        node=combination.node,
        steps=tuple(
            replace(
                step,
                name=full(step.name),
                after=tuple(full(after) for after in step.after),
                **_settings(document, combination, step),
            )
            for step in steps
        ),
        roots=tuple(full(name) for name in roots),
        leaves=tuple(full(name) for name in leaves),
        nodes_after=tuple(combination.settings.get("after", ())),
    )


def _settings(document: Document, combination: _Combination, step: Step) -> dict[str, Any]:
    """The settings that hold for every step of the node; the pipeline file is stronger than tags."""
    settings = combination.settings
    changed: dict[str, Any] = {
        key: settings[key]
        for key in ("agent", "retries", "environment", "container", "cwd")
        if settings.get(key) is not None
    }
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
                hint="a secret is named as its variable is, e.g. WAREHOUSE_TOKEN; its value stands nowhere in the file",
                where=document.where("steps", combination.node, "secrets", index),
            )
    return tuple(dict.fromkeys((*step.secrets, *names)))


def _bind_files(
    document: Document,
    combination: _Combination,
    steps: list[Step],
    roots: tuple[str, ...],
    leaves: tuple[str, ...],
) -> list[Step]:
    """`deps` bind the roots; an out (or metrics file) binds the step whose tags name it, else the
    only leaf.
    """
    paths = {key: _paths(document, combination, key) for key in ("deps", "outs", "metrics")}
    if not any(paths.values()):
        return steps
    writers = {key: [_writer(document, combination, path, steps, leaves, key=key) for path in paths[key]]
               for key in ("outs", "metrics")}  # fmt: skip

    def joined(step: Step, key: str, own: tuple[str, ...]) -> tuple[str, ...]:
        chosen = zip(paths[key], writers[key], strict=True)
        return tuple(
            dict.fromkeys((*own, *(path for path, writer in chosen if writer == step.name)))
        )

    return [
        replace(
            step,
            deps=tuple(dict.fromkeys((*step.deps, *(paths["deps"] if step.name in roots else ())))),
            outs=joined(step, "outs", step.outs),
            metrics=joined(step, "metrics", step.metrics),
        )
        for step in steps
    ]


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
    steps: list[Step],
    leaves: tuple[str, ...],
    *,
    key: str,
) -> str:
    tagged = [step.name for step in steps if path in step.outs]
    if tagged:
        return tagged[0]
    if len(leaves) == 1:
        return leaves[0]
    if not leaves:  # a cycle, which is refused when all edges are known
        return steps[-1].name
    without_edges = document.data.get("order") == "dataflow" and not any(
        step.after for step in steps
    )
    if without_edges:
        return steps[-1].name
    raise UsageError(
        f"{path} could be written by any last step of {combination.node}: {', '.join(leaves)}",
        hint=f"tag the first cell of the step that writes it `out:{path}` (relative to where its cells run)",
        where=document.where("steps", combination.node, key),
    )
