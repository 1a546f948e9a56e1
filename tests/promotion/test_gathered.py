"""A run carried out step by step in several checkouts, gathered in another one and promoted from
there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

from nbci.git.process import Git
from tests.support.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.support.releases import Released

MODEL = "models/digits model.bin"


def checkout(released: Released, place: Path, store: Path | None = None) -> Console:
    """A clone as CI makes it, with what is carried from place to place."""
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", "--no-tags", released.origin.as_uri(), place],
        check=True,
    )
    Git(place)("checkout", "-q", "--detach")
    if store is not None:
        shutil.copytree(store, place / "store")
        shutil.copy(store.parent / "plan.json", place / "plan.json")
    return Console(place)


def test_what_was_made_elsewhere_is_promoted_where_it_is_gathered(
    released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stock: Callable[..., str]
) -> None:
    monkeypatch.setenv("BRANCH_NAME", "main")
    with (released.project / "pipeline.yaml").open("a") as file:
        file.write("deploy: {shelf: {model: digits, agent: gpu, process: {port: 0}}}\n")
    released.git("commit", "-qam", "a place")
    released.git("push", "-q", "origin", "main")
    here = checkout(released, tmp_path / "plan")
    assert here("plan", "pipeline.yaml", "-p", "C=3", "--out", "plan.json").returncode == 0
    (here.cwd / "store").mkdir()
    for number, step in enumerate(("prepare", "train/svm")):
        monkeypatch.setenv("NBCI_CACHE", str(tmp_path / f"cache {number}"))
        here = checkout(released, tmp_path / f"agent {number}", here.cwd / "store")
        done = here("step", "--plan", "plan.json", "--store", "store", step)
        assert done.returncode == 0, done.stderr
    monkeypatch.setenv("NBCI_CACHE", str(tmp_path / "cache of the last"))
    last = checkout(released, tmp_path / "last", here.cwd / "store")
    finish = ("finish", "--plan", "plan.json", "--store", "store", "--out", "out", "--promote")
    for setting in ("CHANGE_ID", "BRANCH_NAME"):
        elsewhere = last(*finish, env={setting: "7"})
        assert elsewhere.returncode == 0, "a job of all branches may ask for it"
        assert "digits is promoted from main, release/* only" in elsewhere.stdout
        assert released.tags() == set()
        page = json.loads((last.cwd / "out/page.json").read_bytes())
        assert (page["release"], page["models"]) == (None, [])
        assert "deploy" not in (last.cwd / "out/ending.txt").read_text()
    done = last(*finish, "digits", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    promotion = document["promotion"]
    assert (promotion["version"], promotion["run"], promotion["done"]) == (
        "v1.0.0",
        document["run"],
        False,
    )
    assert released.tags() == {"digits@v1.0.0", "digits#production#1"}
    ending = (last.cwd / "out/ending.txt").read_text().splitlines()
    assert ending[-1] == "deploy\tshelf\tgpu\tdigits@v1.0.0"
    assert "Card of digits v1.0.0" in (last.cwd / "out" / "report" / "index.html").read_text()
    page = json.loads((last.cwd / "out/page.json").read_bytes())
    assert page["release"] == {"model": "digits", "version": "v1.0.0"}
    (model,) = page["models"]
    assert (model["version"], model["stage"]) == ("v1.0.0", "production")
    assert model["promoted_utc"].startswith("20")
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
    assert (tmp_path / "got").read_text() == "3.0 [1, 2, 3]"
    again = last(*finish)
    assert (again.returncode, again.stdout.splitlines()[-1]) == (
        0, f"digits v1.0.0 is in production already, from run {document['run']}",
    )  # fmt: skip
    put_back = last("checkout", "latest", MODEL)
    assert put_back.returncode == 0, put_back.stderr
    assert (last.cwd / MODEL).read_text() == "3.0 [1, 2, 3]"


def test_what_did_not_pass_is_not_promoted(released: Released, tmp_path: Path) -> None:
    here = checkout(released, tmp_path / "plan")
    assert here("plan", "pipeline.yaml", "--out", "plan.json").returncode == 0
    assert here("step", "--plan", "plan.json", "prepare").returncode == 0
    done = here("finish", "--plan", "plan.json", "--promote")
    assert done.returncode == 1
    assert released.tags() == set()


def test_a_model_that_only_the_shared_remote_has_is_promoted(
    released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the run is gathered, nothing of it was made, and no object was carried there."""
    (released.project / "pyproject.toml").write_text(
        '[tool.nbci]\nstore.remote = "storage"\n', encoding="utf-8"
    )
    released.git("add", "pyproject.toml")
    released.git("commit", "-qm", "share results")
    released.git("push", "-q", "origin", "main")
    monkeypatch.setenv("BRANCH_NAME", "main")
    left = tmp_path / "left"
    for number in (1, 2):
        monkeypatch.setenv("NBCI_CACHE", str(tmp_path / f"cache {number}"))
        here = checkout(released, tmp_path / f"machine {number}")
        plan = here("plan", "pipeline.yaml", "-p", "C=3", "--out", "plan.json", "--leave", left)
        assert plan.returncode == 0, plan.stderr
        if number == 1:
            done = here("step", "--plan", "plan.json")
            assert done.returncode == 0, done.stdout + done.stderr
    brought = here.cwd / "brought"
    shutil.copytree(left, brought / "0")
    assert not list(brought.rglob("files"))
    done = here(
        "finish",
        "--plan",
        "plan.json",
        "--store",
        "store",
        "--bring",
        "brought",
        "--promote",
        "--json",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["promotion"]["version"] == "v1.0.0"
    assert released.tags() == {"digits@v1.0.0", "digits#production#1"}


def test_what_asks_for_a_proof_is_promoted_where_it_is_proved(
    released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = released.project / "pipeline.yaml"
    text = pipeline.read_text().replace("framework: plain", "framework: plain, proved: identical")
    pipeline.write_text(text)
    (tmp_path / "shared").mkdir()
    settings = f'[tool.nbci]\nstore.remote = "{tmp_path / "shared"}"\n'
    (released.project / "pyproject.toml").write_text(settings)
    released.git("add", "pyproject.toml")
    released.git("commit", "-qam", "ask for a proof")
    released.git("push", "-q", "origin", "main")
    monkeypatch.setenv("BRANCH_NAME", "main")
    monkeypatch.setenv("NBCI_CACHE", str(tmp_path / "one cache"))
    one = checkout(released, tmp_path / "one")
    in_parts = ("--plan", "plan.json", "--store", "store")
    assert one("plan", "pipeline.yaml", "--out", "plan.json").returncode == 0
    for step in ("prepare", "train/svm"):
        done = one("step", *in_parts, step)
        assert done.returncode == 0, done.stderr
    finished = one("finish", *in_parts, "--out", "out", "--promote")
    assert finished.returncode == 0, finished.stderr
    assert "not promoted: the model digits asks for a proof (`proved: identical`)" in (
        finished.stdout
    )
    run = dict(
        line.split("\t", 1)
        for line in (one.cwd / "out/ending.txt").read_text("utf-8").splitlines()[1:]
    )["run"]

    # What a CI carries to another agent is the run's records.
    monkeypatch.setenv("NBCI_CACHE", str(tmp_path / "other cache"))
    other = checkout(released, tmp_path / "other")
    shutil.copytree(one.cwd / ".nbci/runs" / run, other.cwd / ".nbci/runs" / run)
    proved = other("prove", run, "--promote", "--json")

    assert proved.returncode == 0, proved.stderr
    assert json.loads(proved.stdout)["agreement"] == "identical"
    assert released.tags() == {"digits@v1.0.0", "digits#production#1"}
