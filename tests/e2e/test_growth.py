"""Commands whose work grows with the number of steps, and not with its square."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.projects import chain, listed
from nbci.cli.main import run
from tests.support.work import lines_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FEW, _MANY = 100, 400
_LINEAR = 1.05
"""Trees and sorting grow a little faster than the number of steps."""


@pytest.mark.parametrize("make", [chain, listed], ids=["tagged cells", "a pipeline file"])
@pytest.mark.parametrize("command", ["plan", "lint"])
def test_work_grows_with_the_number_of_steps(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path, int], Path],
    command: str,
) -> None:
    # Modules are imported, and schemas compiled, by the first command of a process.
    _lines(make, tmp_path / "first", 10, command, monkeypatch)

    few = _lines(make, tmp_path / "few", _FEW, command, monkeypatch)
    many = _lines(make, tmp_path / "many", _MANY, command, monkeypatch)

    assert many < few * (_MANY / _FEW) * _LINEAR


def _lines(
    make: Callable[[Path, int], Path],
    project: Path,
    steps: int,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> int:
    target = make(project, steps)
    monkeypatch.chdir(project)
    return lines_run(lambda: run([command, str(target)]))
