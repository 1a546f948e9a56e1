from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nbci.app.sweeps.sweep_folder import SweepFolder
from nbci.cli.error_handler import call
from nbci.config import Project
from nbci.records.run_record import Metric, RunRecord, StepRecord
from nbci.runs.index import note_run
from nbci.sweeps.study_record import TrialRecord

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def three_runs(folder: Path) -> None:
    for number, accuracy in enumerate((0.5, 0.97, 0.93)):
        record = RunRecord(
            run=f"2026112{number}-100000-000abcd",
            pipeline="digits",
            target="digits.ipynb",
            result="passed",
            nbci="0",
            started_utc=f"2026-11-2{number}T10:00:00.000Z",
            seconds=1.0,
            steps=(
                StepRecord(
                    name="t",
                    result="passed",
                    metrics=(Metric(name="accuracy", value=accuracy, source=""),),
                ),
            ),
        )
        (folder / ".nbci" / "runs" / record.run).mkdir(parents=True)
        note_run(Project(root=folder), record)


def test_a_search_that_is_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    three_runs(tmp_path)
    assert call("runs", ["--where", "accuracy > 0.9", "--sort", "-accuracy"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "run                      pipeline  result  started (UTC)         took  metrics",
        "20261121-100000-000abcd  digits    passed  2026-11-21 10:00:00  1.0 s  accuracy 0.97",
        "20261122-100000-000abcd  digits    passed  2026-11-22 10:00:00  1.0 s  accuracy 0.93",
    ]
    assert call("runs", ["--where", "accuracy > 1"]) == 0
    assert capsys.readouterr().out == "no run is like that\n"


def test_the_history_of_a_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    three_runs(tmp_path)
    assert call("metrics", ["history", "accuracy", "--json"]) == 0
    assert [run["value"] for run in json.loads(capsys.readouterr().out)] == [0.93, 0.97, 0.5]
    assert call("metrics", ["history", "t:accuracy", "-n", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("2026-11-22 10:00:00        0.93")
    assert call("metrics", ["history", "acuracy"]) == 2
    assert "'accuracy'" in capsys.readouterr().err


def test_rebuilding_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    three_runs(tmp_path)
    assert call("index", ["rebuild"]) == 0
    assert capsys.readouterr().out == "0 runs in the index\n"  # those folders hold no record


def test_the_trials_of_a_sweep_and_a_word_about_those_that_ran_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    three_runs(tmp_path)
    sweep = SweepFolder(tmp_path / ".nbci" / "sweeps" / "20261123-100000-000abcd")
    sweep.path.mkdir(parents=True)
    (sweep.path / "sweep.json").write_text("{}")
    sweep.add_trial(
        TrialRecord(
            number=0, state="complete", params={}, run="20261121-100000-000abcd", earlier=True
        )
    )
    assert call("runs", ["--where", 'sweep == "20261123"', "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == []
    assert "1 trial of this sweep had run before it" in shown.err
    assert "20261121-100000-000abcd" in shown.err
    assert call("runs", ["--where", 'sweep == "20261124"']) == 2
    assert "there is no sweep '20261124'" in capsys.readouterr().err
