from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.config import Project
from nbci.errors import IntegrityError, UsageError
from nbci.plan.model import Plan, PlannedStep
from nbci.records.run_record import Attempt, Metric, RunRecord, StepRecord
from nbci.runs.folder import RunFolder
from nbci.runs.plan_file import read_plan
from nbci.runs.project_runs import all_runs, find_run, new_run

if TYPE_CHECKING:
    from pathlib import Path

_PLAN = Plan(
    pipeline="p",
    target="n.ipynb",
    steps=tuple(
        PlannedStep(name=name, notebook="n.ipynb", kernel="python3", language="python", cells=())
        for name in ("done", "node/going", "waiting")
    ),
)
_HEADER = RunRecord(run="?", pipeline="p", target="n.ipynb", result="running", nbci="1")
_TRY = Attempt(number=1, result="passed", started_utc="2026-01-01T00:00:00.000Z", seconds=1.5)


def _begun(project: Project) -> RunFolder:
    folder = new_run(project)
    folder.write_plan(_PLAN)
    folder.write_run(replace(_HEADER, run=folder.run))
    folder.write_step(StepRecord(name="done", result="passed", attempts=(_TRY,)))
    folder.write_step(
        StepRecord(name="node/going", result="running", started_utc="2026-01-01T00:00:02.000Z")
    )
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path)


def test_a_run_that_goes_on_is_running_to_everybody(project: Project) -> None:
    folder = _begun(project)
    for reader in (folder, RunFolder(folder.path)):
        record = reader.read()
        assert record.result == "running"
        assert [step.result for step in record.steps] == ["passed", "running", "skipped"]
    folder.release()


def test_a_run_whose_engine_is_gone_was_interrupted(project: Project) -> None:
    folder = _begun(project)
    folder.release()
    record = RunFolder(folder.path).read()
    assert record.result == "interrupted"
    assert [(step.name, step.result) for step in record.steps] == [
        ("done", "passed"),
        ("node/going", "failed"),
        ("waiting", "skipped"),
    ]
    failure = record.steps[1].failure
    assert failure is not None
    assert failure.kind == "interrupted"
    assert record.steps[2].reason
    assert json.loads((folder.path / "run.json").read_text())["result"] == "running"


def test_only_one_process_may_carry_a_run_on(project: Project) -> None:
    folder = _begun(project)
    other = RunFolder(folder.path)
    assert not other.hold()
    folder.release()
    assert other.hold()
    other.release()


def test_metrics_that_are_no_ordinary_numbers_survive(project: Project) -> None:
    folder = _begun(project)
    values = {
        "nan": float("nan"),
        "up": float("inf"),
        "down": float("-inf"),
        "tiny": 5e-324,
        "third": 1 / 3,
    }
    metrics = tuple(
        Metric(name=name, value=value, source="scrap") for name, value in values.items()
    )
    folder.write_step(StepRecord(name="done", result="passed", metrics=metrics))
    folder.release()
    read = {metric.name: metric.value for metric in folder.read().steps[0].metrics}
    assert {name: repr(value) for name, value in read.items()} == {
        name: repr(value) for name, value in values.items()
    }


def test_runs_are_found_by_id_beginning_and_latest(project: Project) -> None:
    for run in ("20260101-000000-aaaa", "20260101-000000-bbbb", "20260202-000000-cccc"):
        folder = RunFolder(project.runs_folder / run)
        folder.write_run(replace(_HEADER, run=run))
    (project.runs_folder / "20260303-000000-dddd").mkdir()
    assert [folder.run[-4:] for folder in all_runs(project)] == ["cccc", "bbbb", "aaaa"]
    assert find_run(project, "latest").run.endswith("cccc")
    assert find_run(project, "20260202").run.endswith("cccc")
    assert find_run(project, "20260101-000000-bbbb").run.endswith("bbbb")
    with pytest.raises(UsageError, match="beginning of 2 runs"):
        find_run(project, "20260101")
    with pytest.raises(UsageError) as caught:
        find_run(project, "20260101-000000-aaab")
    assert caught.value.hint == "did you mean 20260101-000000-aaaa?"


@pytest.mark.parametrize("run", ["latest", "x", "", "../../etc"])
def test_without_runs_there_is_none_to_find(project: Project, run: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_run(project, run)
    assert caught.value.hint == "start the first with: nbci run TARGET"


def test_runs_made_in_one_second_have_folders_of_their_own(project: Project) -> None:
    folders = [new_run(project) for _ in range(20)]
    assert len({folder.run for folder in folders}) == 20
    assert (project.root / ".nbci/.gitignore").read_text() == "*\n"
    for folder in folders:
        folder.release()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"steps": 3}', b'{"format": 1, "pipeline": "p"}']
)
def test_a_damaged_plan_is_said_to_be_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"plan\.json"):
        read_plan(tmp_path / "plan.json")


def test_a_plan_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"format": 99}')
    with pytest.raises(UsageError, match="99"):
        read_plan(tmp_path / "plan.json")
    with pytest.raises(UsageError, match="no such plan"):
        read_plan(tmp_path / "absent.json")


@pytest.mark.parametrize("content", ["", "{", '{"run": 1}'])
def test_a_damaged_record_is_said_to_be_one(project: Project, content: str) -> None:
    folder = _begun(project)
    folder.release()
    (folder.step("done") / "record.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"record\.json"):
        folder.read()


def test_an_id_that_is_given_is_used_once(project: Project) -> None:
    first, second = (
        new_run(project, "20260101-000000-0000000"),
        new_run(project, "20260101-000000-0000000"),
    )

    assert first.run == "20260101-000000-0000000"
    assert second.run != first.run
