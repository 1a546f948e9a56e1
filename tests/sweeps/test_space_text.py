from __future__ import annotations

import pytest

from nbci.errors import UsageError
from nbci.params import Parameter
from nbci.params.types import ParameterType, type_of
from nbci.pipeline.search_space import Choices, Range
from nbci.sweeps.space_text import read_space

PARAMETERS = tuple(
    Parameter(name=name, default=default, type=type_of(default), source="p.yaml")
    for name, default in {"C": 1.0, "n": 3, "kernel": "rbf", "late": None, "on": True}.items()
)


def test_ranges_and_lists_are_read_as_their_parameters_say() -> None:
    texts = ["C=1e-2..1000:log", "n=2..8:2", "kernel=rbf, poly", "late=1..2.5", "on=yes,no"]
    assert read_space(texts, PARAMETERS) == (
        Range(name="C", low=0.01, high=1000.0, log=True),
        Range(name="n", low=2, high=8, step=2),
        Choices(name="kernel", values=("rbf", "poly")),
        Range(name="late", low=1.0, high=2.5),
        Choices(name="on", values=(True, False)),
    )


def test_values_of_a_declared_choice_are_among_its_choices() -> None:
    kind = ParameterType(kind="int", choices=(1, 2, 4))
    parameter = Parameter(name="size", default=1, type=kind, source="p.yaml")
    assert read_space(["size=1,4"], [parameter]) == (Choices(name="size", values=(1, 4)),)
    with pytest.raises(UsageError, match="the parameter size takes one of 1, 2, 4, not"):
        read_space(["size=1,3"], [parameter])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("C", "-s 'C' is not name=values"),
        ("C=", "-s 'C=' is not name=values"),
        ("D=1,2", "-s D=1,2: a sweep varies the parameter D"),
        ("C=a..b", "'a' is no number"),
        ("C=1..2:lin", "'lin' is no number"),
        ("C=2..1", "the bounds of C are the wrong way round"),
        ("C=0..1:log", "on which there is no 0.0"),
        ("n=1,x", "the parameter n takes int, not 'x'"),
        ("n=0.5..2", "the parameter n takes int, not 0.5"),
        ("kernel=1..2", "the parameter kernel is no number"),
    ],
)
def test_what_is_no_dimension_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_space([text], PARAMETERS)
    assert message in caught.value.message


def test_a_parameter_is_searched_once() -> None:
    with pytest.raises(UsageError, match="-s gives n twice"):
        read_space(["n=1,2", "n=3"], PARAMETERS)
