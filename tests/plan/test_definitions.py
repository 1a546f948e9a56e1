"""What the classes and functions that a value refers to bring into the key of whoever takes it."""

from __future__ import annotations

import pytest

from nbci.dataflow.prelude import split_cell
from nbci.plan.definitions import definitions, reach_definitions

CELL = """\
import math, os

class Base:
    def scale(self):
        return C

class Model(Base):
    def predict(self):
        return helper(1)

def helper(x):
    return math.floor(x)

def other():
    return D

LEVEL = other()
"""
KNOWN = definitions(split_cell(1, CELL), frozenset({"C", "D"}))


@pytest.mark.parametrize(
    ("names", "parts", "params"),
    [
        ((), [], []),
        (("helper",), ["math, os", "helper"], []),
        (("Model",), ["math, os", "Base", "Model", "helper"], ["C"]),
        (("Base", "other"), ["Base", "other"], ["C", "D"]),
        (("nobody's",), [], []),
    ],
)
def test_what_names_lead_to(names: tuple[str, ...], parts: list[str], params: list[str]) -> None:
    found = reach_definitions(KNOWN, names, frozenset({"C", "D"}))
    assert [part.label.partition(" (")[0] for part in found.parts] == parts
    assert sorted(found.params) == params


def test_the_part_of_a_definition_is_its_code() -> None:
    changed = definitions(
        split_cell(1, CELL.replace("return helper(1)", "return helper(2)")), frozenset({"C"})
    )
    moved = definitions(split_cell(1, f"# more lines\n\n{CELL}"), frozenset({"C"}))
    digests = [
        [definition.part.digest for definition in found] for found in (KNOWN, changed, moved)
    ]
    assert [old == new for old, new in zip(digests[0], digests[1], strict=True)] == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert digests[0] == digests[2]
