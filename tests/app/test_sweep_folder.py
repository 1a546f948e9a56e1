from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.app.sweeps.sweep_folder import SweepFolder, find_sweep, new_sweep
from nbci.config import Project
from nbci.errors import IntegrityError, UsageError
from nbci.pipeline.search_space import Choices, Range
from nbci.sweeps.study_record import Objective
from tests.support.console import ROOT
from tests.sweeps.test_standing import sweep, trial

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    folder = new_sweep(Project(root=tmp_path), "s1")
    record = sweep(sweep="s1", trials=3, name="best")
    folder.write_record(record)
    for each in (trial(0, state="running"), trial(0, 0.5), trial(1, error="e")):
        folder.add_trial(each)

    assert find_sweep(Project(root=tmp_path), "latest").read_record() == record
    assert folder.read_trials() == (trial(0, 0.5), trial(1, error="e"))


def test_a_trial_runs_only_while_somebody_is_at_work(tmp_path: Path) -> None:
    folder = new_sweep(Project(root=tmp_path), "s1")
    folder.add_trial(trial(0, state="running"))
    other = SweepFolder(folder.path)

    assert other.is_going_on
    assert not other.hold()
    assert [each.state for each in other.read_trials()] == ["running"]
    folder.release()
    assert [(each.state, each.interrupted) for each in other.read_trials()] == [("failed", True)]


def test_half_a_line_is_cut_off_before_another_is_added(tmp_path: Path) -> None:
    folder = new_sweep(Project(root=tmp_path), "s1")
    folder.add_trial(trial(0, 0.5))
    folder.release()
    with (folder.path / "trials.jsonl").open("ab") as file:
        file.write(b'{"number":1,"st')
    folder.study.write_bytes(b'{"op_code":0}\n{"op_')

    assert folder.hold()
    folder.add_trial(trial(1, 2.0))

    assert folder.read_trials() == (trial(0, 0.5), trial(1, 2.0))
    assert folder.study.read_bytes() == b'{"op_code":0}\n'


def test_a_sweep_is_found_by_as_much_of_its_id_as_tells_it_from_others(tmp_path: Path) -> None:
    project = Project(root=tmp_path)
    with pytest.raises(UsageError, match="there is no sweep yet"):
        find_sweep(project, "latest")
    for name in ("20261128-a", "20261129-a", "20261129-b"):
        new_sweep(project, name).write_record(sweep(sweep=name))
    # Killed before it had its record, it is none.
    new_sweep(project, "20261130-a")

    assert find_sweep(project, "latest").sweep == "20261129-b"
    assert find_sweep(project, "20261128").sweep == "20261128-a"
    with pytest.raises(UsageError, match="is the beginning of 2 sweeps"):
        find_sweep(project, "20261129")
    with pytest.raises(UsageError, match="there is no sweep '2025'"):
        find_sweep(project, "2025")


def test_a_sweep_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = new_sweep(Project(root=tmp_path), "s1")
    folder.write_record(replace(sweep(), format=3))
    with pytest.raises(UsageError, match="format 3"):
        folder.read_record()
    (folder.path / "sweep.json").write_text("{}")
    with pytest.raises(IntegrityError):
        folder.read_record()


def test_the_first_format_is_read(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/assets/sweep-1", tmp_path / "sweep")
    folder = SweepFolder(tmp_path / "sweep")
    record = folder.read_record()
    assert record.space == (
        Range(name="x", low=0.0, high=10.0),
        Choices(name="kind", values=("a", "b")),
        Range(name="n", low=1, high=3, when="kind == 'b'"),
    )
    assert record.objectives == (Objective(metric="m/fit:loss", direction="minimize"),)
    trials = folder.read_trials()
    assert [each.number for each in trials] == list(range(12))
    assert {each.state for each in trials} == {"complete"}
    assert trials[1].params == {"x": 5.10827605197663, "kind": "b", "n": 1}


def test_the_second_format_is_read(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/assets/sweep-2", tmp_path / "sweep")
    folder = SweepFolder(tmp_path / "sweep")
    record = folder.read_record()
    assert record.objectives == (Objective(metric="m/fit:loss", direction="minimize"),)
    assert record.prune is not None
    assert (record.prune.on, record.prune.by) == ("m/fit:val", "median")
    trials = folder.read_trials()
    assert [each.state for each in trials] == ["complete"] * 4 + ["pruned"] * 4
    assert trials[2].values == (3.0724287813818676,)
    assert len(trials[4].curve) == 1
    assert trials[0].worker == "1"
