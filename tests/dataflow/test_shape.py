"""Code has the same shape exactly when it is the same code."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import textwrap
import typing

import pytest

from nbci.dataflow.shape import shape_of


@pytest.mark.parametrize("module", [argparse, ast, dataclasses, inspect, textwrap, typing])
def test_what_python_tells_apart_has_different_shapes_and_nothing_else(module: object) -> None:
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]  # a module
    both = {
        (ast.dump(node), shape_of(node)) for node in ast.walk(tree) if isinstance(node, ast.stmt)
    }
    assert len(both) == len({dump for dump, _ in both}) == len({shape for _, shape in both})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x=1", "x = 1  # one"),
        ("f( a,\n b )", "f(a, b)"),
        ("'a' 'b'", '"ab"'),
        ("(1)", "1"),
        ("x = 1_000", "x = 1000"),
    ],
)
def test_layout_is_no_part_of_it(one: str, other: str) -> None:
    assert shape_of(ast.parse(one)) == shape_of(ast.parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("1", "True"), ("'1'", "1"), ("b'a'", "'a'"), ("0.0", "-0.0"), ("None", "..."),
     ("x, y", "[x, y]"),
     ("f(*a)", "f(a)"), ("{**a}", "{a: a}"), ("def f(a, /): 1", "def f(a): 1"), ("del x", "x"),
     ("x[1]", "x.a")],
)  # fmt: skip
def test_what_differs_a_little_differs(one: str, other: str) -> None:
    assert shape_of(ast.parse(one)) != shape_of(ast.parse(other))


def test_a_number_of_ten_thousand_digits_has_one() -> None:
    assert shape_of(ast.parse(f"x = 0x{'f' * 10_000}")) != shape_of(
        ast.parse(f"x = 0x{'e' * 10_000}")
    )
