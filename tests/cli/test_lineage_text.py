from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nbci.cli.error_handler import call
from nbci.config import Project
from nbci.plan.model import Plan, PlannedStep
from nbci.records.run_record import FileRef, RunRecord, StepRecord
from nbci.runs.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SWEEP = "20260103-100000-ccccccc"


def write_run(runs: Path, number: int, *, reused: bool = False, raw: str = "a" * 32) -> str:
    """A run of six steps of a matrix that read `raw.csv`; each writes a file."""
    run = f"20260102-{number:06}-aaaaaaa"
    steps = tuple(
        StepRecord(
            name=f"train/{at}",
            result="reused" if reused else "passed",
            deps=(FileRef(path="raw.csv", digest=raw, bytes=1),),
            outs=(FileRef(path=f"out/{at}.bin", digest=f"{at}" * 32, bytes=1),),
        )
        for at in range(6)
    )
    folder = RunFolder(runs / run)
    planned = tuple(
        PlannedStep(
            name=step.name, notebook="n.ipynb", kernel="python3", language="python", cells=()
        )
        for step in steps
    )
    folder.write_plan(Plan(pipeline="p", target="p.yaml", steps=planned))
    for step in steps:
        folder.write_step(step)
    record = RunRecord(
        run=run,
        pipeline="p",
        target="p.yaml",
        result="passed",
        nbci="0",
        sources={"n.ipynb": "s" * 8},
        steps=steps,
    )
    folder.write_run(record)
    return run


def test_what_many_runs_share_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.nbci]\n")
    runs = Project(root=tmp_path).runs_folder
    old = write_run(runs, 1, raw="b" * 32)
    made = write_run(runs, 2)
    again = [write_run(runs, number, reused=True) for number in range(3, 23)]
    trials = tmp_path / ".nbci/sweeps" / SWEEP / "runs"
    searched = [write_run(trials, number, reused=True) for number in range(30, 34)]

    assert call("lineage", ["raw.csv"]) == 0
    many = f"20 runs ({again[0]} … {again[-1]})"
    outs = f"reused by {many}; made by 2 runs ({old} … {made})"
    assert capsys.readouterr().out.splitlines() == [
        "file raw.csv  aaaaaaaaaa",
        "  → 6 steps train/0 … train/5",
        "    → 6 files out/0.bin … out/5.bin",
        "",
        f"raw.csv: read by 21 runs ({made} … {again[-1]}); read by 4 trials of sweep {SWEEP}",
        f"out/0.bin, out/1.bin, out/2.bin and 3 more: {outs}; reused by 4 trials of sweep {SWEEP}",
    ]

    assert call("lineage", ["raw.csv", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len([node for node in document["nodes"] if node["kind"] == "step"]) == 6
    assert {
        "node": "file:raw.csv",
        "role": "read",
        "sweep": SWEEP,
        "runs": searched,
    } in document["runs"]
    own = {"node": "file:raw.csv", "role": "read", "sweep": None, "runs": [made, *again]}
    assert own in document["runs"]

    assert call("lineage", [searched[0]]) == 0
    assert f"4 trials of sweep {SWEEP}" in capsys.readouterr().out
