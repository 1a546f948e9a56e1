"""Which steps data flow puts into an order for what cells of all steps make."""

from __future__ import annotations

import pytest

from nbci.dataflow.code import parse_cell
from nbci.dataflow.ordering import order_from_flow
from nbci.dataflow.prelude import split_cell
from nbci.dataflow.step_code import StepCode

FUNCTIONS = """
COLUMNS = ["a", "b"]
REGISTRY = []
SETTINGS = {"x": 1}
def clean(table): return table[COLUMNS]
def add(x): REGISTRY.append(x)
class Counted:
    n = 0
    def __init__(self): Counted.n += 1
NESTED = {"a": []}
class Noting:
    def __enter__(self): REGISTRY.append(1)
    def __exit__(self, *error): pass
    def __add__(self, other): REGISTRY.append(2)
    @property
    def value(self): REGISTRY.append(3)
noting = Noting()
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
        ("found = NESTED.get('a')\nfound.append(1)", "print(NESTED)", True),
        ("for found in NESTED.values(): found.append(1)", "print(NESTED)", True),
        ("sorted(NESTED.items())[0][1].append(1)", "print(NESTED)", True),
        ("(found := NESTED['a']).append(1)", "print(NESTED)", True),
        ("getattr(noting, 'value').append(1)", "print(noting)", True),
        ("print(NESTED.get('a'), len(NESTED), sorted(NESTED))", "print(NESTED)", False),
        ("size = len(NESTED)\nrate = SETTINGS.get('x')", "print(NESTED, SETTINGS)", False),
        ("for name in sorted(SETTINGS): print(name)", "print(SETTINGS)", False),
        ("with noting: pass", "print(REGISTRY)", True),
        ("noting + 1", "print(REGISTRY)", True),
        ("noting.value", "print(REGISTRY)", True),
        ("mine = Noting()", "print(REGISTRY)", True),
    ],
)
def test_a_step_waits_for_those_that_may_change_what_it_uses(
    first: str, second: str, ordered: bool
) -> None:
    steps = [
        StepCode(name=name, cells=(parse_cell(code),))
        for name, code in (("a", first), ("b", second))
    ]
    edges = order_from_flow(
        steps, frozenset({"raw"}), split_cell(1, FUNCTIONS), settled=frozenset({"raw"})
    )
    assert edges == ((("a", "b"),) if ordered else ())
