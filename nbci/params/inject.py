"""Values as source text of a notebook's language: Python's here, others by papermill."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbci.errors import UsageError
from nbci.light_imports import lean_import

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The others of papermill write `nan` and `inf`, which their languages do not know.
_WRITES_NON_FINITE = frozenset({"PowershellTranslator", "MatlabTranslator", "BashTranslator"})


def translation(
    parameters: Mapping[str, Any],
    *,
    language: str,
    kernel_name: str = "",
    comment: str | None = "Parameters",
) -> str:
    """Source text that assigns the parameters, under a comment.

    UsageError when the language cannot hold a value.
    """
    # papermill reaches for clouds, Arrow and NumPy as it is imported: that takes longer than a
    # small run, and most notebooks are in Python.
    if language.lower() == "python" or kernel_name == "pysparkkernel":
        return _python(parameters, comment)

    translator = _translator(kernel_name, language)
    for name, value in parameters.items():
        _refuse_untranslatable(translator, name, value, language)
    text: str
    try:
        text = translator.codify(dict(parameters), comment or "")
    except NotImplementedError as error:
        raise UsageError(
            f"papermill cannot write these parameters in {language}: {error}",
            hint="hand over numbers and text only, or a file",
        ) from error
    if comment:
        return text
    # papermill always writes a comment, if only an empty one, on the first line.
    _, _, assignments = text.partition("\n")
    return assignments


def _python(parameters: Mapping[str, Any], comment: str | None) -> str:
    lines = [f"{name} = {_python_literal(value)}\n" for name, value in parameters.items()]
    if comment:
        lines.insert(0, f"# {comment}\n")
    return "".join(lines)


def _python_literal(value: Any) -> str:
    """As papermill writes it, but tuples and keys that are no text, which it turns into text."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if value is None or isinstance(value, int | float):
        return f"{value}"
    if isinstance(value, list):
        return f"[{', '.join(map(_python_literal, value))}]"
    if isinstance(value, tuple):
        items = ", ".join(map(_python_literal, value))
        if len(value) == 1:
            return f"({items},)"
        return f"({items})"
    if isinstance(value, dict):
        pairs = [f"{_python_literal(key)}: {_python_literal(item)}" for key, item in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, str):
        escaped = value.encode("unicode_escape").decode()
        return '"' + escaped.replace('"', r"\"") + '"'
    return f'"{value}"'


def _translator(kernel_name: str, language: str) -> Any:
    # papermill has no types, and imports jsonschema.
    translators = lean_import("papermill.translators").papermill_translators
    unknown = lean_import("papermill.exceptions").PapermillException

    try:
        return translators.find_translator(kernel_name, language)
    except unknown:
        try:
            return translators.find_translator(kernel_name, language.lower())
        except unknown as error:
            # papermill has no public list of them.
            known = sorted(translators._translators)  # noqa: SLF001
            raise UsageError(
                f"parameters cannot be injected into a {language} notebook",
                hint=f"papermill translates to {', '.join(known)}",
            ) from error


def _refuse_untranslatable(translator: Any, name: str, value: Any, language: str) -> None:
    for inner, depth in _inside(value, 0):
        if isinstance(inner, float) and not math.isfinite(inner):
            if translator.__name__ not in _WRITES_NON_FINITE:
                raise UsageError(
                    f"the parameter {name!r} is {inner}, which papermill cannot write in {language}"
                )
        elif isinstance(inner, tuple | dict) and translator.__name__ == "BashTranslator":
            raise UsageError(
                f"the parameter {name!r} is a {type(inner).__name__}, which {language} cannot take"
            )
        # An array of bash holds texts only.
        elif isinstance(inner, list) and depth and translator.__name__ == "BashTranslator":
            raise UsageError(
                f"the parameter {name!r} is a list in a list, which {language} cannot take"
            )


def _inside(value: Any, depth: int) -> Iterator[tuple[Any, int]]:
    yield value, depth
    if isinstance(value, list | tuple):
        for item in value:
            yield from _inside(item, depth + 1)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _inside(item, depth + 1)
