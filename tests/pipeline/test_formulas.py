from __future__ import annotations

import math
from typing import Any, get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nbci.errors import UsageError
from nbci.pipeline.formulas import (
    MAX_LENGTH,
    Arithmetic,
    ArithmeticWord,
    Combination,
    Comparison,
    Constant,
    Formula,
    Listing,
    Name,
    Unary,
    evaluate,
    formula_text,
    is_yes_or_no,
    names,
    parse,
)

VALUES: dict[str, Any] = {"a": 1.5, "b": -2, "c": 0, "d_e": 7.25}
_COMPARED = ("==", "!=", "<", "<=", ">", ">=")

_constants = st.builds(
    lambda value: Constant(value=value),
    st.integers(0, 9)
    | st.floats(0, 1e6, allow_nan=False)
    | st.booleans()
    | st.none()
    | st.text(max_size=4),
)
_metric_names = st.sampled_from(
    [
        "accuracy",
        "train:size_mb",
        "digits/train-2:eval.f1",
        "eval.f1",
        "größe",
        "and",
        "a b",
        "t/*:f1",
    ]
)


def _compounds(inner: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
    words = st.sampled_from((*_COMPARED, "is", "is not", "in", "not in"))
    lists = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(lambda op, x: Unary(op=op, operand=x), st.sampled_from(("not", "-", "+")), inner),
        st.builds(
            lambda op, x, y: Arithmetic(op=op, left=x, right=y),
            st.sampled_from(get_args(ArithmeticWord)),
            inner,
            inner,
        ),
        st.builds(
            lambda op, x: Combination(op=op, operands=x),
            st.sampled_from(("and", "or")),
            st.lists(inner, min_size=2, max_size=3).map(tuple),
        ),
        st.builds(
            lambda x, rest: Comparison(first=x, rest=rest),
            inner,
            st.lists(st.tuples(words, inner), min_size=1, max_size=2).map(tuple),
        ),
        st.builds(lambda items: Listing(items=items), lists),
    )


formulas = st.recursive(
    _constants | _metric_names.map(lambda name: Name(name=name)), _compounds, max_leaves=8
)


@given(formulas)
def test_what_is_printed_is_read_as_the_same(formula: Formula) -> None:
    text = formula_text(formula)
    assume(len(text) <= MAX_LENGTH)
    assert repr(parse(text)) == repr(formula)


_numbers = st.recursive(
    st.sampled_from([*VALUES, "1", "2.5", "0", "1e3"]),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(get_args(ArithmeticWord)), inner)
        | st.builds("(-{})".format, inner)
    ),
    max_leaves=4,
)
_comparisons = st.builds(
    "{} {} {}".format, _numbers, st.sampled_from(_COMPARED), _numbers
) | st.builds("{} < {} <= {}".format, _numbers, _numbers, _numbers)
_conditions = st.recursive(
    _comparisons,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner)
        | st.builds("not {}".format, inner)
    ),
    max_leaves=6,
)


@given(_conditions)
def test_formulas_mean_what_they_mean_in_python(text: str) -> None:
    assume(len(text) <= MAX_LENGTH)
    formula = parse(text)
    assert is_yes_or_no(formula)
    try:
        expected = bool(eval(text, {}, VALUES))
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            evaluate(formula, VALUES.__getitem__)
        return
    assert bool(evaluate(formula, VALUES.__getitem__)) is expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("recall >= 0.9 and size_mb < 50", ("recall", "size_mb")),
        (
            "digits/train:accuracy - train/svm-2:accuracy < 0.01",
            ("digits/train:accuracy", "train/svm-2:accuracy"),
        ),
        ("eval.f1 > 1 or not ${train: odd name} == 2", ("eval.f1", "train: odd name")),
        ("'train:a' == \"b:c\" and x==train:y", ("x", "train:y")),
        ("_name0_ < a:b", ("_name0_", "a:b")),
        ("a/b:c < 1 and a / b:c < a", ("a/b:c", "a", "b:c")),
        ("a/*:c < *:d and a/b-*/x:c > 1", ("a/*:c", "*:d", "a/b-*/x:c")),
        ("a*b:c < 2 *b:c and a/b*c:d < 1", ("a", "b:c", "b", "c:d")),
    ],
)
def test_names_of_metrics_are_names(text: str, found: tuple[str, ...]) -> None:
    assert names(parse(text)) == found


def test_values_of_names_are_asked_for_no_further_than_needed() -> None:
    asked: list[str] = []

    def value_of(name: str) -> float:
        asked.append(name)
        return math.nan

    assert evaluate(parse("a < 1 and b < 1"), value_of) is False
    assert asked == ["a"]


@pytest.mark.parametrize("text", ["a", "a + 1", "-a", "'x'", "a < 1 and b", "[a < 1]"])
def test_what_is_neither_true_nor_false_is_told_apart(text: str) -> None:
    assert not is_yes_or_no(parse(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:b ** 2 > 1", "'${a:b} ** 2' is not allowed in the gate"),
        ("__import__('os')", "is not allowed in the gate"),
        ("a[0] > 1", "is not allowed in the gate"),
        ("(lambda:a)() > 1", "is not allowed in the gate"),
        ("a >", "is no gate"),
        ("${} > 1", "is no gate"),
        ("-" * 900 + "1", "is no gate"),
    ],
)
def test_what_is_no_formula_is_called_what_it_should_be(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "gate")
    assert message in str(caught.value)
