"""Steps write inside the project only.

They never write where git, DVC, nbci or the pipeline itself have their files.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nbci.errors import IntegrityError
from nbci.records.run_record import FileRef
from nbci.runs.folder import RunFolder
from nbci.store.cache import Cache
from nbci.store.file_index import FileIndex

if TYPE_CHECKING:
    from nbci.store.artifacts import Artifacts
    from tests.conftest import MakeNotebook
    from tests.support.console import Console


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    )
    return done.stdout


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("out", "word"),
    [
        (".", "whole project"),
        ("sub/..", "whole project"),
        (".git", "belongs to git"),
        (".git/hooks/post-checkout", "belongs to git"),
        (".GIT/config", "belongs to git"),
        (".nbci", "belongs to git"),
        (".nbci/runs", "belongs to git"),
        ("nb/.nbci", "belongs to git"),
        ("libs/x/.git/hooks/post-checkout", "belongs to git"),
        (".dvc/config", "belongs to git"),
        ("nb", "nb/n.ipynb"),
        ("nb/n.ipynb", "nb/n.ipynb"),
        ("../beside", "outside the project"),
        ("away/x", "through a link"),
        ("away", "through a link"),
        ("x" * 300, "no file can have"),
    ],
)
def test_an_out_that_is_not_the_steps_own_is_refused(
    nbci: Console,
    make_notebook: MakeNotebook,
    tmp_path_factory: pytest.TempPathFactory,
    out: str,
    word: str,
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "kept").write_text("typed by hand", encoding="utf-8")
    git(nbci.cwd, "init", "-q")
    os.symlink(outside, nbci.cwd / "away")
    make_notebook("nb/n.ipynb", [(f"step:a out:{out}", "print('ran')")])
    text = Path(nbci.cwd / "nb/n.ipynb").read_text(encoding="utf-8")
    pipeline = f"steps: {{a: {{notebook: nb/n.ipynb, cwd: project, outs: [{json.dumps(out)}]}}}}\n"
    Path(nbci.cwd / "nb/n.ipynb").write_text(text.replace(f', "out:{out}"', ""), encoding="utf-8")
    (nbci.cwd / "p.yaml").write_text(pipeline, encoding="utf-8")
    before = content(nbci.cwd)
    for command in ("plan", "run"):
        done = nbci(command, "p.yaml")
        assert done.returncode == 2, done.stderr
        assert word in done.stderr
        assert "ran" not in done.stdout
    assert content(nbci.cwd) == before
    assert (outside / "kept").exists()


def test_files_that_git_tracks_in_an_out_stay(nbci: Console, make_notebook: MakeNotebook) -> None:
    git(nbci.cwd, "init", "-q")
    (nbci.cwd / "reports").mkdir()
    (nbci.cwd / "reports/README.md").write_text("by hand", encoding="utf-8")
    make_notebook("n.ipynb", [("step:a out:reports", "open('reports/x', 'w').write('1')")])
    git(nbci.cwd, "add", ".")
    for command in ("plan", "run"):
        done = nbci(command, "n.ipynb")
        assert done.returncode == 2
        assert "git tracks files in it: reports/README.md" in done.stderr
    assert git(nbci.cwd, "status", "--short") == "A  n.ipynb\nA  reports/README.md\n"

    git(nbci.cwd, "rm", "-q", "--cached", "reports/README.md")
    assert (
        nbci("run", "n.ipynb").returncode == 1
    )  # the folder makes way, and the step does not make it


def artifact(
    tmp_path: Path, path: str, digest: str = "d41d8cd98f00b204e9800998ecf8427e"
) -> tuple[Artifacts, FileRef]:
    artifacts = Cache(tmp_path / "cache").artifacts
    artifacts.objects.add_bytes("d41d8cd98f00b204e9800998ecf8427e", b"")
    return artifacts, FileRef(path=path, digest=digest, bytes=0)


@pytest.mark.parametrize(
    "path",
    [
        *("../x", "/tmp/x", ".", ".git/hooks/x", "libs/.git/hooks/x", ".nbci/x"),
        *("away/x", "a/../../x", "a\0b", ""),
    ],
)
def test_a_recorded_path_is_checked_when_it_becomes_a_place(tmp_path: Path, path: str) -> None:
    (tmp_path / "work").mkdir()
    os.symlink(tmp_path, tmp_path / "work/away")
    artifacts, ref = artifact(tmp_path, path)
    with pytest.raises(IntegrityError):
        artifacts.restore(tmp_path / "work", ref, FileIndex(tmp_path / "index"))
    assert os.listdir(tmp_path / "work") == ["away"]


def test_a_folder_is_put_back_below_its_place_whatever_is_linked_there(tmp_path: Path) -> None:
    artifacts = Cache(tmp_path / "cache").artifacts
    work, index = tmp_path / "work", FileIndex(tmp_path / "index")
    (work / "out/deep").mkdir(parents=True)
    (work / "out/deep/a").write_text("kept", encoding="utf-8")
    ref = artifacts.keep(work, "out", index)
    outside = tmp_path / "outside"
    (work / "out/deep").rename(outside)
    (outside / "a").write_text("typed by hand", encoding="utf-8")
    os.symlink(outside, work / "out/deep")

    artifacts.restore(work, ref, FileIndex(tmp_path / "index"))

    assert (outside / "a").read_text(encoding="utf-8") == "typed by hand"
    assert (work / "out/deep/a").read_text(encoding="utf-8") == "kept"
    assert not (work / "out/deep").is_symlink()


@pytest.mark.parametrize(
    "digest", ["../../x", "ab/../../../x", "..", "/etc/passwd", "a\0b", "é" * 32]
)
def test_what_names_no_object_is_refused(tmp_path: Path, digest: str) -> None:
    cache = Cache(tmp_path / "cache")
    for look in (cache.value_path, cache.own.path, lambda name: list(cache.records(name))):
        with pytest.raises(IntegrityError):
            look(digest)


@pytest.mark.parametrize("name", ["../x", "/tmp/x", ".", "", "a/../../x"])
def test_a_step_that_names_a_folder_elsewhere_has_none(tmp_path: Path, name: str) -> None:
    folder = RunFolder(tmp_path / "20261128-120000-0000c0de")
    with pytest.raises(IntegrityError):
        folder.step(name)
    with pytest.raises(IntegrityError):
        folder.beside(name)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"outs": ["made.txt"]', '"outs": ["../made.txt"]'),
        ('"outs": ["made.txt"]', '"outs": [".git/hooks/x"]'),
        ('"name": "a"', '"name": "../../a"'),
        ('"notebook": "n.ipynb"', '"notebook": "../n.ipynb"'),
    ],
)
def test_a_plan_that_would_write_elsewhere_is_refused(
    nbci: Console, make_notebook: MakeNotebook, old: str, new: str
) -> None:
    make_notebook("n.ipynb", [("step:a out:made.txt", "open('made.txt', 'w').write('1')")])
    assert nbci("plan", "n.ipynb", "--out", "plan.json").returncode == 0
    plan = nbci.cwd / "plan.json"
    text = json.dumps(json.loads(plan.read_text(encoding="utf-8")))
    assert old in text
    plan.write_text(text.replace(old, new), encoding="utf-8")
    for command in (["step", "--plan", "plan.json", "a"], ["finish", "--plan", "plan.json"]):
        done = nbci(*command)
        assert done.returncode == 5, done.stderr
        assert "no place inside the project" in done.stderr


HOSTILE = """\
import json, os, builtins
json.dumps = json.loads = json.dump = json.load = lambda *args, **settings: 1 / 0
x = 1
"""


def test_a_step_may_change_json_as_it_likes(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "n.ipynb", [("step:a", HOSTILE), ("step:b prev:a", "print('x is', x)")]
    )
    done = nbci("run", notebook)
    assert done.returncode == 0, done.stderr
    assert "x is 1" in done.stdout


def test_a_kernel_that_cannot_answer_is_a_failed_step(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    code = "get_ipython().display_formatter.format = lambda *args, **settings: ({}, {})\nx = 1"
    done = nbci("run", make_notebook("n.ipynb", [("step:a", code), ("step:b prev:a", "x")]))
    assert done.returncode == 1, done.stderr
    assert "no longer answers" in done.stdout + done.stderr


def test_names_that_no_record_or_folder_can_have(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_notebook(
        "n.ipynb",
        [("step:a out:d", "import os\nos.makedirs('d')\nopen(b'd/bad\\xff', 'w').close()")],
    )
    done = nbci("run", "n.ipynb")
    assert done.returncode == 0, done.stderr
    assert nbci("run", "n.ipynb", "--force").returncode == 0

    os.rename(os.fsencode(nbci.cwd / "n.ipynb"), os.fsencode(nbci.cwd) + b"/bad\xff.ipynb")
    done = nbci("run", "bad\udcff.ipynb")
    assert done.returncode == 2
    assert "bad\\xff.ipynb" in done.stderr

    make_notebook("long.ipynb", [(f"step:{'s' * 201}", "1")])
    assert nbci("run", "long.ipynb").returncode == 2

    make_notebook("m.ipynb", [("", "1")])
    (nbci.cwd / "p.yaml").write_text('steps: {"m\\n": {notebook: m.ipynb}}\n', encoding="utf-8")
    done = nbci("run", "p.yaml")
    assert done.returncode == 2
    assert "is no name for this" in done.stderr
