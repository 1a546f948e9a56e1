"""`nbci finish` as a use case: what it refuses before a run has its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console


def test_sources_that_changed_since_the_plan_leave_no_run(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_notebook("a.ipynb", [("step:one", "x = 1")])
    assert nbci("plan", "a.ipynb", "--out", "plan.json").returncode == 0
    assert nbci("step", "one", "--plan", "plan.json", "--store", "store").returncode == 0
    make_notebook("a.ipynb", [("step:one", "x = 2")])

    done = nbci("finish", "--plan", "plan.json", "--store", "store")

    assert done.returncode == 2, done.stderr
    assert "a.ipynb" in done.stderr
    assert not list((tmp_path / ".nbci/runs").glob("*"))
