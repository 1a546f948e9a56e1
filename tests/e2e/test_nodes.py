"""Stages on machines that share nothing but a DVC remote.

At most they have the records that each leaves behind.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.console import Console
from tests.support.dvc import make_repository
from tests.support.notebooks import write_notebook
from tests.support.s3 import s3_server, s3_settings

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

_MAKE = "x = list(range(1000))\nopen('data.txt', 'w').write('data')\nprint('made')"
_LOAD = "x = list(range(9))\nprint('read', open('data.txt').read())"
_FIT = "print('sum', sum(x))\nopen('model.bin', 'w').write('model')"


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead server is dead at once."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


class Nodes:
    """A repository, and machines that clone it: each with a home and caches of its own."""

    def __init__(self, folder: Path, remote: str, settings: str) -> None:
        self.folder = folder
        self.origin = make_repository(folder / "origin")
        (self.origin / ".dvc/config").write_text(
            f"['remote \"team\"']\n    url = {remote}\n{settings}"
        )
        (self.origin / "pyproject.toml").write_text('[tool.nbci]\nstore.remote = "team"\n')
        (self.origin / ".gitignore").write_text(".nbci/\n*.bin\ndata.txt\n")
        (self.origin / "p.yaml").write_text(
            "pipeline: p\nsteps:\n  make: {notebook: make.ipynb, outs: [data.txt]}\n"
            "  train: {notebook: train.ipynb, deps: [data.txt], outs: [model.bin], agent: gpu}\n"
            "  show: {notebook: show.ipynb, deps: [model.bin]}\n"
        )
        write_notebook(self.origin / "train.ipynb", [("step:load", _LOAD), ("step:fit", _FIT)])
        write_notebook(self.origin / "show.ipynb", ["print('shown', open('model.bin').read())"])
        self.write(_MAKE)

    def write(self, make: str) -> None:
        write_notebook(self.origin / "make.ipynb", [make])
        for command in (["add", "-A"], ["commit", "-qm", "a change"]):
            subprocess.run(["git", *command], cwd=self.origin, check=True)

    def node(self, name: str, build: str, *brought: Path) -> Console:
        """A clean workspace of that build on a machine; `brought` are what others left."""
        place = self.folder / name / build
        if not place.exists():
            subprocess.run(["git", "clone", "-q", str(self.origin), str(place)], check=True)
            plan = self.folder / f"{build}.json"
            if plan.exists():
                shutil.copy(plan, place / "plan.json")
        for number, left in enumerate(brought):
            shutil.copytree(left, place / "brought" / str(number))
        return Console(place)

    def call(self, nbci: Console, *words: str) -> CompletedProcess[str]:
        home = nbci.cwd.parent / "home"
        home.mkdir(exist_ok=True)
        return nbci(*words, env={"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")})

    def plan(self, name: str, build: str) -> Path:
        nbci = self.node(name, build)
        done = self.call(
            nbci, "plan", "p.yaml", "--out", "plan.json", "--leave", "left", "--format", "jenkins"
        )
        assert done.returncode == 0, done.stderr
        shutil.copy(nbci.cwd / "plan.json", self.folder / f"{build}.json")
        return nbci.cwd / "left"

    def step(self, nbci: Console, number: int) -> CompletedProcess[str]:
        return self.call(
            nbci,
            "step",
            "--plan",
            "plan.json",
            "--store",
            "store",
            "--stage",
            str(number),
            "--leave",
            "left",
            "--bring",
            "brought",
        )

    def finish(self, nbci: Console, *more: str) -> CompletedProcess[str]:
        return self.call(
            nbci, "finish", "--plan", "plan.json", "--store", "store", "--bring", "brought", *more
        )


def objects(left: Path) -> list[Path]:
    return [path for path in left.rglob("files/*/*/*") if path.is_file()]


def decided(left: Path) -> list[str]:
    path = left / "decided.txt"
    return (
        [line.partition("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        if path.exists()
        else []
    )


def test_a_stage_takes_from_a_bucket_what_another_put_there(tmp_path: Path) -> None:
    with s3_server() as port:
        nodes = Nodes(tmp_path / "n", *s3_settings(port, "team"))
        nodes.plan("a", "1")
        one = nodes.node("a", "1")
        assert nodes.step(one, 1).returncode == 0
        assert objects(one.cwd / "left") == []
        done = nodes.step(nodes.node("b", "1", one.cwd / "left"), 2)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "read data" in done.stdout


def test_what_a_stage_makes_reaches_the_next_through_the_remote(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path / "n", str(tmp_path / "remote"), "")
    assert objects(nodes.plan("a", "1")) == []
    one = nodes.node("a", "1")
    assert nodes.step(one, 1).returncode == 0
    left = one.cwd / "left"
    assert objects(left) == []
    assert decided(left) == []

    # records travel, objects come from the remote
    two = nodes.node("b", "1", left)
    done = nodes.step(two, 2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "read data" in done.stdout
    assert "sum 36" in done.stdout

    # not even records travelled: the remote has them
    three = nodes.node("c", "1")
    done = nodes.step(three, 3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "shown model" in done.stdout
    last = nodes.node("d", "1", left, two.cwd / "left", three.cwd / "left")
    assert nodes.finish(last).returncode == 0

    # the same again: decided by the plan, on a machine that ran nothing of it
    planned = nodes.plan("e", "2")
    assert decided(planned) == ["1", "2", "3"]
    assert objects(planned) == []
    last = nodes.node("f", "2", planned)
    done = nodes.finish(last, "--json", "--out", "result")
    assert done.returncode == 0, done.stderr
    assert [step["result"] for step in json.loads(done.stdout)["steps"]] == ["reused"] * 4
    assert "made" in (last.cwd / "result/report/steps/make.html").read_text(encoding="utf-8")
    assert not (last.cwd / "data.txt").exists()

    # a change that changes no result: what follows is decided when the stage before it has ended
    nodes.write(_MAKE + "\nprint('otherwise')")
    assert decided(nodes.plan("e", "3")) == []
    one = nodes.node("e", "3")
    assert nodes.step(one, 1).returncode == 0
    assert decided(one.cwd / "left") == ["2", "3"]
    assert nodes.finish(nodes.node("f", "3", one.cwd / "left")).returncode == 0


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    nodes = Nodes(tmp_path / "n", str(remote), "")
    nodes.plan("a", "1")
    early = nodes.step(nodes.node("x", "1"), 2)
    assert early.returncode == 2
    assert (
        "step train/load comes after make, whose record in the store is not there" in early.stderr
    )
    one = nodes.node("a", "1")
    assert nodes.step(one, 1).returncode == 0
    shutil.move(remote, tmp_path / "away")
    gone = nodes.step(nodes.node("b", "1", one.cwd / "left"), 2)
    assert gone.returncode == 5, gone.stdout + gone.stderr
    assert "data.txt" in gone.stdout
    for path in (tmp_path / "away/files/md5").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"altered")
    shutil.move(tmp_path / "away", remote)
    altered = nodes.step(nodes.node("c", "1", one.cwd / "left"), 2)
    assert altered.returncode == 5
    assert "this object of the remote is not what its name says" in altered.stdout


def test_a_remote_out_of_reach_is_the_machines_fault_and_what_was_made_travels_all_the_same(
    tmp_path: Path,
) -> None:
    nodes = Nodes(tmp_path / "n", *s3_settings(9, "p"))
    nodes.plan("a", "1")
    one = nodes.node("a", "1")
    done = nodes.step(one, 1)
    assert done.returncode == 4
    assert "remote" in done.stderr
    assert objects(one.cwd / "left")
