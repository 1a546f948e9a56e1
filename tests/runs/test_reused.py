from __future__ import annotations

import json
import resource
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.config import Project
from nbci.errors import InfrastructureError, IntegrityError
from nbci.plan.model import Plan, PlannedStep
from nbci.records.codec import to_json_line
from nbci.records.run_record import Metric, RunRecord, StepRecord
from nbci.runs.folder import RunFolder
from nbci.runs.project_runs import new_run
from nbci.runs.reused import ReusedSteps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MADE = StepRecord(
    name="theirs",
    result="passed",
    run="before",
    metrics=(Metric(name="loss", value=float("inf"), source="metrics"),),
)
_TEXT = to_json_line(_MADE)
_OURS = replace(_MADE, name="node/ours", result="reused", reason="nothing has changed, “at all”")
_PLAN = Plan(
    pipeline="p",
    target="n.ipynb",
    steps=tuple(
        PlannedStep(name=name, notebook="n.ipynb", kernel="python3", language="python", cells=())
        for name in ("node/ours", "other")
    ),
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    """A run that is going on."""
    folder = new_run(Project(root=tmp_path))
    folder.write_plan(_PLAN)
    folder.write_run(
        RunRecord(run=folder.run, pipeline="p", target="n.ipynb", result="running", nbci="1")
    )
    yield folder
    folder.release()


def test_what_was_taken_over_is_read_as_this_runs_own(folder: RunFolder) -> None:
    folder.add_reused(_OURS, _TEXT)
    folder.write_reused()
    for reader in (folder, RunFolder(folder.path)):
        assert reader.read_step("node/ours") == _OURS
        assert reader.read_step("theirs") is None
        assert [step.result for step in reader.read().steps] == ["reused", "skipped"]
        assert list(reader.step_records()) == [_OURS]
    assert not (folder.path / "steps").exists()


def test_a_reader_sees_what_comes_later(folder: RunFolder) -> None:
    reader = RunFolder(folder.path)
    assert reader.read_step("other") is None
    folder.add_reused(_OURS, _TEXT)
    folder.write_reused()
    assert reader.read_step("node/ours") == _OURS
    folder.add_reused(replace(_OURS, name="other"), _TEXT)
    folder.write_reused()
    assert reader.read_step("other") == replace(_OURS, name="other")


def test_a_line_cut_off_by_a_kill_is_not_there_and_not_in_the_way(folder: RunFolder) -> None:
    folder.add_reused(_OURS, _TEXT)
    folder.write_reused()
    folder.release()
    path = folder.path / "reused.jsonl"
    with path.open("ab") as file:
        file.write(path.read_bytes()[:40])
    again = RunFolder(folder.path)
    assert again.read_step("other") is None
    again.add_reused(replace(_OURS, name="other"), _TEXT)
    again.write_reused()
    again.release()
    assert [json.loads(line)["name"] for line in path.read_text(encoding="utf-8").splitlines()] == [
        "node/ours",
        "other",
    ]


def test_what_a_full_disk_refuses_is_written_when_there_is_room_again(folder: RunFolder) -> None:
    folder.add_reused(_OURS, _TEXT)
    folder.write_reused()
    path = folder.path / "reused.jsonl"
    whole = path.read_bytes()
    folder.add_reused(replace(_OURS, name="other"), _TEXT)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 10, before[1]))
    try:
        with pytest.raises(InfrastructureError):
            folder.write_reused()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == whole
    folder.write_reused()
    assert [record.name for record in RunFolder(folder.path).step_records()] == [
        "node/ours",
        "other",
    ]


def test_the_record_of_a_step_that_ran_goes_before(folder: RunFolder) -> None:
    folder.add_reused(_OURS, _TEXT)
    folder.write_reused()
    ran = StepRecord(name="node/ours", result="passed")
    folder.write_step(ran)
    assert folder.read_step("node/ours") == ran
    folder.add_reused(_OURS, _TEXT)
    folder.write_reused()
    assert folder.read_step("node/ours") == _OURS


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "reused.jsonl"
    path.write_text('{"name": "a", "reason": null, "record": {"name": 1}}\n')
    with pytest.raises(IntegrityError) as refused:
        ReusedSteps(path).get("a")
    assert refused.value.where is not None
    assert refused.value.where.path == str(path)


def _ended(folder: RunFolder) -> RunFolder:
    folder.add_reused(_OURS, _TEXT)
    folder.write_reused()
    other = StepRecord(name="other", result="passed")
    folder.write_step(other)
    folder.write_run(
        RunRecord(
            run=folder.run,
            pipeline="p",
            target="n.ipynb",
            result="passed",
            nbci="1",
            steps=(_OURS, other),
        )
    )
    folder.release()
    return RunFolder(folder.path)


def test_the_seal_covers_reused_steps(folder: RunFolder) -> None:
    ended = _ended(folder)
    ended.check_seal()
    path = folder.path / "reused.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("Infinity", "0.1"), encoding="utf-8")
    with pytest.raises(IntegrityError, match="changed after the run"):
        RunFolder(folder.path).check_seal()


def test_a_record_put_before_that_of_a_reused_step_breaks_the_seal(folder: RunFolder) -> None:
    ended = _ended(folder)
    ended.write_step(StepRecord(name="node/ours", result="passed"))
    with pytest.raises(IntegrityError, match="added after the run"):
        RunFolder(folder.path).check_seal()
