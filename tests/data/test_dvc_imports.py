"""Imported data that changes where it came from is noticed once, and brought to where steps run."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from nbci.config import Project
from nbci.data.dvc_imports import poll, seen_in
from nbci.errors import InfrastructureError
from nbci.git.process import Git
from tests.support.console import Console
from tests.support.dvc import dvc, make_repository

if TYPE_CHECKING:
    from pathlib import Path

_PIPELINE = """\
pipeline: rows
steps: {count: {notebook: count.py, cwd: project, deps: [data.csv.dvc], outs: [count.txt]}}
triggers: {data: "H/30 * * * *"}
models: {rows: {path: count.txt, stage: production}}
"""
_NOTEBOOK = 'open("count.txt", "w").write(open("data.csv").read() * 2)\n'


def _commit(root: Path) -> None:
    subprocess.run(["git", "-C", str(root), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(root), "commit", "-q", "-m", "data"], check=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file that is imported, and that others change."""
    place = tmp_path / "warehouse/data.csv"
    place.parent.mkdir()
    place.write_text("1")
    return place


@pytest.fixture
def root(tmp_path: Path, source: Path) -> Path:
    made = make_repository(tmp_path / "project")
    (tmp_path / "remote").mkdir()
    (made / ".dvc/config").write_text(
        f"[core]\n    remote = r\n['remote \"r\"']\n    url = {tmp_path / 'remote'}\n"
    )
    dvc(made, "import-url", "-q", str(source), "data.csv")
    (made / "pipe.yaml").write_text(_PIPELINE)
    (made / "count.py").write_text(_NOTEBOOK)
    (made / ".gitignore").write_text("/data.csv\n/.nbci\n/count.txt\n/plan.json\n/store\n")
    _commit(made)
    return made


def test_a_change_is_seen_once(root: Path, source: Path) -> None:
    project = Project(root=root)
    nothing = poll(project, ["data.csv.dvc", "count.py"], {})
    assert (nothing.seen, nothing.texts) == ({}, {})
    source.write_text("22")
    found = poll(project, ["data.csv"], {})  # by its data's name, too
    assert list(found.seen) == list(found.texts) == ["data.csv.dvc"]
    assert (root / "data.csv").read_text() == "22"
    subprocess.run(["git", "-C", str(root), "checkout", "-q", "."], check=True)
    again = poll(project, ["data.csv.dvc"], found.seen)
    assert (again.seen, again.texts) == (found.seen, {})


def test_another_repository_that_has_not_changed_the_data(tmp_path: Path) -> None:
    other, root = make_repository(tmp_path / "other"), make_repository(tmp_path / "project")
    (other / "raw").write_text("a")
    dvc(other, "add", "-q", "raw")
    _commit(other)
    dvc(root, "import", "-q", str(other), "raw")
    (other / "readme").write_text("more")
    _commit(other)
    project = Project(root=root)
    found = poll(project, ["raw.dvc"], {})
    assert found.texts == {}
    assert found.seen == {"raw.dvc": Git(other)("rev-parse", "HEAD")}
    shutil.rmtree(other)
    with pytest.raises(InfrastructureError, match="cannot bring what was imported up to date"):
        poll(project, ["raw.dvc"], found.seen)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '"x"'])
def test_what_is_no_memory_is_none(text: str) -> None:
    assert seen_in(text) == {}


def test_a_timers_build_runs_with_the_new_data_and_the_next_one_has_nothing_to_do(
    root: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = ("plan", "pipe.yaml", "--out", "plan.json", "--format", "jenkins", "--poll")
    here = Console(root)
    nothing = here(*plan, "")
    assert nothing.stdout == "nbci-plan 1\nnothing\tthe imported data is what it was\ndata\t{}\n", (
        nothing.stderr
    )
    assert not (root / "plan.json").exists()
    source.write_text("22")
    planned = here(*plan, "")
    assert planned.returncode == 0, planned.stderr
    seen = planned.stdout.splitlines()[-1].partition("data\t")[2]
    assert "stage\t1\tcount" in planned.stdout
    assert list(json.loads(seen)) == ["data.csv.dvc"]
    assert "nothing" in here(*plan, seen).stdout
    # another agent, with a checkout of the commit and data of an earlier build in it
    agent = tmp_path / "agent"
    subprocess.run(["git", "clone", "-q", str(root), str(agent)], check=True)
    shutil.copy(root / "plan.json", agent)
    (agent / "data.csv").write_text("1")
    monkeypatch.setenv("NBCI_CACHE", str(tmp_path / "cache of the agent"))
    step = Console(agent)("step", "--plan", "plan.json", "--store", "store")
    assert step.returncode == 0, step.stdout + step.stderr
    assert (agent / "count.txt").read_text() == "2222"
    origin = tmp_path / "origin.git"
    subprocess.run(["git", "init", "-q", "--bare", str(origin)], check=True)
    Git(agent)("remote", "set-url", "origin", str(origin))
    done = Console(agent)(
        "finish",
        "--plan",
        "plan.json",
        "--store",
        "store",
        "--promote",
        env={"BRANCH_NAME": "main"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        Git(origin)("show", "rows@v1.0.0:data.csv.dvc")
        == (agent / "data.csv.dvc").read_text().rstrip()
    )


def test_tracked_data_of_an_earlier_commit_is_replaced(root: Path, source: Path) -> None:
    """As in a workspace that a build before has used."""
    before = (root / "data.csv.dvc").read_text()
    source.write_text("22")
    dvc(root, "update", "-q", "data.csv.dvc")
    _commit(root)
    (root / "data.csv").unlink()
    (root / "data.csv").write_text("1")
    assert before != (root / "data.csv.dvc").read_text()
    assert Console(root)("run", "pipe.yaml", "--quiet").returncode == 0
    assert (root / "count.txt").read_text() == "2222"
    (root / "data.csv").write_text("mine")
    refused = Console(root)("run", "pipe.yaml", "--quiet")
    assert refused.returncode == 1
    assert (root / "data.csv").read_text() == "mine"
