from __future__ import annotations

import math
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.errors import UsageError
from nbci.params.inject import translation

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text() | st.integers() | st.booleans(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_python_values_come_back_as_they_were(value: Any) -> None:
    names: dict[str, Any] = {}
    exec(translation({"x": value}, language="python"), names)
    assert repr(names["x"]) == repr(value)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_VALUES, st.sampled_from(["Parameters", "Given by nbci", None]))
def test_python_is_written_as_papermill_does(value: Any, comment: str | None) -> None:
    from papermill.translators import PythonTranslator  # type: ignore[import-untyped]

    assignment = f"x = {PythonTranslator.translate(value)}\n"
    heading = f"{PythonTranslator.comment(comment)}\n" if comment else ""
    assert translation({"x": value}, language="python", comment=comment) == heading + assignment


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20))
def test_bash_text_comes_back_as_it_was(text: str) -> None:
    script = translation({"x": text}, language="bash") + 'printf %s "$x"'
    assert (
        subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout.decode()
        == text
    )


@pytest.mark.parametrize(
    ("language", "value", "expected"),
    [
        ("R", True, "# Parameters\nx = TRUE\n"),
        ("julia", None, "# Parameters\nx = nothing\n"),
        ("scala", 3_000_000_000, "// Parameters\nval x = 3000000000L\n"),
        ("bash", ["a b", 1], "# Parameters\nx=('a b' 1)\n"),
        ("matlab", math.nan, "% Parameters\nx = nan;\n"),
        ("Python", 1, "# Parameters\nx = 1\n"),
    ],
)
def test_each_language_is_written_as_papermill_does(
    language: str, value: Any, expected: str
) -> None:
    assert translation({"x": value}, language=language) == expected


def test_the_kernel_name_counts_before_the_language() -> None:
    assert (
        translation({"x": True}, language="C#", kernel_name=".net-csharp")
        == "// Parameters\nvar x = true;\n"
    )


@pytest.mark.parametrize(
    ("language", "value", "message"),
    [
        ("bash", {"a": 1}, "the parameter 'x' is a dict, which bash cannot take"),
        ("bash", [[1]], "the parameter 'x' is a list in a list"),
        ("R", math.nan, "the parameter 'x' is nan, which papermill cannot write in R"),
        ("julia", [1, math.inf], "the parameter 'x' is inf"),
        ("fortran", 1, "parameters cannot be injected into a fortran notebook"),
    ],
)
def test_what_a_language_cannot_hold_is_refused(language: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        translation({"x": value}, language=language)
    assert message in caught.value.message
