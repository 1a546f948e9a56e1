"""Values as source text of a notebook's language, by papermill's translators."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

from nbci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The others of papermill write `nan` and `inf`, which their languages do not know.
_WRITES_NON_FINITE = frozenset(
    {"PythonTranslator", "PowershellTranslator", "MatlabTranslator", "BashTranslator"}
)


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


def _translator(kernel_name: str, language: str) -> Any:
    # papermill has no types.
    from papermill.exceptions import PapermillException  # type: ignore[import-untyped]
    from papermill.translators import papermill_translators  # type: ignore[import-untyped]

    try:
        found = papermill_translators.find_translator(kernel_name, language)
    except PapermillException:
        try:
            found = papermill_translators.find_translator(kernel_name, language.lower())
        except PapermillException as error:
            # papermill has no public list of them.
            known = sorted(papermill_translators._translators)  # noqa: SLF001
            raise UsageError(
                f"parameters cannot be injected into a {language} notebook",
                hint=f"papermill translates to {', '.join(known)}",
            ) from error
    if found.__name__ == "PythonTranslator":
        return _exact_python()
    return found


@functools.cache
def _exact_python() -> Any:
    """A translator to Python that keeps tuples, and keys that are no text.

    papermill's own turns both into text.
    """
    # A class of papermill's cannot be derived from before papermill is imported, which takes time.
    from papermill.translators import PythonTranslator, Translator

    class ExactPythonTranslator(PythonTranslator):  # type: ignore[misc]  # papermill has no types
        @classmethod
        def translate(cls, val: Any) -> str:
            if isinstance(val, tuple):
                inner = ", ".join(map(cls.translate, val))
                if len(val) == 1:
                    return f"({inner},)"
                return f"({inner})"
            return str(super().translate(val))

        @classmethod
        def translate_dict(cls, val: Any) -> str:
            pairs = [f"{cls.translate(key)}: {cls.translate(item)}" for key, item in val.items()]
            return f"{{{', '.join(pairs)}}}"

        @classmethod
        def codify(cls, parameters: Any, comment: str = "Parameters") -> str:
            # Past PythonTranslator's own, which calls black where that happens to be installed:
            # the text is part of the record, and must not depend on that.
            return str(Translator.codify.__func__(cls, parameters, comment))

    return ExactPythonTranslator


def _refuse_untranslatable(translator: Any, name: str, value: Any, language: str) -> None:
    is_python = translator.__name__ == "ExactPythonTranslator"
    for inner, depth in _inside(value, 0):
        if isinstance(inner, float) and not math.isfinite(inner) and not is_python:
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
