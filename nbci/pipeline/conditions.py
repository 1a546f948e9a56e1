"""Conditions of `when:`: formulas over parameters and the step's matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.errors import UsageError
from nbci.pipeline.expressions import as_text, references, substitute, substitute_matrix, unknown
from nbci.pipeline.formulas import ALLOWED, UNDECIDABLE, Constant, Name, evaluate, parse, parts

if TYPE_CHECKING:
    from collections.abc import Mapping

_MATRIX = "matrix."
# People who write YAML write these words of it; Python's are constants of the grammar.
_WORDS = {"true": True, "false": False, "null": None, "none": None}


def check_condition(text: str, parameters: Mapping[str, Any], matrix: Mapping[str, Any]) -> None:
    """UsageError when the condition is malformed or names something unknown.

    Of `parameters` and `matrix` only the names matter: values are not known yet.
    """
    for part in parts(parse(text)):
        if isinstance(part, Name):
            _value_of(part.name, parameters, matrix)
        elif isinstance(part, Constant) and isinstance(part.value, str):
            _check_text(part.value, parameters, matrix)


def _check_text(text: str, parameters: Mapping[str, Any], matrix: Mapping[str, Any]) -> None:
    """The same for `${...}` in a quoted text."""
    # Texts in a condition have `${...}` put in, as everywhere else in the file.
    for reference in references(text):
        if reference.step:
            raise _waits_error(reference.text)
        if reference.matrix_key and reference.matrix_key not in matrix:
            raise unknown("matrix key", reference.matrix_key, matrix)
        if reference.parameter and reference.parameter not in parameters:
            raise unknown("parameter", reference.parameter, parameters)


def holds(text: str, parameters: Mapping[str, Any], matrix: Mapping[str, Any]) -> bool:
    """Whether the condition is true for these values.

    A bare name is a key of the matrix before it is a parameter.
    """

    def value_of(name: str) -> Any:
        return _value_of(name, parameters, matrix)

    def text_of(quoted: str) -> str:
        return as_text(substitute(substitute_matrix(quoted, matrix), parameters))

    formula = parse(text)
    try:
        return bool(evaluate(formula, value_of, text_of))
    except UNDECIDABLE as error:
        raise UsageError(f"the condition {text!r} cannot be decided: {error}") from error


def _value_of(name: str, parameters: Mapping[str, Any], matrix: Mapping[str, Any]) -> Any:
    if name.startswith(_MATRIX):
        key = name.removeprefix(_MATRIX)
        if key not in matrix:
            raise unknown("matrix key", key, matrix)
        return matrix[key]
    # The plan decides which steps run, before any metric is measured.
    if ":" in name:
        raise _waits_error(name)
    for known in (matrix, parameters, _WORDS):
        if name in known:
            return known[name]
    if "." in name:
        raise UsageError(
            f"{name!r} is not allowed in a condition", hint=f"{ALLOWED}; matrix.key is a name"
        )
    raise unknown("name", name, {**matrix, **parameters})


def _waits_error(metric: str) -> UsageError:
    return UsageError(f"a condition cannot wait for the metric {metric}")
