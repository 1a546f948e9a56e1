"""A pipeline file as read: plain data that the schema allows, and where everything in it stands."""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import Location, UsageError
from nbci.formatting.numbers import and_more
from nbci.notebook.read import refuse_conflict
from nbci.params.yaml_text import YamlText, read_yaml
from nbci.pipeline.paths import project_path
from nbci.pipeline.step_kinds import kind_of_notebook, with_notebooks
from nbci.schema import Violation, violations

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN_VIOLATIONS = 10
_NOUNS = {
    "steps": "step",
    "models": "model",
    "deploy": "deployment",
    "params": "parameter",
    "metrics": "metric",
    "sweeps": "sweep",
}
"""What one entry of these sections of a pipeline file is."""


class Document(Struct, frozen=True, kw_only=True):
    """A pipeline file: `path` as shown to people, `data` as the schema has it."""

    path: str
    data: Mapping[str, Any]
    text: YamlText

    @property
    def name(self) -> str:
        """The pipeline's name: what the file says, else the file's own name."""
        stem, _ = posixpath.splitext(posixpath.basename(self.path))
        return str(self.data.get("pipeline") or stem)

    def where(self, *path: str | int, key: bool = False) -> Location:
        """The place of the value (or of the key) that these keys and indexes lead to."""
        return self.text.where(path, key=key)


def read_document(text: str, path: str) -> Document:
    """Read and validate a pipeline file; UsageErrors name path, line and column."""
    # First, since YAML takes the marks of a half-done merge for a key whose colon is missing.
    refuse_conflict(text, path)
    document = read_yaml(text, path)
    if document.data is None:
        raise UsageError(
            "this pipeline file is empty",
            hint="write at least `steps:` with one step and its `notebook:`",
            where=Location(path),
        )
    if not isinstance(document.data, dict):
        raise UsageError(
            "a pipeline file is a mapping", hint="begin with `steps:`", where=document.where(())
        )
    _refuse_keys_that_are_no_text(document)
    found = violations(document.data, "pipeline")
    if found:
        raise _as_error(document, found)
    return Document(path=path, data=with_notebooks(document), text=document)


def notebook_paths(document: Document) -> tuple[tuple[str, Location], ...]:
    """The notebooks that the steps name, each once, and where they are named.

    Their paths are relative to the project's root. Those that nbci brings are not among them.
    """
    found: dict[str, Location] = {}
    for name, step in document.data["steps"].items():
        if kind_of_notebook(step["notebook"]) is not None:
            continue
        where = document.where("steps", name, "notebook")
        found.setdefault(project_path(step["notebook"], ".", where), where)
    return tuple(found.items())


def _refuse_keys_that_are_no_text(document: YamlText) -> None:
    # YAML reads `on`, `1` and `null` as other things than text, and JSON Schema knows text only.
    for path in document.odd_keys:
        shown = json.dumps(path[-1])
        raise UsageError(
            f"the key {shown} is not text",
            hint=f'write "{shown}" in quotes if it is a name',
            where=document.where(path, key=True),
        )


def _as_error(document: YamlText, found: tuple[Violation, ...]) -> UsageError:
    """One error for all violations, in the order of the file; the first is the message."""
    placed = [(_where(document, violation), violation) for violation in found]
    placed.sort(key=_position)
    (where, first), *others = placed
    # Several at once: who learns of one mistake at a time starts the command for each.
    more = []
    for place, violation in others[: SHOWN_VIOLATIONS - 1]:
        more.append(f"line {place.line}: {_message(violation)}")
    if len(others) >= SHOWN_VIOLATIONS:
        more.append(and_more(len(others), len(more)).strip())
    hint = None
    if more:
        hint = "also " + "; ".join(more)
    return UsageError(_message(first), hint=hint, where=where)


def _position(placed: tuple[Location, Violation]) -> tuple[int, int]:
    where, _ = placed
    return where.line or 0, where.column or 0


def _where(document: YamlText, violation: Violation) -> Location:
    return document.where(violation.path, key=violation.about == "key")


def _message(violation: Violation) -> str:
    path = violation.path
    message = violation.message
    # What is missing is missing in the value at the path, a wrong value or key in what holds it.
    if violation.about == "missing":
        path = (*path, "")
    elif violation.about == "value":
        message = f"{path[-1]}: {message}"
    place = _section(path)
    if place:
        message += f" in {place}"
    if violation.suggestion:
        message += f" (did you mean {violation.suggestion!r}?)"
    return message


def _section(path: tuple[str | int, ...]) -> str | None:
    """In words what the path leads through: a step, a gate, a model."""
    match path:
        case ("gates", int(index), _, *_):
            return f"gate {index + 1}"
        case (str(section), name, _, *_) if section in _NOUNS:
            return f"{_NOUNS[section]} {name}"
        case (str(section), _, *_):
            return str(section)
        case _:
            return None
