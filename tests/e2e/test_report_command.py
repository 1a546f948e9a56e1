"""`nbci report`: pages and notebooks of reused steps are made when asked for."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console


@pytest.fixture
def half_reused(nbci: Console, make_notebook: MakeNotebook) -> Path:
    """The folder of a run that ran one step of two."""
    cells = [
        ("parameters", "k = 1"),
        ("step:same", "print('the same')"),
        ("step:other", "print('k is', k)"),
    ]
    make_notebook("n.ipynb", cells)
    for value in ("1", "2"):
        assert nbci("run", "n.ipynb", "-p", f"k={value}").returncode == 0
    return max((nbci.cwd / ".nbci/runs").iterdir())


def linked(page: Path) -> set[str]:
    """The pages of its own report that the page leads to; what it links exists."""
    targets = set(re.findall(r'href="([^"#:]+)[^"]*"', page.read_text(encoding="utf-8")))
    assert [target for target in targets if not (page.parent / target).exists()] == []
    # Since 906d680, the name of an earlier run leads to its report.
    return {target for target in targets if target.endswith(".html") and "../.." not in target}


def test_a_reused_step_costs_no_notebook_and_no_page(nbci: Console, half_reused: Path) -> None:
    index = half_reused / "report/index.html"
    assert linked(index) == {"steps/other.html"}
    assert f"nbci report {half_reused.name}" in index.read_text(encoding="utf-8")
    assert "k 1 → 2" in index.read_text(encoding="utf-8"), "it is compared with the run before"
    assert not (half_reused / "steps/same").exists()
    assert not (half_reused / "notebooks").exists()

    done = nbci("report")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{index.relative_to(nbci.cwd)}\n"
    assert linked(index) == {"steps/same.html", "steps/other.html"}
    assert "nbci report" not in index.read_text(encoding="utf-8")
    assert "the same" in (half_reused / "report/steps/same.html").read_text(encoding="utf-8")
    merged = json.loads((half_reused / "notebooks/n.ipynb").read_bytes())
    printed = [output["text"] for cell in merged["cells"] for output in cell.get("outputs", ())]
    assert printed == ["the same\n", "k is 2\n"]


def test_the_notebook_of_a_result_that_is_gone_comes_from_its_run(
    nbci: Console, half_reused: Path
) -> None:
    assert nbci("clean", "--cache", "--older", "1s").returncode == 0
    (nbci.cwd / "n.ipynb").write_text("{}")
    done = nbci("report", half_reused.name, "--json")
    assert json.loads(done.stdout)["run"] == half_reused.name
    assert "the file has changed" in done.stderr
    assert "the same" in (half_reused / "report/steps/same.html").read_text(encoding="utf-8")


def test_a_run_with_nothing_to_do_has_a_report_when_asked_for(
    nbci: Console, half_reused: Path
) -> None:
    assert nbci("run", "n.ipynb", "-p", "k=2").returncode == 0
    newest = max(half_reused.parent.iterdir())
    assert newest != half_reused
    assert nbci("report", "latest").returncode == 0
    assert linked(newest / "report/index.html") == {"steps/same.html", "steps/other.html"}
    assert "k is 2" in (newest / "report/steps/other.html").read_text(encoding="utf-8")
