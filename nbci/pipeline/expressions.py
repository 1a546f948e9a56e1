"""`${...}` in a pipeline file: what it names, and what stands there in the end.

`${name}` is a parameter, `${matrix.key}` a value of the step's matrix, `${step:metric}` a metric
that an earlier step will have; `$${` is a plain `${`. A text that is one `${...}` and nothing else
takes the value with its type.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import UsageError, nearest
from nbci.pipeline.metric_names import meant_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    """A text whose `${step:metric}` are filled at run time, when those steps have ended; the rest
    is in place.
    """

    text: str

    def __str__(self) -> str:
        return self.text


def references(value: Any) -> tuple[Reference, ...]:
    """Every `${...}` in a value, in lists and mappings too, in order; UsageError for what is
    malformed.
    """
    return tuple(
        reference
        for text in _texts(value)
        if "${" in text
        for reference, _ in _tokens(text)
        if reference is not None
    )


def substitute_matrix(value: Any, matrix: Mapping[str, Any]) -> Any:
    """The value with `${matrix.key}` in place; other references and escapes stay as they are."""
    return _map_texts(value, lambda text: _with_matrix(text, matrix))


def substitute(value: Any, parameters: Mapping[str, Any]) -> Any:
    """The value with `${name}` in place and escapes undone; what waits for metrics becomes a
    MetricTemplate.
    """
    return _map_texts(value, lambda text: _with_parameters(text, parameters))


def fill(value: Any, metrics: Mapping[str, Any]) -> Any:
    """The value with its MetricTemplates filled from metrics and scraps by full name (`step:name`).

    The step may be a node that expanded into several, as long as one of its steps alone has such a
    metric.
    """
    if isinstance(value, MetricTemplate):
        return _joined(value.text, lambda reference: _metric(reference, metrics))
    if isinstance(value, list | tuple):
        return type(value)(fill(item, metrics) for item in value)
    if isinstance(value, dict):
        return {key: fill(item, metrics) for key, item in value.items()}
    return value


def escaped(text: str) -> str:
    """Text that stands for itself where `${...}` is replaced."""
    return text.replace("${", "$${")


def unknown(kind: str, name: str, known: Mapping[str, Any]) -> UsageError:
    """The error for a name that is not among the known ones."""
    meant = nearest(name, known)
    suggestion = f" (did you mean {meant!r}?)" if meant else ""
    listing = f"there are {', '.join(known)}" if known else "there are none"
    return UsageError(f"unknown {kind} {name!r}{suggestion}", hint=listing)


def _with_matrix(text: str, matrix: Mapping[str, Any]) -> Any:
    def replaced(reference: Reference) -> Any:
        if reference.matrix_key is None:
            return _Kept(f"${{{reference.text}}}")
        if reference.matrix_key not in matrix:
            raise unknown("matrix key", reference.matrix_key, matrix)
        value = matrix[reference.matrix_key]
        return escaped(value) if isinstance(value, str) else value

    return _joined(text, replaced, escape="$${")


def _with_parameters(text: str, parameters: Mapping[str, Any]) -> Any:
    found = [reference for reference, _ in _tokens(text) if reference is not None]
    deferred = any(reference.step for reference in found)

    def replaced(reference: Reference) -> Any:
        if reference.step:
            return _Kept(f"${{{reference.text}}}")
        if reference.matrix_key:
            raise UsageError(f"${{{reference.text}}} needs a `matrix:`")
        if reference.text not in parameters:
            raise unknown("parameter", reference.text, parameters)
        value = parameters[reference.text]
        return escaped(as_text(value)) if deferred else value

    joined = _joined(text, replaced, escape="$${" if deferred else "${")
    return MetricTemplate(text=str(joined)) if deferred else joined


class _Kept(str):
    """A reference that stays in the text."""

    __slots__ = ()


def _joined(text: str, replaced: Any, *, escape: str = "${") -> Any:
    """The text with each reference replaced; the value itself where the text is one reference and
    nothing else.
    """
    parts = [
        literal.replace("$${", escape) if reference is None else replaced(reference)
        for reference, literal in _tokens(text)
    ]
    if len(parts) == 1 and not isinstance(parts[0], _Kept):
        return parts[0]
    return "".join(part if isinstance(part, str) else as_text(part) for part in parts)


def as_text(value: Any) -> str:
    """A value inside a text: True is `true` and None is `null`, as in YAML."""
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


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
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _map_texts(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value) if "${" in value else value
    if isinstance(value, dict):
        return {key: _map_texts(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_map_texts(item, change) for item in value)
    return value


def _tokens(text: str) -> list[tuple[Reference | None, str]]:
    """The text in parts: references, and what stands between them with its escapes."""
    parts: list[tuple[Reference | None, str]] = []
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
    return [*parts, (None, literal)] if literal or not parts else parts


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
    if metric := _METRIC.match(text):
        return Reference(text=text, step=metric[1], metric=metric[2])
    raise UsageError(
        f"{match[0]!r} names nothing",
        hint="write ${name}, ${matrix.key} or ${step:metric}; $${ for a plain ${",
    )
