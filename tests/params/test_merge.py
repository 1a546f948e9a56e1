from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.errors import UsageError
from nbci.params import (
    Assignment,
    Parameter,
    assigned_in_environment,
    assigned_in_file,
    assigned_on_command_line,
    assigned_values,
    bind,
    declared_parameters,
)
from nbci.params.types import MismatchError, ParameterType, conform, parse_text, type_named, type_of

CELL = """
C: float = 1
n = 3
name = "digits"
flag = False
nothing = None
grid = [1, 2]
options = {"a": 1}
pair = (1, 2)
limit: int | None = None
mode: Literal["fast", "full"] = "fast"
sizes: list[int] = [1]
run_name = f"{name}"
"""
DECLARED = declared_parameters([(2, CELL)], path="nb.ipynb")


def bound(*pairs: str) -> dict[str, Any]:
    found = bind(
        DECLARED.parameters, [assigned_on_command_line(pairs)], code_names=DECLARED.code_names
    )
    return {parameter.name: parameter.value for parameter in found}


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("C=10", 10.0), ("C=1e-3", 0.001), ("C=-inf", -math.inf), ("C=.inf", math.inf),
        ("n=10", 10), ("n=10.0", 10),
        ("n=1e3", 1000), ("n=0x10", 16), ("n=-5", -5), ("n=1_000", 1000), ("name=", ""),
        ("name=a=b", "a=b"),
        ("name=007", "007"), ("name=null", "null"), ("name= x ", " x "), ("flag=TRUE", True),
        ("flag=yes", True),
        ("flag=1", True), ("flag=On", True), ("flag=off", False), ("flag=0", False),
        ("nothing=3", 3),
        ("nothing=text", "text"), ("nothing=[a, 1e-3]", ["a", 0.001]), ("nothing=null", None),
        ("nothing=a: b: c", "a: b: c"),
        ("grid=[1, 'x']", [1, "x"]), ("grid=[]", []), ("options={b: 2}", {"b": 2}),
        ('options={"b": null}', {"b": None}),
        ("pair=[3, 4]", (3, 4)), ("limit=5", 5), ("limit=None", None), ("limit=null", None),
        ("mode=full", "full"),
        ("sizes=[1, 2.0]", [1, 2]), ('nothing="\\ud83d\\ude00"', "😀"),
    ],
)  # fmt: skip
def test_text_takes_the_declared_type(pair: str, value: Any) -> None:
    found = bound(pair)[pair.partition("=")[0]]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_a_float() -> None:
    assert math.isnan(bound("C=nan")["C"])


@pytest.mark.parametrize(
    "pair",
    ["C=abc", "C=", "n=1.5", "n=nan", "n=inf", "n=true", "n=1e999999999", "flag=2", "flag=maybe",
     "grid=5",
     "grid={a: 1}", "grid=[1", "options=[1]", "limit=x", "mode=slow", "sizes=[x]", "pair=7"],
)  # fmt: skip
def test_a_value_of_the_wrong_type_lists_what_there_is(pair: str) -> None:
    name = pair.partition("=")[0]
    with pytest.raises(UsageError) as caught:
        bound(pair)
    assert f"the parameter {name!r} takes" in caught.value.message
    assert caught.value.message.endswith("from -p")
    assert "C: float = 1.0, n: int = 3, name: str = 'digits'" in (caught.value.hint or "")


def test_an_unknown_name_names_the_nearest_and_lists_all() -> None:
    with pytest.raises(UsageError) as caught:
        bound("nmae=x")
    assert caught.value.message == "unknown parameter 'nmae' (did you mean 'name'?), from -p"
    assert "limit: int or None = None" in (caught.value.hint or "")


def test_a_name_that_code_binds_cannot_be_overridden() -> None:
    with pytest.raises(
        UsageError,
        match=r"`run_name` is not a literal \(cell 2, line 13\), so it cannot be overridden",
    ):
        bound("run_name=x")


@pytest.mark.parametrize("pair", ["C", "=1", " =1", ""])
def test_an_assignment_needs_a_name_and_an_equals_sign(pair: str) -> None:
    with pytest.raises(UsageError, match="is not name=value"):
        bound(pair)


def test_the_environment_is_matched_exactly_then_without_case() -> None:
    environ = {"NBCI_PARAM_C": "2", "NBCI_PARAM_NAME": "x", "PATH": "/bin"}
    found = {p.name: p for p in bind(DECLARED.parameters, [assigned_in_environment(environ)])}
    assert (found["C"].value, found["C"].source) == (2.0, "environment NBCI_PARAM_C")
    assert (found["name"].value, found["name"].source) == ("x", "environment NBCI_PARAM_NAME")
    assert found["n"].source == "nb.ipynb"
    both = declared_parameters([(1, "a = 1\nA = 2")]).parameters
    assert [p.value for p in bind(both, [assigned_in_environment({"NBCI_PARAM_a": "5"})])] == [5, 2]
    mixed = declared_parameters([(1, "aB = 1\nAb = 2")]).parameters
    with pytest.raises(UsageError, match="unknown parameter 'AB'"):
        bind(mixed, [assigned_in_environment({"NBCI_PARAM_AB": "5"})])


def test_files_are_yaml_or_json_and_errors_name_the_line() -> None:
    layers = [
        assigned_in_file("a.yaml", "C: 5\nflag: true"),
        assigned_in_file("b.json", '{"C": 6}'),
    ]
    found = {p.name: p for p in bind(DECLARED.parameters, layers)}
    assert (found["C"].value, found["C"].source) == (6.0, "-f b.json")
    assert (found["flag"].value, found["flag"].source) == (True, "-f a.yaml")
    assert assigned_in_file("empty.yaml", "# nothing\n") == ()
    with pytest.raises(UsageError, match=r"a.yaml, line 2, column 1: unknown parameter 'D'"):
        bind(DECLARED.parameters, [assigned_in_file("a.yaml", "C: 5\nD: 6")])
    with pytest.raises(
        UsageError, match=r"a\.yaml, line 1, column 1: a parameters file is a mapping"
    ):
        assigned_in_file("a.yaml", "[1]")
    with pytest.raises(UsageError, match="takes bool, not 1"):
        bind(DECLARED.parameters, [assigned_in_file("a.yaml", "flag: 1")])
    with pytest.raises(UsageError, match="takes str, not 1"):
        bind(DECLARED.parameters, [assigned_in_file("a.yaml", "name: 1")])
    with pytest.raises(UsageError, match="takes int, not True"):
        bind(DECLARED.parameters, [assigned_in_file("a.yaml", "n: true")])
    with pytest.raises(UsageError, match="takes float, not None"):
        bind(DECLARED.parameters, [assigned_in_file("a.yaml", "C:")])


def test_a_job_hands_over_text_or_values() -> None:
    found = {
        p.name: p
        for p in bind(
            DECLARED.parameters, [assigned_values({"C": "4", "flag": True}, "job", text=True)]
        )
    }
    assert (found["C"].value, found["C"].source, found["flag"].value) == (4.0, "job", True)


NAMES = ("a", "b", "c")
layer = st.dictionaries(st.sampled_from(NAMES), st.integers())


@given(st.lists(layer, max_size=6))
def test_the_last_layer_that_names_a_parameter_wins(layers: list[dict[str, int]]) -> None:
    parameters = [
        Parameter(name=name, default=0, type=ParameterType(kind="int"), source="nb")
        for name in NAMES
    ]
    assigned = [
        [
            Assignment(name=name, value=value, source=f"layer {index}")
            for name, value in values.items()
        ]
        for index, values in enumerate(layers)
    ]
    for parameter in bind(parameters, assigned):
        expected = [
            (values[parameter.name], f"layer {i}")
            for i, values in enumerate(layers)
            if parameter.name in values
        ]
        assert (parameter.value, parameter.source) == (expected[-1] if expected else (0, "nb"))
        assert parameter.overridden == bool(expected)


@given(st.integers() | st.floats(allow_nan=False) | st.booleans() | st.text())
def test_what_python_prints_is_read_back_with_its_type(value: Any) -> None:
    text = value if isinstance(value, str) else repr(value)
    found = parse_text(text, type_of(value))
    assert found == value
    assert type(found) is type(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(json_values, max_size=3) | st.dictionaries(st.text(), json_values, max_size=3))
def test_structures_are_read_back_from_json(value: Any) -> None:
    assert parse_text(json.dumps(value), type_of(value)) == value


@given(json_values, json_values)
def test_a_conforming_value_conforms_again(value: Any, default: Any) -> None:
    kind = type_of(default)
    try:
        once = conform(value, kind)
    except MismatchError:
        return
    assert conform(once, kind) == once
    assert kind.kind == "any" or type_of(once).kind == kind.kind


@pytest.mark.parametrize(
    "name", ["int", "list[int]", "Optional[float]", "Literal['a', 'b']", "Optional[Literal[1]]"]
)
def test_a_type_is_read_as_it_is_written(name: str) -> None:
    kind = type_named(name)
    assert kind is not None
    assert kind.annotation == name
