"""Cells as Python: plain, with IPython's syntax, and broken."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from nbci.dataflow.code import CellSyntaxError, parse_cell
from nbci.errors import ExitCode, Location


def test_plain_python_is_kept_as_it_is() -> None:
    cell = parse_cell("x = 1\nprint(x)")
    assert cell.python == cell.source == "x = 1\nprint(x)"
    assert len(cell.tree.body) == 2


def test_plain_python_needs_no_ipython() -> None:
    code = (
        "import sys; from nbci.dataflow.code import parse_cell; parse_cell('x = 1');"
        "sys.exit('IPython' in sys.modules or 'traitlets' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # our own text


def test_top_level_await_is_python() -> None:
    assert parse_cell("async with a() as b:\n    await b\nx = [i async for i in y]").tree.body


def test_lines_of_magic_cells_are_those_of_the_source() -> None:
    cell = parse_cell("\n\n%matplotlib inline\nx = 1")
    assert [node.lineno for node in cell.tree.body] == [3, 4]


def test_windows_line_ends() -> None:
    assert len(parse_cell("x = 1\r\ny = 2\r\n").tree.body) == 2


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("x = 1\ny = (", 2),
        ("x = 1\nreturn x", 2),
        ("for i in x:\nprint(i)", 2),
        ("%matplotlib inline\nx = = 2", 2),
        ("\n\n%matplotlib inline\nx = = 2", 4),
        ("%%time\nx = 1\nx = = 2", 3),
        ("%%capture out\n%time y = = 2", 2),
        ("x = 1\n%timeit x +", 2),
        ("a = 1\nb = '\0'", 2),
        ("a = 1\n\nb = '\ud800'", 3),
        ("a = '\udcff'", 1),
        ("(" * 300 + ")" * 300, 1),
        ("-" * 200_000 + "1", 1),
        ("x = " + "9" * 5000, 1),
        ("break", 1),
        ("def f(a, a): pass", 1),
    ],
)
def test_a_syntax_error_says_where(source: str, line: int) -> None:
    if source.startswith("x = 9") and sys.version_info >= (3, 14):
        pytest.skip("the limit on digits moved")
    with pytest.raises(CellSyntaxError) as caught:
        parse_cell(source, where=Location("n.ipynb", cell=3))
    assert caught.value.line == line
    assert caught.value.exit_code is ExitCode.USAGE
    assert str(caught.value).startswith(f"n.ipynb, cell 3, line {line}")


def test_the_message_and_column() -> None:
    with pytest.raises(CellSyntaxError) as caught:
        parse_cell("x = 1\ny = 1 +* 2")
    assert (caught.value.line, caught.value.column) == (2, 8)
    assert caught.value.message == "the cell is no valid Python: invalid syntax"


def test_warnings_of_the_users_code_stay_inside(recwarn: pytest.WarningsRecorder) -> None:
    parse_cell("x = '\\d'\nassert (x, 1)\n1 is 1")
    assert not recwarn.list


@pytest.mark.parametrize(
    "source",
    ["pip install pandas", "ls", "cd ..", "df?", "?df", "!ls | wc", "x = !ls", "%%bash\nls"],
)
def test_ipython_syntax_is_no_error(source: str) -> None:
    assert isinstance(parse_cell(source).tree, ast.Module)


@pytest.mark.parametrize(
    "source",
    [
        " x = 1",
        "    x = 1\n    y = 2",
        "\n\n  x = 1\n  %time y = 2",
        "In [1]: x = 1",
        "\n[ins] In [1]: x = 1",
        "In [12]: x = [\n    ...:     1]",
        ">>> x = [\n...     1]",
        "import os\nfrom __future__ import annotations\nx = 1",
    ],
)
def test_what_ipython_runs_is_no_error(source: str) -> None:
    assigned = [node for node in ast.walk(parse_cell(source).tree) if isinstance(node, ast.Assign)]
    assert [target.id for target in assigned[0].targets if isinstance(target, ast.Name)] == ["x"]


def test_an_unknown_future_is_an_error() -> None:
    with pytest.raises(CellSyntaxError):
        parse_cell("x = 1\nfrom __future__ import nothing_of_the_kind")


@pytest.mark.parametrize(
    "source", ["x[(:,1)]", "x = 1\nx = = 2", "%%time\nx = = 2", "x = " + "9" * 5000]
)
def test_a_cell_that_may_fail_may_be_no_python(source: str) -> None:
    cell = parse_cell(source, may_fail=True)
    if sys.version_info < (3, 14) or "9" not in source:  # where the limit on digits moved
        assert cell.tree.body == []


def test_what_runs_before_a_lone_return_counts() -> None:
    assert isinstance(parse_cell("x = 1\nreturn x", may_fail=True).tree.body[0], ast.Assign)


@pytest.mark.parametrize("source", ["a = '\0'", "-" * 200_000 + "1"])
def test_what_no_kernel_takes_is_an_error_anyway(source: str) -> None:
    with pytest.raises(CellSyntaxError):
        parse_cell(source, may_fail=True)


def test_an_empty_cell() -> None:
    assert parse_cell("").tree.body == []
    assert parse_cell("# only a comment\n\n").tree.body == []
