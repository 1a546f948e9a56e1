"""Conditions of `when:`: formulas over parameters and the step's matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.errors import UsageError
from nbci.pipeline.expressions import as_text, references, substitute, substitute_matrix, unknown
from nbci.pipeline.formulas import ALLOWED, UNDECIDABLE, Constant, Name, evaluate, parse, parts

if TYPE_CHECKING:
    from collections.abc import Mapping

_MATRIX = "matrix."
_WORDS = {"true": True, "false": False, "null": None, "none": None}


def check_condition(text: str, parameters: Mapping[str, Any], matrix: Mapping[str, Any]) -> None:
    """UsageError when the condition is malformed or names something unknown; values do not matter."""
    for part in parts(parse(text)):
        if isinstance(part, Name):
            _named(part.name, parameters, matrix)
        elif isinstance(part, Constant) and isinstance(part.value, str):
            for reference in references(part.value):
                if reference.step:
                    raise _waits(reference.text)
                if reference.matrix_key and reference.matrix_key not in matrix:
                    raise unknown("matrix key", reference.matrix_key, matrix)
                if reference.parameter and reference.parameter not in parameters:
                    raise unknown("parameter", reference.parameter, parameters)


def holds(text: str, parameters: Mapping[str, Any], matrix: Mapping[str, Any]) -> bool:
    """Whether the condition is true for these values.

    A bare name is a key of the matrix before it is a parameter.
    """
    formula = parse(text)
    try:
        return bool(
            evaluate(
                formula,
                lambda name: _named(name, parameters, matrix),
                lambda quoted: as_text(substitute(substitute_matrix(quoted, matrix), parameters)),
            )
        )
    except UNDECIDABLE as error:
        raise UsageError(f"the condition {text!r} cannot be decided: {error}") from error


def _named(name: str, parameters: Mapping[str, Any], matrix: Mapping[str, Any]) -> Any:
    if name.startswith(_MATRIX):
        key = name.removeprefix(_MATRIX)
        if key not in matrix:
            raise unknown("matrix key", key, matrix)
        return matrix[key]
    if ":" in name:
        raise _waits(name)
    for known in (matrix, parameters, _WORDS):
        if name in known:
            return known[name]
    if "." in name:
        raise UsageError(
            f"{name!r} is not allowed in a condition", hint=f"{ALLOWED}; matrix.key is a name"
        )
    raise unknown("name", name, {**matrix, **parameters})


def _waits(metric: str) -> UsageError:
    return UsageError(f"a condition cannot wait for the metric {metric}")
