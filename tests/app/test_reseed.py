"""What is not carried out with other seeds, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.app.request import RunRequest
from nbci.app.reruns.earlier_run import EarlierRun
from nbci.app.reruns.reseed import Seeding
from nbci.config import Project
from nbci.gates.baseline import Baseline, BaselineCode
from nbci.plan.model import Fork, Plan, PlannedSeeds
from nbci.records.run_record import RunRecord
from nbci.runs.folder import RunFolder
from nbci.store.cache import Cache

if TYPE_CHECKING:
    from pathlib import Path


def test_a_forks_data_does_not_reach_the_code_of_a_baseline(tmp_path: Path) -> None:
    plan = Plan(
        pipeline="p",
        target="p.yaml",
        steps=(),
        seeds=PlannedSeeds(parameter="seed", values=(0, 1, 2, 3, 4)),
        fork=Fork(prefix="forks/7", branch="main", commit="abc"),
    )
    record = RunRecord(run="r1", pipeline="p", target="p.yaml", result="passed", nbci="1")
    run = EarlierRun(
        project=Project(root=tmp_path),
        folder=RunFolder(tmp_path / "r1"),
        record=record,
        plan=plan,
        commit=None,
    )
    told: list[str] = []
    seeding = Seeding(
        run=run,
        cache=Cache(tmp_path / "cache"),
        request=RunRequest(target="p.yaml", resume=None, command=("nbci", "run", "p.yaml")),
        tell=told.append,
    )
    champion = Baseline(
        asked="champion",
        source="p@v1",
        identity="v1",
        run="r0",
        metrics={},
        code=BaselineCode(commit="abc", target="p.yaml", params=()),
    )

    found = seeding.baseline_seeds(champion)

    assert found.reason == "this is a build of a change from a fork"
    assert (found.runs, told) == ((), [])
