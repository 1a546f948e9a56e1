"""Dimensions as the command line has them: `C=0.01..1000:log`, `n=2..8:2`, `kernel=rbf,poly`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.errors import UsageError
from nbci.graph import by_name
from nbci.params.types import MismatchError, ParameterType, parse_text
from nbci.pipeline.search_space import in_order, read_dimension

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.params import Parameter
    from nbci.pipeline.search_space import Dimension

_FORMS = "write -s C=0.01..1000:log, -s n=2..8:2, or -s kernel=rbf,poly"
_NUMBER = ParameterType(kind="float")


def read_space(texts: Sequence[str], parameters: Sequence[Parameter]) -> tuple[Dimension, ...]:
    """The dimensions of all `-s`; UsageError where one is none or does not fit its parameter."""
    space: dict[str, Dimension] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not name or not values.strip():
            raise UsageError(f"-s {text!r} is not name=values", hint=_FORMS)
        if name in space:
            raise UsageError(f"-s gives {name} twice", hint="list all its values in one")
        space[name] = _dimension(text, name, values.strip(), parameters)
    return in_order(tuple(space.values()), parameters, nowhere)


def nowhere(*path: str, key: bool = False) -> None:
    """No place: the command line has no lines."""


def _dimension(text: str, name: str, values: str, parameters: Sequence[Parameter]) -> Dimension:
    try:
        return read_dimension(name, _fields(name, values, parameters), parameters, nowhere)
    # There may be many -s: the message names the one that is wrong.
    except UsageError as error:
        raise UsageError(f"-s {text}: {error.message}", hint=error.hint) from error


def _fields(name: str, values: str, parameters: Sequence[Parameter]) -> dict[str, Any] | list[Any]:
    # Two dots: one dot, and a minus, may stand in a number.
    low, dots, rest = values.partition("..")
    if dots:
        high, colon, way = rest.partition(":")
        fields: dict[str, Any] = {"low": _number(low), "high": _number(high)}
        if way == "log":
            fields["log"] = True
        elif colon:
            fields["step"] = _number(way)
        return fields

    declared = by_name(parameters).get(name)
    found: list[Any] = []
    for value in values.split(","):
        found.append(value.strip())
        # Of an unknown parameter the reader of dimensions says so.
        if declared is not None:
            found[-1] = _value(name, found[-1], declared.type)
    return found


def _value(name: str, text: str, kind: ParameterType) -> Any:
    try:
        return parse_text(text, kind)
    except MismatchError as error:
        raise UsageError(f"the parameter {name} takes {error}", hint=_FORMS) from error


def _number(text: str) -> int | float:
    """Whole where it is written so, as in a pipeline file."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number: float = parse_text(text, _NUMBER)
    except MismatchError as error:
        raise UsageError(f"{text!r} is no number", hint=_FORMS) from error
    return number
