from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.errors import UsageError
from nbci.pipeline.conditions import check_condition, holds

PARAMETERS = {
    "C": 1.5,
    "mode": "full",
    "n": 3,
    "flag": True,
    "none": None,
    "models": ["svm", "forest"],
}
MATRIX = {"model": "svm", "n": 7}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C > 1", True),
        ("1 < C < 2 <= n", True),
        ("mode == 'full' and not flag", False),
        ("flag or unknown", None),
        ("model in models", True),
        ("matrix.model not in ['svm']", False),
        ("n == 7", True),
        ("none is null", True),
        ("${C} > 1", True),
        ("${matrix.model} == 'svm'", True),
        ("'${matrix.model}-${mode}' == 'svm-full'", True),
        ("'$${x}' == '$' + '{x}'", True),
        ("n % 2 == 1 and -n < 0", True),
        ("true", True),
        ("False", False),
        ("'' ", False),
        ("(C + 1) * 2 == 5", True),
        ("flag == True", True),
    ],
)
def test_conditions_are_decided(text: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(UsageError, match="unknown name 'unknown'"):
            check_condition(text, PARAMETERS, MATRIX)
        return
    check_condition(text, PARAMETERS, MATRIX)
    assert holds(text, PARAMETERS, MATRIX) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle == 1", "unknown name 'modle' (did you mean 'mode'?)"),
        ("matrix.modle == 1", "unknown matrix key 'modle' (did you mean 'model'?)"),
        ("C = 1", "is no condition"),
        ("", "is no condition"),
        ("f(1)", "is not allowed"),
        ("mode.upper == 1", "is not allowed"),
        ("models[0] == 1", "is not allowed"),
        ("[x for x in models]", "is not allowed"),
        ("(lambda: 1)()", "is not allowed"),
        ("2 ** 100 > 1", "is not allowed"),
        ("2 ** ${mode} > 1", "'2 ** ${mode}' is not allowed"),
        ("matrix.model.__class__ == 1", "unknown matrix key 'model.__class__'"),
        ("f'{C}' == ''", "is not allowed"),
        ("b'x' == mode", "is not allowed"),
        ("(x := 1)", "is not allowed"),
        ("'${train:acc}' == '1'", "cannot wait for the metric"),
        ("${train:acc} > 1", "cannot wait for the metric"),
        ("(" * 400 + ")" * 400, "is no condition"),
        ("C > 1" + " " * 2000, "longer than"),
        ("'${nobody}' == ''", "unknown parameter 'nobody'"),
        ("matrix == 1", "unknown name 'matrix'"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_condition(text, PARAMETERS, MATRIX)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text", ["C < mode", "1 / 0 == 1", "'a' * 3 == 'aaa'", "models + models", "C in 5"]
)
def test_what_cannot_be_decided_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be decided"):
        holds(text, PARAMETERS, MATRIX)


numbers = st.sampled_from(["a", "b", "1", "2.5", "-3"])
comparisons = st.builds(
    "{} {} {}".format, numbers, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), numbers
)
conditions = st.recursive(
    comparisons,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner)
        | st.builds("not {}".format, inner)
    ),
    max_leaves=8,
)


@given(conditions, st.integers(-4, 4), st.floats(-4, 4))
def test_conditions_mean_what_they_mean_in_python(text: str, a: int, b: float) -> None:
    values: dict[str, Any] = {"a": a, "b": b}
    assert holds(text, values, {}) == bool(eval(text, {}, values))


@given(st.text(max_size=40))
def test_any_text_is_decided_or_refused(text: str) -> None:
    try:
        check_condition(text, PARAMETERS, MATRIX)
        holds(text, PARAMETERS, MATRIX)
    except UsageError:
        pass
