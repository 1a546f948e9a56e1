from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.config import Project
from nbci.handoff.values import ValueRef
from nbci.plan.model import NOT_ASKED_FOR, Plan, PlannedCell, PlannedStep
from nbci.project.sources import source_digest
from nbci.records.codec import to_json
from nbci.records.git_state import GitState
from nbci.records.manifest import CARD_PATH, MANIFEST_PATH, EvidenceStep, Manifest, Promoter
from nbci.records.run_record import Attempt, FileRef, Metric, ParameterValue, RunRecord, StepRecord
from nbci.records.verdict import BaselineUsed, GateResult, Verdict
from nbci.report.data.gather import gather
from nbci.runs.folder import RunFolder
from nbci.store.cache import user_cache

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.report.data.material import Material


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path)


def plan_of(source: str = "1", **more: Any) -> Plan:
    cell = PlannedCell(role="step", number=1, source=source)
    step = PlannedStep(
        name="train", notebook="n.ipynb", kernel="python3", language="python", cells=(cell,)
    )
    return Plan(pipeline="digits", target="digits.yaml", steps=(step,), **more)


def record_of(
    number: int, accuracy: float = 0.9, *, branch: str = "main", **more: Any
) -> RunRecord:
    step = StepRecord(
        name="train",
        result="passed",
        metrics=(Metric(name="accuracy", value=accuracy, source="cell"),),
    )
    known: dict[str, Any] = {
        "pipeline": "digits",
        "result": "passed",
        "git": GitState(commit="abc", branch=branch, dirty=False),
        "steps": (step,),
    }
    return RunRecord(
        run=f"20261121-{number:06}-000abcd", target="digits.yaml", nbci="0", **{**known, **more}
    )


def write(project: Project, record: RunRecord, plan: Plan | None = None) -> RunFolder:
    folder = RunFolder(project.runs_folder / record.run)
    folder.write_plan(plan or plan_of())
    for step in record.steps:
        folder.write_step(step)
    folder.write_run(record)
    return folder


def verdict(baseline: BaselineUsed | None = None, *, refused: bool = False) -> Verdict:
    result: Any = "passed"
    if refused:
        result = "failed"
    gate = GateResult(gate="g", asked="at least 1", result=result, reason="r")
    baselines = tuple(filter(None, (baseline,)))
    return Verdict(result=result, judged_utc="", gates=(gate,), baselines=baselines)


def gathered(
    project: Project, record: RunRecord, plan: Plan | None = None, **environ: str
) -> Material:
    cache = {"NBCI_CACHE": str(project.root / "cache")}
    return gather(project, record, plan or plan_of(), {}, environ=cache | environ)


def title(material: Material) -> str | None:
    if material.baseline is None:
        return None
    return material.baseline.title


def test_the_last_run_that_passed_on_the_target_branch(project: Project) -> None:
    write(project, record_of(1))
    write(project, record_of(2, branch="other"))
    write(project, record_of(3, result="failed"))
    write(project, record_of(4, pipeline="wine"))
    write(project, record_of(9))
    run = record_of(5)
    assert (
        title(gathered(project, run))
        == "run 20261121-000001-000abcd, the last one that passed on main"
    )
    by_jenkins = gathered(project, run, CHANGE_TARGET="other")
    assert title(by_jenkins) == "run 20261121-000002-000abcd, the last one that passed on other"


def test_the_last_that_passed_anywhere_when_none_did_on_the_branch(project: Project) -> None:
    write(project, record_of(1, branch="other"))
    assert (
        title(gathered(project, record_of(2)))
        == "run 20261121-000001-000abcd, the last one that passed"
    )


def test_the_branch_is_where_the_model_is_promoted(project: Project) -> None:
    write(project, record_of(1))
    write(project, record_of(2, branch="feature"))
    plan = plan_of(models={"digits": {"path": "m.onnx", "branches": ["main"]}})
    run = record_of(3, branch="feature")
    assert (
        title(gathered(project, run, plan))
        == "run 20261121-000001-000abcd, the last one that passed on main"
    )


def test_refused_runs_and_parts_of_runs_are_no_baseline(project: Project) -> None:
    write(project, record_of(1))
    write(project, record_of(2, verdict=verdict(refused=True)))
    part = plan_of()
    skipped = replace(part.steps[0], name="later", action="skip", reason=NOT_ASKED_FOR)
    write(project, record_of(3), replace(part, steps=(*part.steps, skipped)))
    assert (title(gathered(project, record_of(4))) or "").startswith("run 20261121-000001")


def test_what_the_gates_compared_with_comes_first(project: Project) -> None:
    write(project, record_of(1))
    write(project, record_of(2))
    used = BaselineUsed(asked="run:latest", source="run x", identity="20261121-000001-000abcd")
    material = gathered(project, record_of(3, verdict=verdict(used)))
    assert title(material) == "run 20261121-000001-000abcd, which the gates compared with"


def test_a_first_run_has_none_and_says_so(project: Project) -> None:
    material = gathered(project, record_of(1))
    assert material.baseline is None
    assert material.no_baseline == "no earlier run of digits that passed is here"
    assert not material.problems


@pytest.mark.parametrize(
    ("name", "text"),
    [("run.json", '{"format": 0}'), ("plan.json", "{"), ("steps/train/record.json", "{")],
)
def test_a_damaged_baseline_is_passed_over_and_named(
    project: Project, name: str, text: str
) -> None:
    write(project, record_of(1))
    damaged = write(project, record_of(2))
    gathered(project, record_of(3))  # the index knows both
    (damaged.path / name).write_text(text)
    material = gathered(project, record_of(3))
    assert (title(material) or "").startswith("run 20261121-000001")
    if name.startswith(
        "steps"
    ):  # what is worse damaged is no run of this pipeline for the index either
        assert any("20261121-000002" in problem for problem in material.problems)


def test_a_broken_index_is_made_again(project: Project) -> None:
    write(project, record_of(1))
    (project.root / ".nbci" / "index.sqlite").write_text("no database")
    material = gathered(project, record_of(2))
    assert title(material)
    assert [past.run for past in material.history] == ["20261121-000001-000abcd"]


def test_history_is_the_runs_before_oldest_first(project: Project) -> None:
    for number in (1, 2, 3):
        write(project, record_of(number, number / 10))
    material = gathered(project, record_of(3))
    assert [past.metrics["train:accuracy"] for past in material.history] == [0.1, 0.2]


def test_what_differs(project: Project) -> None:
    write(project, record_of(1, 0.8))
    material = gathered(project, record_of(2, 0.9), plan_of("2"))
    assert material.baseline is not None
    found = material.baseline.difference
    assert [change.diff[-2:] for change in found.code] == [("-1", "+2")]
    assert [(change.before, change.after) for change in found.metrics] == [(0.8, 0.9)]


def test_files_are_read_as_the_run_recorded_them(project: Project) -> None:
    content, digest = b'{"a": 1}', hashlib.md5(b'{"a": 1}', usedforsecurity=False).hexdigest()
    listing = json.dumps([{"md5": digest, "relpath": "a/b.json"}]).encode()
    folder = hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"
    objects = user_cache({"NBCI_CACHE": str(project.root / "cache")}).own
    objects.add_bytes(digest, content)
    objects.add_bytes(folder, listing)
    outs = (
        FileRef(path="m.json", digest=digest, bytes=len(content)),
        FileRef(path="plots", digest=folder, bytes=len(content)),
        FileRef(path="gone.json", digest="0" * 32, bytes=1),
        FileRef(path="huge.json", digest=digest, bytes=10**12),
    )
    (project.root / "m.json").write_bytes(b"another run's")
    shown = gathered(
        project, record_of(1, steps=(StepRecord(name="train", result="passed", outs=outs),))
    ).run
    assert shown.list_files("plots") == ("a/b.json",)
    assert shown.list_files("m.json") == shown.list_files("elsewhere") == ()
    read = shown.read_file
    assert read("m.json") == read("plots/a/b.json") == content
    for path in ("gone.json", "huge.json", "plots/c.json", "plots", "secret.json", "../m.json"):
        assert read(path) is None
    objects.path(digest).unlink()
    assert read("m.json") is None
    (project.root / "m.json").write_bytes(content)
    assert read("m.json") == content


def test_notebooks_of_the_baseline_also_those_that_it_reused(project: Project) -> None:
    made = write(project, record_of(1))
    made.write_executed("train", {"cells": []})
    reused = StepRecord(name="train", result="reused", run=made.run)
    write(project, record_of(2, steps=(reused, StepRecord(name="gone", result="passed"))))
    material = gathered(project, record_of(3))
    assert material.baseline is not None
    assert dict(material.baseline.run.notebooks) == {"train": {"cells": []}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"cells": 1}',
        '{"cells": [1]}',
        '{"cells": [{"cell_type": "code", "metadata": {}}]}',
    ],
)
def test_a_damaged_notebook_is_as_one_that_is_gone(project: Project, text: str) -> None:
    made = write(project, record_of(1))
    place = made.step("train") / "notebook.ipynb"
    place.write_text(text)
    ran = record_of(2, steps=(replace(record_of(2).steps[0], attempts=(ATTEMPT,)),))
    material = gathered(project, ran)
    assert material.baseline is not None
    assert dict(material.baseline.run.notebooks) == {}
    assert made.executed_notebooks(plan_of()) == {}
    assert material.problems == ("the executed notebook is gone or damaged: train",)


ATTEMPT = Attempt(number=1, result="passed", started_utc="", seconds=1, notebook="notebook.ipynb")


def git(root: Path, *words: str) -> str:
    options = (
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "tag.gpgsign=false",
    )
    return subprocess.run(
        ["git", "-C", str(root), *options, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def released(project: Project, record: RunRecord, notebook: str) -> tuple[str, str]:
    """A release of that run as `promote` leaves it.

    It has the commit that was built and the release's own commit.
    """
    root = project.root
    git(root, "init", "-q", "-b", "main")
    (root / "n.ipynb").write_text(notebook)
    git(root, "add", "n.ipynb")
    git(root, "commit", "-qm", "built")
    built = git(root, "rev-parse", "HEAD")
    manifest = Manifest(
        model="digits",
        version="v1.0.0",
        run=record.run,
        pipeline=record.pipeline,
        target=record.target,
        commit="f" * 40,  # a shallow clone has the release's commit alone
        promoted_utc="2026-11-21T00:00:00Z",
        by=Promoter(name="a", email="a@b"),
        nbci="0",
        sources={"n.ipynb": source_digest(notebook.encode())},
        params=(ParameterValue(name="C", value=1.0, source="n.ipynb"),),
        steps=(
            EvidenceStep(
                name="train",
                notebook="n.ipynb",
                result="passed",
                metrics=record.steps[0].metrics,
                takes=(ValueRef(name="x", object="o", bytes=1, type="int", group=("x",)),),
            ),
        ),
    )
    for path, text in ((MANIFEST_PATH, to_json(manifest)), (CARD_PATH, "# The card\n")):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
        git(root, "add", "-f", path)
    git(root, "commit", "-qm", "release")
    release = git(root, "rev-parse", "HEAD")
    git(root, "tag", "-a", "digits@v1.0.0", "-m", f"release\n\nNbci-Run: {record.run}", release)
    git(root, "reset", "-q", "--hard", built)
    return built, release


def notebook_of(*sources: str) -> str:
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "id": f"c{at}",
        }
        for at, source in enumerate(sources)
    ]
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    document = {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document)


def test_a_release_is_compared_with_though_its_run_is_gone(project: Project) -> None:
    promoted = record_of(1, 0.8)
    _, release = released(project, promoted, notebook_of("x = 1", "print(x)"))
    new = notebook_of("x = 2", "print(x)")
    (project.root / "n.ipynb").write_text(new)
    cells = tuple(
        PlannedCell(role="step", number=at, source=source)
        for at, source in ((1, "x = 2"), (2, "print(x)"))
    )
    plan = plan_of(sources={"n.ipynb": source_digest(new.encode())})
    plan = replace(plan, steps=(replace(plan.steps[0], cells=cells),))
    used = BaselineUsed(
        asked="champion", source="digits@v1.0.0", identity=f"digits@v1.0.0 {release}"
    )
    run = record_of(
        2, 0.9, verdict=verdict(used), params=(ParameterValue(name="C", value=3.0, source="-p"),)
    )
    material = gathered(project, run, plan)
    assert material.problems == ()
    assert title(material) == (
        "digits@v1.0.0, which the gates compared with: "
        f"run {promoted.run}, known from the release alone"
    )
    assert material.baseline is not None
    found = material.baseline.difference
    assert [(change.step, change.after, change.diff[-2:]) for change in found.code] == [
        ("train", 1, ("-x = 1", "+x = 2"))
    ]
    assert [(change.before, change.after) for change in found.params] == [(1.0, 3.0)]
    assert [(change.before, change.after) for change in found.metrics] == [(0.8, 0.9)]

    (project.root / "n.ipynb").write_text("something else by now")
    later = gathered(project, run, plan)
    assert later.baseline is not None
    assert later.baseline.difference.code == ()  # what is committed is what was released


def test_the_run_itself_is_preferred_to_its_release(project: Project) -> None:
    promoted = record_of(1)
    _, release = released(project, promoted, notebook_of("1"))
    write(project, promoted)
    used = BaselineUsed(
        asked="champion", source="digits@v1.0.0", identity=f"digits@v1.0.0 {release}"
    )
    material = gathered(project, record_of(2, verdict=verdict(used)))
    assert title(material) == f"digits@v1.0.0, which the gates compared with: run {promoted.run}"


def test_the_releases_of_the_run_with_their_cards(project: Project) -> None:
    promoted = record_of(1)
    released(project, promoted, notebook_of("1"))
    plan = plan_of(models={"digits": {"path": "m.onnx"}})
    (release,) = gathered(project, promoted, plan).releases
    assert (release.model, release.version, release.stage, release.card) == (
        "digits",
        "v1.0.0",
        None,
        "# The card",
    )
    assert gathered(project, record_of(2), plan).releases == ()
