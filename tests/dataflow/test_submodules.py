"""Which submodules a step can reach, and what loads them in its own kernel."""

from __future__ import annotations

import pytest

from nbci.dataflow.code import parse_cell
from nbci.dataflow.prelude import split_cell
from nbci.dataflow.submodules import Submodules


def _submodules(*cells: str, imports: str = "") -> Submodules:
    """Of a notebook with one step a cell, named `s1` and so on; cell 1 has the imports."""
    steps = {}
    for at, source in enumerate(cells, start=1):
        steps[f"s{at}"] = [(at + 1, parse_cell(source, may_fail="# may fail" in source))]
    return Submodules(split_cell(1, imports), steps)


def _load(package: str, name: str) -> str:
    return f'__import__("{package}", fromlist=["{name}"])'


@pytest.mark.parametrize(
    ("earlier", "own", "loads"),
    [
        ("import xml.dom", "xml.dom.Node", [_load("xml", "dom")]),
        ("import xml\nimport xml.dom as d", "xml.dom.Node", [_load("xml", "dom")]),
        ("import xml as x\nfrom xml import dom", "hasattr(x, 'dom')", [_load("xml", "dom")]),
        ("import xml.dom.minidom", "xml.dom", [_load("xml", "dom")]),
        (
            "import xml.dom.minidom",
            "xml.dom.minidom.parse",
            [_load("xml", "dom"), _load("xml.dom", "minidom")],
        ),
        ("from a import b\nimport a.b.c", "b.c", [_load("a.b", "c")]),
        ("import xml.dom", "eval(text)", [_load("xml", "dom")]),
        ("import xml.dom", "xml.sax", []),
        ("import xml.dom", "other.dom", []),
        ("import matplotlib.pyplot as plt", "plt.plot()", []),
        ("from xml import *", "xml.dom", []),
        ("from .near import thing", "thing.x", []),
        ("import xml.dom  # may fail", "xml.dom", []),
    ],
)
def test_a_step_loads_what_it_reaches_of_imports_further_up(
    earlier: str, own: str, loads: list[str]
) -> None:
    found = _submodules(earlier, own).inherited("s2")
    assert [statement.text for statement in found] == loads
    assert not any(statement.binds for statement in found)


def test_a_step_loads_nothing_of_cells_further_down() -> None:
    assert not _submodules("import xml\nhasattr(xml, 'dom')", "import xml.dom").inherited("s1")


def test_what_loads_a_submodule_stands_at_the_line_of_its_import() -> None:
    (found,) = _submodules("import os\n\nimport xml.dom", "xml.dom").inherited("s2")
    assert (found.cell, found.line) == (2, 3)


def test_an_import_that_is_reached_by_attribute_counts_as_named() -> None:
    imports = "import xml\nimport xml.dom as d\nfrom xml import sax as s"
    found = _submodules("xml.dom.Node", "d.Node", imports=imports)
    assert found.names_to_import("s1") == {"d"}
    assert found.names_to_import("s2") == frozenset()
