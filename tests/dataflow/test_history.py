"""Which reads of IPython's history find nothing in a step of their own."""

from __future__ import annotations

import pytest

from nbci.dataflow.code import parse_cell
from nbci.dataflow.history import lost_history

LOST = [
    (["y = _"], [("_", 0, True)]),
    (["1 + 1", "y = __"], [("__", 1, True)]),
    (["1 + 1;", "print(2)", "y = _"], [("_", 2, True)]),
    (["x = 1\nprint([_ + n for n in range(3)])"], [("_", 0, True)]),
    (["Out[2]", "y = _1"], [("Out", 0, False), ("_1", 1, False)]),
]
FOUND = [
    ["1 + 1", "y = _"],
    ["1", "2", "y = _, __"],
    ["for _ in range(3): pass\nprint(_)"],
    ["_, x = 1, 2", "y = _"],
    ["import gettext as _", "y = _"],
    ["y = _('text')"],
    ["def f():\n    return _", "y = lambda _: _ + 1"],
    ["match 3:\n    case _:\n        pass"],
]


@pytest.mark.parametrize(("cells", "found"), LOST)
def test_a_read_that_nothing_in_the_step_answers(
    cells: list[str], found: list[tuple[str, int, bool]]
) -> None:
    lost = lost_history([parse_cell(cell) for cell in cells])
    assert [(one.name, one.cell, one.surely) for one in lost] == found


@pytest.mark.parametrize("cells", FOUND)
def test_a_read_that_the_step_itself_answers(cells: list[str]) -> None:
    assert list(lost_history([parse_cell(cell) for cell in cells])) == []


def test_a_name_that_every_step_binds() -> None:
    assert list(lost_history([parse_cell("y = _")], frozenset({"_"}))) == []
