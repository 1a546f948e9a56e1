"""Releases as git, DVC and GTO themselves see them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from nbci.app.promote_run import promote_run
from nbci.config import find_project
from nbci.errors import UsageError
from nbci.git.process import Git
from nbci.promotion.promote import Promotion, Request
from nbci.promotion.stage_changes import Move, demote, rollback
from nbci.registry.read import read_manifest
from nbci.runs.project_runs import find_run
from tests.promotion.promoting import MODEL, production_version, promote_here, run_again

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.releases import Released


def test_stock_tools_understand_a_release(
    released: Released, stock: Callable[..., str], tmp_path: Path
) -> None:
    head = released.git("rev-parse", "HEAD")
    done = released.nbci(
        "promote", "latest", "--json", env={"BUILD_URL": "https://ci.example.com/job/digits/7/"}
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["version"], shown["tags"]) == ("v1.0.0", ["digits@v1.0.0", "digits#production#1"])
    assert (
        released.tags()
        == released.tags(released.project)
        == {"digits@v1.0.0", "digits#production#1"}
    )

    promoted_bytes = (released.project / MODEL).read_bytes()
    stock(
        "dvc",
        "get",
        released.origin,
        MODEL,
        "--rev",
        "digits@v1.0.0",
        "-o",
        tmp_path / "got",
        cwd=tmp_path,
    )
    staged = tmp_path / "staged"
    of_stage = ("digits", "--stage", "production")
    stock("dvc", "artifacts", "get", released.origin, *of_stage, "-o", staged, cwd=tmp_path)
    assert (tmp_path / "got").read_bytes() == staged.read_bytes() == promoted_bytes
    shown_by_gto = json.loads(stock("gto", "show", "digits", "--json", cwd=released.project))
    assert [(row["version"], row["stages"][0]["stage"]) for row in shown_by_gto] == [
        ("v1.0.0", "production")
    ]
    events = [
        row["event"]
        for row in json.loads(stock("gto", "history", "digits", "--json", cwd=released.project))
    ]
    assert sorted(events) == ["assignment", "registration"]

    for repository in (released.project, released.origin):
        checked = subprocess.run(
            ["git", "-C", repository, "fsck", "--strict"], capture_output=True, check=True
        )
        assert checked.stderr == b""
    assert (
        released.git("rev-parse", f"{shown['commit']}^")
        == released.git("rev-parse", "HEAD")
        == head
    )
    assert released.git("branch", "--all", "--contains", shown["commit"]) == ""
    assert released.git("status", "--porcelain") == ""
    changed = released.git("diff", "--name-status", f"{shown['commit']}^", shown["commit"]).split()
    assert changed == [
        "A",
        ".nbci/release.json",
        "A",
        ".nbci/release.md",
        "A",
        "dvc.lock",
        "A",
        "dvc.yaml",
    ]

    manifest = read_manifest(released.git, shown["commit"])
    assert manifest is not None
    assert (manifest.run, manifest.branch, manifest.commit) == (released.runs[1], "main", head)
    assert (manifest.by.name, manifest.build_url) == (
        "A Tester",
        "https://ci.example.com/job/digits/7/",
    )
    assert manifest.metrics == {"train/svm:accuracy": 0.92}
    assert {step.name: step.run for step in manifest.steps} == {
        "prepare": released.runs[0],
        "train/svm": released.runs[1],
    }


def test_versions_go_up_back_and_out(released: Released) -> None:
    first = promote_here(released)
    record = find_run(find_project(released.project), first.run).read()
    assert promote_here(released) == Promotion(
        model="digits",
        version="v1.0.0",
        stage="production",
        run=first.run,
        tags=first.tags,
        commit=first.commit,
        files=record.steps[1].outs[:1],
        pushed=True,
        done=True,
    )
    second = promote_here(released, run_again(released), part="minor")
    assert (second.version, second.before, production_version(released.project)) == (
        "v1.1.0",
        "v1.0.0",
        "v1.1.0",
    )
    with pytest.raises(UsageError, match=r"v1\.1\.0 is there already, of another run"):
        promote_here(released, run_again(released), version="1.1.0")
    third = promote_here(released, run_again(released), version="2.0.0-rc.1")
    assert (third.version, production_version(released.project)) == ("v2.0.0-rc.1", "v2.0.0-rc.1")

    gone = rollback(released.project, Move(model="digits", reason="it drifts"), {})
    assert (gone.before, gone.now, production_version(released.project)) == (
        "v2.0.0-rc.1",
        "v1.1.0",
        "v1.1.0",
    )
    assert gone.tags == ("digits#production!#4", "digits#production#5")
    assert "it drifts" in released.git("tag", "-l", "--format=%(contents)", "digits#production#5")
    assert rollback(released.project, Move(model="digits"), {}).now == "v1.0.0"
    with pytest.raises(
        UsageError, match="no other version of digits was in stage production before"
    ):
        rollback(released.project, Move(model="digits"), {})
    assert (
        rollback(released.project, Move(model="digits"), {}, to="2.0.0-rc.1").now == "v2.0.0-rc.1"
    )
    with pytest.raises(UsageError, match="already"):
        rollback(released.project, Move(model="digits"), {}, to="2.0.0-rc.1")
    assert production_version(released.project) == "v2.0.0-rc.1"
    dry = demote(released.project, Move(model="digits", dry_run=True), {})
    assert dry.tags
    assert not set(dry.tags) & released.tags()
    demote(released.project, Move(model="digits"), {})
    assert production_version(released.project) is None
    with pytest.raises(UsageError, match="nothing of digits is in stage production"):
        demote(released.project, Move(model="digits"), {})
    assert (
        promote_here(released).done is False
    )  # the run of v1.0.0 again: into the stage, not as another version
    assert production_version(released.project) == "v1.0.0"
    assert released.tags() == released.tags(released.project)
    with pytest.raises(UsageError, match="there is no released model 'digit'"):
        demote(released.project, Move(model="digit"), {})


def test_a_dry_run_and_a_release_that_stays_here(released: Released) -> None:
    dry = promote_here(released, dry_run=True)
    assert (dry.version, dry.commit, released.tags(), released.tags(released.project)) == (
        "v1.0.0",
        None,
        set(),
        set(),
    )
    assert list(released.remote.iterdir()) == []
    kept = promote_here(released, push=False)
    assert (released.tags(), released.tags(released.project)) == (set(), set(kept.tags))
    assert promote_here(released).done
    assert released.tags() == set(kept.tags)
    demote(released.project, Move(model="digits"), {})
    with pytest.raises(
        UsageError, match="no other version of digits was in stage production before"
    ) as empty:
        rollback(released.project, Move(model="digits"), {})
    assert (
        empty.value.hint
        == "it is empty: nbci rollback digits --to v1.0.0 puts that version into it"
    )


def test_a_shallow_detached_clone_promotes(released: Released, tmp_path: Path) -> None:
    promote_here(released)
    run = run_again(released)
    clone = tmp_path / "ci"
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", "--no-tags", released.origin.as_uri(), clone],
        check=True,
    )
    git = Git(clone)
    git("checkout", "-q", "--detach")
    for name in (".nbci", "models", "data", "metrics.json"):
        place = released.project / name
        (shutil.copytree if place.is_dir() else shutil.copyfile)(place, clone / name)
    project = find_project(clone)
    made = promote_run(
        project, find_run(project, run), Request(), {**os.environ, "BRANCH_NAME": "main"}
    )
    assert (made.version, made.before) == ("v1.0.1", "v1.0.0")
    assert {"digits@v1.0.1", "digits#production#2"} <= released.tags()
    subprocess.run(
        ["git", "-C", released.origin, "fsck", "--strict"], check=True, capture_output=True
    )
