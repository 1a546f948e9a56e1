"""Which steps data flow puts into an order for what cells of all steps make."""

from __future__ import annotations

import pytest

from nbci.dataflow.code import parse_cell
from nbci.dataflow.flow import StepCode, order_from_flow
from nbci.dataflow.prelude import split

FUNCTIONS = """
COLUMNS = ["a", "b"]
REGISTRY = []
SETTINGS = {"x": 1}
def clean(table): return table[COLUMNS]
def add(x): REGISTRY.append(x)
class Counted:
    n = 0
    def __init__(self): Counted.n += 1
def counter(): return lambda: 1
count = counter()
"""


@pytest.mark.parametrize(
    ("first", "second", "ordered"),
    [
        ("print(clean(raw), len(COLUMNS))", "for c in COLUMNS: print(c)", False),
        ("print(SETTINGS['x'])", "rate = SETTINGS['x']", False),
        ("add(1)", "print(REGISTRY)", True),
        ("add(1)", "add(2)", True),
        ("Counted()", "print(Counted.n)", True),
        ("SETTINGS['x'] = 2", "print(SETTINGS)", True),
        ("print(SETTINGS)", "SETTINGS['x'] = 2", False),
        ("count()", "count()", True),
    ],
)
def test_a_step_waits_for_those_that_may_change_what_it_uses(first: str, second: str, ordered: bool) -> None:
    steps = [StepCode(name=name, cells=(parse_cell(code),)) for name, code in (("a", first), ("b", second))]
    edges = order_from_flow(steps, frozenset({"raw"}), split(1, FUNCTIONS), settled=frozenset({"raw"}))
    assert edges == ((("a", "b"),) if ordered else ())
