from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nbci.cli.compare_text import many_document, render_many
from nbci.cli.error_handler import call
from nbci.report.data.many_runs import ManyRuns, compare_runs
from tests.report.data.test_many_runs import DECLARED, run_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def many_runs() -> ManyRuns:
    records = [
        run_of("R1", {"C": 1.0, "seed": 7, "kernel": "rbf"}, auc=0.85, n=1.0),
        run_of("R2", {"C": 10.0, "seed": 7, "kernel": "poly"}, auc=0.9, loss=0.25),
        run_of("R3", {"C": 10.0, "seed": 7, "kernel": "rbf"}, auc=0.875, loss=0.5, n=2.0),
    ]
    return compare_runs(records, DECLARED, {})


def test_a_table_of_many_runs() -> None:
    assert render_many(many_runs()) == (
        "run  C   kernel     auc  n   loss   took  result\n"
        "R2   10  poly      0.9*     0.25*  2.0 s  passed\n"
        "R3   10  rbf     0.875   2   0.5   2.0 s  passed\n"
        "R1   1   rbf      0.85   1         2.0 s  passed\n"
        "\n"
        "* the best of them\n"
        "no direction is declared, so none is the best: n\n"
        "alike in all: seed 7\n"
    )


def test_columns_that_do_not_fit_are_named() -> None:
    params = [dict.fromkeys("abcdefgh", at) for at in (1, 2)]
    many = compare_runs([run_of(f"R{at}", given) for at, given in enumerate(params)], {}, {})
    lines = render_many(many, 37).splitlines()
    assert lines[0] == "run  a  b  c  d  e  f   took  result"
    assert lines[-1] == "not shown for want of width: g, h; --json and --html have all"


def test_the_document_has_everything() -> None:
    document = many_document(many_runs())
    assert [run["run"] for run in document["runs"]] == ["R2", "R3", "R1"]
    assert document["runs"][0]["params"] == {"C": 10.0, "seed": 7, "kernel": "poly"}
    assert document["runs"][0]["metrics"] == {"fit:auc": 0.9, "fit:loss": 0.25}
    assert document["differing"] == ["C", "kernel"]
    assert document["alike"] == {"seed": 7}
    assert document["metrics"] == [
        {"name": "fit:auc", "direction": "up", "best": ["R2"]},
        {"name": "fit:n", "direction": None, "best": []},
        {"name": "fit:loss", "direction": "down", "best": ["R2"]},
    ]
    assert json.loads(json.dumps(document)) == document


def made_runs(root: Path, count: int) -> list[str]:
    """Folders of runs whose records cannot be read."""
    names = [f"20260101-{number:06}-aaaaaaa" for number in range(count)]
    for name in names:
        folder = root / ".nbci" / "runs" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text('{"format": 99}')
    return names


def test_too_many_runs_are_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("compare", made_runs(tmp_path, 201)) == 2
    error = capsys.readouterr().err
    assert "these are 201 runs, and at most 200 can be compared" in error
    assert "nbci runs --where 'sweep ==" in error


def test_where_nothing_can_be_read_it_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("compare", made_runs(tmp_path, 3)) == 2
    error = capsys.readouterr().err
    assert "of these runs, none can be read" in error
    assert "20260101-000000-aaaaaaa is left out: " in error
