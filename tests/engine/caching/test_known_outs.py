from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.config import Project
from nbci.engine.caching.reuse import KnownOuts
from nbci.plan.model import Plan, PlannedStep
from nbci.records.run_record import FileRef, RunRecord, StepRecord
from nbci.runs.project_runs import new_run

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.runs.folder import RunFolder

_STEP = PlannedStep(
    name="s", notebook="n.ipynb", kernel="python3", language="python", cells=(), outs=("o",)
)


def _run(project: Project, digest: str) -> RunFolder:
    folder = new_run(project)
    folder.write_plan(Plan(pipeline="p", target="n.ipynb", steps=(_STEP,)))
    folder.write_run(
        RunRecord(run=folder.run, pipeline="p", target="n.ipynb", result="running", nbci="1")
    )
    folder.write_step(
        StepRecord(name="s", result="passed", outs=(FileRef(path="o", digest=digest, bytes=1),))
    )
    folder.release()
    return folder


def test_what_any_recent_run_made_is_known(tmp_path: Path) -> None:
    project = Project(root=tmp_path)
    assert ("o", "a") not in KnownOuts(project)
    _run(project, "a")
    damaged = _run(project, "b")
    (damaged.path / "plan.json").write_text("{")
    _run(project, "c")
    known = KnownOuts(project)
    assert ("o", "c") in known
    assert ("o", "a") in known
    assert ("o", "b") not in known
    assert ("other", "a") not in known
    assert ("o", "c") in known
