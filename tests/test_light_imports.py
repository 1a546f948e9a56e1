"""What is imported lean is whole, and leaves everything importable."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """
import sys
from nbci.light_imports import lean_import
nbformat = lean_import("nbformat")
nbformat.validate(nbformat.v4.new_notebook())
print("rfc3987_syntax" in sys.modules)
import rfc3987_syntax
print(rfc3987_syntax.__file__)
"""


def test_checkers_of_formats_are_not_imported_and_can_be_later(tmp_path: Path) -> None:
    checker = tmp_path / "rfc3987_syntax.py"
    checker.write_text("def is_valid_syntax(*_): return True\n")
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{_PROGRAM}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", str(checker)]


_GRAPH = """
import sys
from nbci.report.charts.layout import import_grandalf
import_grandalf()
from grandalf.layouts import SugiyamaLayout
print("numpy" in sys.modules)
import numpy
print(numpy.array([1, 2]).sum())
"""


def test_a_graph_is_laid_out_without_numpy_which_can_be_imported_later() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _GRAPH], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["False", "3"]
