"""The cellar's model is served, watched, trained again and replaced, without a hand."""

from __future__ import annotations

import json
import re
import runpy
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.console import ROOT, Console

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "notebooks/cellar"


@pytest.fixture(scope="module")
def simulate() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "simulate.py"))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, simulate: dict[str, Any]) -> Any:
    path = tmp_path_factory.mktemp("data") / "cellar.csv"
    runpy.run_path(str(FOLDER / "make_table.py"))["make_table"](path)
    return simulate["read_table"](path)


def test_wines_are_the_same_for_the_same_seed(simulate: dict[str, Any], table: Any) -> None:
    draw = simulate["draw"]
    assert len(table) == 178
    assert draw(table, 20, 0.5, 7) == draw(table, 20, 0.5, 7)
    one, other = draw(table, 300, 0.0, 7), draw(table, 300, 0.0, 8)
    assert one != other
    assert not {wine.request for wine in one} & {wine.request for wine in other}


def test_the_new_vintage_moves_some_of_the_measurements(
    simulate: dict[str, Any], table: Any
) -> None:
    def mean(drift: float, name: str) -> float:
        wines = simulate["draw"](table, 400, drift, 7)
        return float(sum(wine.measured[name] for wine in wines) / len(wines))

    assert mean(1.0, "alcohol") > mean(0.5, "alcohol") > mean(0.0, "alcohol") + 0.3
    assert mean(1.0, "ash") == pytest.approx(mean(0.0, "ash"), rel=0.01)


@pytest.mark.slow
def test_the_circle_closes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # in this process, which has scikit-learn by now; what nbci does are processes of their own
    play = runpy.run_path(str(FOLDER / "loop.py"))["play"]
    play(tmp_path / "loop", 300, 2.0)
    story = capsys.readouterr().out
    # That some are beyond the range of the training wines, it warns of.
    assert re.search("day 1: the monitor: (passed|warned)", story)
    assert "day 2: the monitor: failed: " in story
    assert "the server has switched from v1.0.0 to v1.0.1" in story
    assert re.search("day 3: the monitor: (passed|warned)", story)

    # what `nbci decisions` has of the retraining: why, and that both parts of the wines were judged
    _, decision = story.split("what was decided, and why:")
    assert ": closed, decided by Cellar" in decision
    assert "    because " in decision
    assert "accuracy_new better than champion: " in decision
    assert "accuracy_old at most 0.07 below champion: " in decision
    assert decision.count("cellar@v1.0.0 in production has 0.") == 2
    assert "  closed: v1.0.1 answers what v1.0.0 did not" in decision

    nbci = Console(tmp_path / "loop/project")
    both = ("--model", "cellar@v1.0.0", "--model", "cellar@v1.0.1")
    replayed = json.loads(nbci("replay", "logs", *both, "--json").stdout)
    assert replayed["labelled"] == replayed["rows"] == 1050
    before, after = (version["accuracy"] for version in replayed["versions"])
    assert after > before
