from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.errors import UsageError
from nbci.pipeline.expressions import (
    MetricTemplate,
    escape,
    fill,
    references,
    substitute,
    substitute_matrix,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${C}", 1.5),
        ("a${C}b", "a1.5b"),
        ("${ C }", 1.5),
        ("$${C}", "${C}"),
        ("$C {C} }", "$C {C} }"),
        ("", ""),
        ("${flag}-${none}", "true-null"),
        ("${text}${text}", "é é "),
        (["${C}", {"k": "${C}"}], [1.5, {"k": 1.5}]),
        (3, 3),
    ],
)
def test_parameters_are_put_in(text: Any, value: Any) -> None:
    assert substitute(text, {"C": 1.5, "flag": True, "none": None, "text": "é "}) == value


def test_the_matrix_comes_first_and_leaves_the_rest() -> None:
    text = "${matrix.m}/${C}/$${matrix.m}/${a:b}"
    assert substitute_matrix(text, {"m": "svm"}) == "svm/${C}/$${matrix.m}/${a:b}"
    assert substitute_matrix("${matrix.m}", {"m": 0.5}) == 0.5


def test_metrics_are_filled_in_at_run_time() -> None:
    value = substitute({"x": "${a/b:acc}", "y": "${C} $${ ${a/b:acc}"}, {"C": "${"})
    assert value["x"] == MetricTemplate(text="${a/b:acc}")
    assert fill(value, {"a/b:acc": 0.5}) == {"x": 0.5, "y": "${ ${ 0.5"}
    assert fill([MetricTemplate(text="${a:acc}")], {"a/b:acc": 0.5, "c:acc": 1.0}) == [0.5]
    with pytest.raises(UsageError, match="ambiguous"):
        fill(MetricTemplate(text="${a:acc}"), {"a/b:acc": 0.5, "a/c:acc": 1.0})
    with pytest.raises(UsageError, match=r"unknown metric 'a:acc' \(did you mean 'a:ac'\?\)"):
        fill(MetricTemplate(text="${a:acc}"), {"a:ac": 0.5})


@pytest.mark.parametrize(
    "text", ["${", "${C", "${}", "${a b}", "${a.b}", "${1a}", "${A:x}", "${a${b}}"]
)
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        references(text)


@given(st.text())
def test_escaped_text_stands_for_itself(text: str) -> None:
    assert substitute(escape(text), {}) == text
    assert substitute(substitute_matrix(escape(text), {}), {}) == text


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.lists(st.integers())
)
def test_a_reference_alone_keeps_value_and_type(value: Any) -> None:
    found = substitute("${x}", {"x": value})
    assert found == value
    assert type(found) is type(value)


@given(
    st.text(),
    st.text(st.characters(blacklist_characters="$")),
    st.text(st.characters(blacklist_characters="${")),
)
def test_values_inside_a_text_are_not_read_again(value: str, before: str, after: str) -> None:
    assert (
        substitute(f"{escape(before)}${{x}}{escape(after)}", {"x": value}) == before + value + after
    )
