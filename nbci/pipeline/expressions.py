"""`${...}` in a pipeline file: what it names, and what stands there in the end.

`${name}` is a parameter, `${matrix.key}` a value of the step's matrix, `${step:metric}` a metric
that an earlier step will have; `$${` is a plain `${`. A text that is one `${...}` and nothing else
takes the value with its type.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import UsageError, spelling_suffix
from nbci.pipeline.metric_names import meant_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Part = tuple["Reference | None", str]

# The escape first: `$${name}` is no reference. The last one is a `${` that is not closed.
_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_MATRIX = re.compile(r"matrix\.([A-Za-z_]\w*)\Z")
_METRIC = re.compile(r"([a-z0-9_][a-z0-9_/-]*):(.+)\Z")


class Reference(Struct, frozen=True, kw_only=True):
    """What one `${...}` names: a parameter, a matrix key, or a metric of `step`."""

    text: str
    parameter: str | None = None
    matrix_key: str | None = None
    step: str | None = None
    metric: str | None = None


class MetricTemplate(Struct, frozen=True, kw_only=True):
    """A text whose `${step:metric}` are filled at run time, when those steps have ended.

    Everything else in it is in place.
    """

    text: str

    def __str__(self) -> str:
        return self.text


class _Unreplaced(str):
    """A reference that stays in the text."""

    __slots__ = ()


def references(value: Any) -> tuple[Reference, ...]:
    """Every `${...}` in a value, in lists and mappings too, in order.

    UsageError for what is malformed.
    """
    found: list[Reference] = []
    for text in _texts(value):
        if "${" in text:
            found += _references_in(_parts(text))
    return tuple(found)


def _references_in(parts: list[Part]) -> list[Reference]:
    return [reference for reference, _ in parts if reference is not None]


def substitute_matrix(value: Any, matrix: Mapping[str, Any]) -> Any:
    """The value with `${matrix.key}` in place; other references and escapes stay as they are."""
    return _map_texts(value, lambda text: _with_matrix(text, matrix))


def insert(text: str, expressions: Mapping[str, str]) -> str:
    """The text with another in the place of each `${name}` that is known.

    The other may have references and escapes of its own, which stay, as do unknown names.
    """

    def replacement(reference: Reference) -> str:
        return expressions.get(reference.text, _Unreplaced(f"${{{reference.text}}}"))

    return as_text(_join(_parts(text), replacement, escape_as="$${"))


def substitute(value: Any, parameters: Mapping[str, Any]) -> Any:
    """The value with `${name}` in place and escapes undone.

    A text that waits for metrics becomes a MetricTemplate.
    """
    return _map_texts(value, lambda text: _with_parameters(text, parameters))


def fill(value: Any, metrics: Mapping[str, Any]) -> Any:
    """The value with its MetricTemplates filled from metrics and scraps by full name (`step:name`).

    The step may be a node that expanded into several, as long as one of its steps alone has such a
    metric.
    """
    # Only here are escapes undone: the text was read once before, when the plan was made.
    if isinstance(value, MetricTemplate):
        return _join(_parts(value.text), lambda reference: _metric(reference, metrics))
    return map_items(value, lambda item: fill(item, metrics))


def map_items(value: Any, change: Callable[[Any], Any]) -> Any:
    """A list or mapping with each of its items changed; any other value as it is."""
    if isinstance(value, dict):
        return {key: change(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(change, value))
    return value


def escape(text: str) -> str:
    """Text that stands for itself where `${...}` is replaced."""
    return text.replace("${", "$${")


def unknown(kind: str, name: str, known: Mapping[str, Any]) -> UsageError:
    """The error for a name that is not among the known ones."""
    listing = "there are none"
    if known:
        listing = f"there are {', '.join(known)}"
    return UsageError(f"unknown {kind} {name!r}{spelling_suffix(name, known)}", hint=listing)


def as_text(value: Any) -> str:
    """A value inside a text: True is `true` and None is `null`, as in YAML."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _with_matrix(text: str, matrix: Mapping[str, Any]) -> Any:
    def replacement(reference: Reference) -> Any:
        if reference.matrix_key is None:
            return _Unreplaced(f"${{{reference.text}}}")
        if reference.matrix_key not in matrix:
            raise unknown("matrix key", reference.matrix_key, matrix)
        value = matrix[reference.matrix_key]
        # Parameters are put in later: a `${` of the matrix's value must not be taken for one.
        if isinstance(value, str):
            return escape(value)
        return value

    return _join(_parts(text), replacement, escape_as="$${")


def _with_parameters(text: str, parameters: Mapping[str, Any]) -> Any:
    parts = _parts(text)
    waits = any(reference.step for reference in _references_in(parts))

    def replacement(reference: Reference) -> Any:
        if reference.step:
            return _Unreplaced(f"${{{reference.text}}}")
        if reference.matrix_key:
            raise UsageError(f"${{{reference.text}}} needs a `matrix:`")
        if reference.text not in parameters:
            raise unknown("parameter", reference.text, parameters)
        value = parameters[reference.text]
        if waits:
            return escape(as_text(value))
        return value

    if not waits:
        return _join(parts, replacement)
    # Escapes are undone by `fill`, which reads the text once more.
    return MetricTemplate(text=str(_join(parts, replacement, escape_as="$${")))


def _join(
    parts: list[Part], replacement: Callable[[Reference], Any], *, escape_as: str = "${"
) -> Any:
    """The text with each reference replaced, and each escape written as `escape_as`.

    The value itself where the text is one reference and nothing else.
    """
    values: list[Any] = []
    for reference, literal in parts:
        if reference is None:
            values.append(literal.replace("$${", escape_as))
        else:
            values.append(replacement(reference))
    if len(values) == 1 and not isinstance(values[0], _Unreplaced):
        return values[0]
    return "".join(map(as_text, values))


def _metric(reference: Reference, metrics: Mapping[str, Any]) -> Any:
    meant = meant_by(reference.text, metrics)
    if len(meant) == 1:
        return metrics[meant[0]]
    if meant:
        raise UsageError(
            f"the metric {reference.text} is ambiguous", hint=f"write one of {', '.join(meant)}"
        )
    raise unknown("metric", reference.text, metrics)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        # Keys are names, in which nothing is put.
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _map_texts(value: Any, change: Callable[[str], Any]) -> Any:
    """The value with every text in it changed that may have a reference or an escape."""
    if isinstance(value, str):
        if "${" not in value:
            return value
        return change(value)
    return map_items(value, lambda item: _map_texts(item, change))


def _parts(text: str) -> list[Part]:
    """The text in parts: references, and what stands between them with its escapes."""
    parts: list[Part] = []
    literal, position = "", 0
    for match in _TOKEN.finditer(text):
        literal += text[position : match.start()]
        position = match.end()
        if match[0] == "$${":
            literal += match[0]
            continue
        if literal:
            parts.append((None, literal))
            literal = ""
        parts.append((_reference(match), match[0]))
    literal += text[position:]
    # An empty text is one empty part, so that it stays a text.
    if literal or not parts:
        parts.append((None, literal))
    return parts


def _reference(match: re.Match[str]) -> Reference:
    if match[1] is None:
        raise UsageError(
            f"`${{` is not closed in {match.string!r}", hint="write $${ for a plain ${"
        )
    text = match[1].strip()
    if _NAME.match(text):
        return Reference(text=text, parameter=text)
    if key := _MATRIX.match(text):
        return Reference(text=text, matrix_key=key[1])
    # Last, since a name of a parameter or matrix holds no colon.
    if metric := _METRIC.match(text):
        return Reference(text=text, step=metric[1], metric=metric[2])
    raise UsageError(
        f"{match[0]!r} names nothing",
        hint="write ${name}, ${matrix.key} or ${step:metric}; $${ for a plain ${",
    )
