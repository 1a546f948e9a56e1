"""What gates compare with, found in real repositories: clones as CI makes them, runs, revisions,
files.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.config import Project
from nbci.gates.baseline import Baseline, NoBaseline
from nbci.gates.baselines import FoundBaseline, Search, find_baseline, target_branch
from nbci.git.process import Git
from nbci.pipeline.rules import DeclaredMetric
from nbci.plan.model import Plan, PlannedStep
from nbci.records.git_state import GitState
from nbci.records.run_record import Metric, RunRecord, StepRecord
from nbci.runs.folder import RunFolder
from tests.support.releases import tag_release

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STEP = PlannedStep(
    name="train",
    notebook="t.ipynb",
    kernel="python3",
    language="python",
    cells=(),
    metrics=("m.json",),
)
PLAN = Plan(
    pipeline="digits",
    target="p.yaml",
    steps=(STEP,),
    metrics={"accuracy": DeclaredMetric(unit="ratio")},
    models={"digits": {"path": "m.onnx", "stage": "production", "branches": ["main", "release/*"]}},
)


def find(
    asked: str,
    root: Path,
    *,
    plan: Plan = PLAN,
    run: str = "9",
    environ: Mapping[str, str] | None = None,
) -> FoundBaseline:
    return find_baseline(
        asked, Search(project=Project(root=root), plan=plan, run=run, environ=environ or {})
    )


def baseline(asked: str, root: Path, **more: Any) -> Baseline:
    found = find(asked, root, **more).baseline
    assert isinstance(found, Baseline), found
    return found


def none(asked: str, root: Path, **more: Any) -> NoBaseline:
    found = find(asked, root, **more).baseline
    assert isinstance(found, NoBaseline), found
    return found


def commit(git: Git, name: str, text: str) -> str:
    (git.folder / name).parent.mkdir(exist_ok=True)
    (git.folder / name).write_text(text)
    git("add", "-f", name)
    git("commit", "-qm", name)
    return git("rev-parse", "HEAD")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Git:
    git = Git(tmp_path_factory.mktemp("baselines") / "work")
    subprocess.run(["git", "init", "-qb", "main", git.folder], check=True)
    commit(git, "m.json", '{"accuracy": 0.8, "by": {"kind": 0.7}}')
    commit(git, "m.json", '{"accuracy": 0.85}')
    return git


@pytest.fixture(scope="module")
def origin(work: Git) -> Path:
    """A bare repository with two releases for main and one for another branch."""
    folder = work.folder.parent / "released"
    subprocess.run(["git", "clone", "-q", work.folder, folder], check=True)
    git = Git(folder)
    tag_release(git, "v1.1.0", 1, accuracy=0.9)
    tag_release(git, "v1.2.0", 2, accuracy=0.95)
    tag_release(git, "v1.3.0", 3, accuracy=0.99, branch="next")
    subprocess.run(
        ["git", "clone", "-q", "--bare", folder, folder.with_name("origin.git")], check=True
    )
    return folder.with_name("origin.git")


def cloned(origin: Path, to: Path, *options: str) -> Path:
    subprocess.run(["git", "clone", "-q", *options, origin.as_uri(), to], check=True)
    Git(to)("checkout", "-q", "--detach")
    return to


def cut_off(clone: Path) -> None:
    Git(clone)("remote", "set-url", "origin", (clone / "gone").as_uri())


def test_the_champion_of_the_target_branch_is_found_in_any_clone(
    origin: Path, tmp_path: Path
) -> None:
    shallow = cloned(origin, tmp_path / "shallow", "--depth=1", "--no-tags")
    found = find("champion", shallow)
    assert isinstance(found.baseline, Baseline)
    full = baseline("champion:digits", cloned(origin, tmp_path / "full"))
    assert full == replace(found.baseline, asked="champion:digits")
    assert found.baseline.metrics == {"train:accuracy": 0.95}
    assert found.baseline.source == "digits@v1.2.0 in production"
    assert found.baseline.declared == {"accuracy": DeclaredMetric(direction="up", unit="ratio")}
    assert found.remote == ("refs/tags/digits@*", "refs/tags/digits#*")
    assert baseline("champion", shallow, environ={"CHANGE_TARGET": "next"}).metrics == {
        "train:accuracy": 0.99
    }
    cut_off(shallow)
    assert "as last fetched: origin cannot be asked" in baseline("champion", shallow).source


def test_without_tags_and_without_the_remote_nobody_can_tell(origin: Path, tmp_path: Path) -> None:
    for options in (("--depth=1", "--no-tags"), ("--no-tags",), ("--single-branch", "--no-tags")):
        clone = cloned(origin, tmp_path / "-".join(options), *options)
        cut_off(clone)
        found = none("champion", clone)
        assert not found.certain
        assert "may lack the tags of releases, and origin cannot be asked" in found.reason


def test_a_first_run_is_one_where_truly_nothing_was_promoted(work: Git, tmp_path: Path) -> None:
    reason = "no version of digits was promoted on main yet"
    assert none("champion", work.folder).reason == reason
    shallow = cloned(work.folder, tmp_path / "shallow", "--depth=1", "--no-tags")
    assert none("champion", shallow) == NoBaseline(asked="champion", reason=reason)
    full = cloned(work.folder, tmp_path / "full")
    cut_off(full)
    found = none("champion", full)
    assert found.certain
    assert found.reason.startswith(f"{reason}, as last fetched: origin cannot be asked")
    (tmp_path / "plain").mkdir()
    assert (
        none("champion", tmp_path / "plain").reason
        == "this is no git repository, so nothing was promoted"
    )


def test_a_tag_that_was_moved_is_no_first_run(origin: Path, tmp_path: Path) -> None:
    clone = cloned(origin, tmp_path / "moved", "--no-tags")
    Git(clone)("tag", "-a", "-m", "another", "digits@v1.1.0")
    found = none("champion", clone)
    assert not found.certain
    assert "the tag digits@v1.1.0 here is another than on origin" in found.reason


@pytest.mark.parametrize(
    ("head", "environ", "branch"),
    [
        ("main", {}, "main"),
        ("release/2", {}, "release/2"),
        ("idea", {}, "main"),
        (None, {"BRANCH_NAME": "release/1"}, "release/1"),
        (None, {"GIT_BRANCH": "origin/main"}, "main"),
        (None, {}, "main"),
        ("idea", {"CHANGE_TARGET": "release/3"}, "release/3"),
    ],
)
def test_the_target_branch(
    head: str | None, environ: dict[str, str], branch: str, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-qb", head or "main", tmp_path], check=True)
    git = Git(tmp_path)
    commit(git, "a", "")
    if head is None:
        git("checkout", "-q", "--detach")
    search = Search(project=Project(root=tmp_path), plan=PLAN, run="9", environ=environ)
    assert target_branch(search, ("main", "release/*")) == branch


def test_a_revision_is_read_from_its_metrics_files(work: Git, tmp_path: Path) -> None:
    assert baseline("rev:HEAD~1", work.folder).metrics == {
        "train:accuracy": 0.8,
        "train:by.kind": 0.7,
    }
    shallow = cloned(work.folder, tmp_path / "shallow", "--depth=1")
    assert baseline("rev:main", shallow).metrics == {"train:accuracy": 0.85}
    assert none("rev:HEAD~1", shallow) == NoBaseline(
        asked="rev:HEAD~1", reason="HEAD~1 is no commit of this shallow clone", certain=False
    )
    first = work("rev-parse", "HEAD~1")
    work("config", "uploadpack.allowAnySHA1InWant", "true")
    assert baseline(f"rev:{first}", shallow).metrics["train:accuracy"] == 0.8
    assert none("rev:-h", shallow).reason == "-h is no commit of this shallow clone"


def test_a_revision_without_metrics_is_that_of_a_run_that_was_made_of_it(work: Git) -> None:
    plan = replace(PLAN, steps=(replace(STEP, metrics=("other.json",)),))
    assert none("rev:HEAD", work.folder, plan=plan).certain
    head = work("rev-parse", "HEAD")
    for run, state in (
        ("1", GitState(commit=head, branch=None, dirty=False)),
        ("2", GitState(commit=head, branch=None, dirty=True)),
        ("9", GitState(commit=head, branch=None, dirty=False)),
    ):
        write_run(work.folder, run, accuracy=float(run), git=state)
    assert baseline("rev:HEAD", work.folder, plan=plan).metrics == {"train:accuracy": 1.0}


def write_run(root: Path, run: str, *, accuracy: float, **header: Any) -> None:
    folder = RunFolder(root / ".nbci" / "runs" / run)
    folder.write_plan(PLAN)
    record = RunRecord(
        **{
            "run": run,
            "pipeline": "digits",
            "target": "p",
            "result": "passed",
            "nbci": "1",
            **header,
        }
    )
    metric = Metric(name="accuracy", value=accuracy, source="cell")
    folder.write_step(StepRecord(name="train", result="passed", metrics=(metric,)))
    folder.write_run(record)


def test_runs(tmp_path: Path) -> None:
    write_run(tmp_path, "2026-1", accuracy=0.5)
    write_run(tmp_path, "2026-2", accuracy=0.6)
    write_run(tmp_path, "2026-3", accuracy=0.7, result="failed")
    write_run(tmp_path, "2026-4", accuracy=0.8, pipeline="other")
    write_run(tmp_path, "2026-5", accuracy=0.9)
    named = find("run:2026-1", tmp_path, run="2026-5")
    assert isinstance(named.baseline, Baseline)
    assert named.baseline.metrics == {"train:accuracy": 0.5}
    assert named.baseline.declared == PLAN.metrics
    assert named.files is not None
    assert any(name.endswith("2026-1/steps/train/record.json") for name in named.files)
    last = find("run:latest", tmp_path, run="2026-5")
    assert isinstance(last.baseline, Baseline)
    assert (last.baseline.source, last.files) == ("run 2026-2", None)
    assert none("run:latest", tmp_path, run="2026-1") == NoBaseline(
        asked="run:latest", reason="no earlier run of digits passed"
    )
    assert not none("run:2026-5", tmp_path, run="2026-5").certain
    missing = none("run:2027", tmp_path)
    assert not missing.certain
    assert "there is no run '2027'" in missing.reason


def test_files(tmp_path: Path) -> None:
    assert none("file:best.json", tmp_path) == NoBaseline(
        asked="file:best.json", reason="there is no file best.json"
    )
    path = tmp_path / "best.json"
    path.write_text(json.dumps({"accuracy": 0.9, "note": "text"}))
    first = find("file:best.json", tmp_path)
    assert isinstance(first.baseline, Baseline)
    assert (first.baseline.metrics, first.files) == ({"accuracy": 0.9}, (str(path),))
    path.write_text('{"accuracy": 0.91}')
    assert baseline("file:best.json", tmp_path).identity != first.baseline.identity
    for text in ("[1]", "{", ""):
        path.write_text(text)
        assert not none("file:best.json", tmp_path).certain
    path.unlink()
    path.mkdir()
    assert none("file:best.json", tmp_path).reason == "best.json cannot be read: Is a directory"
