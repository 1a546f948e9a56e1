"""Steps in a DVC repository.

Their files lie in its cache, tracked data comes from there, and DVC itself agrees.
"""

from __future__ import annotations

import json
import shutil
import stat
from typing import TYPE_CHECKING, Any

import pytest

from nbci.store.file_index import FileIndex
from tests.support.console import Console
from tests.support.dvc import dvc, make_repository
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

PREPARE = """
from pathlib import Path
Path('clean').mkdir()
[Path('clean', name).write_text(Path('data/raw', name).read_text().upper()) for name in 'ab']
"""
CELLS = [
    ("step:prepare in:data/raw.dvc out:clean", PREPARE),
    (
        "step:total prev:prepare in:clean out:total.txt",
        "with open('total.txt', 'a') as file: file.write(str(2))",
    ),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a tracked folder, whose workspace is linked to the cache."""
    root = make_repository(tmp_path / "project", cache_type="hardlink")
    (root / "data/raw").mkdir(parents=True)
    for name in "ab":
        (root / "data/raw" / name).write_text(name)
    dvc(root, "add", "-q", "data/raw")
    write_notebook(root / "n.ipynb", CELLS)
    return root


def run(root: Path, *arguments: str, code: int = 0, cache: str = "cache") -> dict[str, Any]:
    done = Console(root)(
        "run", "n.ipynb", "--json", *arguments, env={"NBCI_CACHE": str(root.parent / cache)}
    )
    assert done.returncode == code, done.stdout + done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def results(shown: dict[str, Any]) -> list[str]:
    return [step["result"] for step in shown["steps"]]


def test_data_comes_from_dvcs_cache_and_outs_go_there(root: Path) -> None:
    shutil.rmtree(root / "data/raw")
    assert results(run(root)) == ["passed", "passed"]
    assert (root / "data/raw/a").read_text() == "a"
    assert dvc(root, "status", "-q") == ""
    kept = root / ".dvc/cache/files/md5"
    for name in ("clean", "total.txt"):
        digest = FileIndex(root / "none").fingerprint(root, name).digest
        assert (kept / digest[:2] / digest[2:]).is_file()
    assert not (root.parent / "cache/files/md5").exists()
    assert (root / "total.txt").stat().st_nlink == 2
    assert stat.S_IMODE((root / "total.txt").stat().st_mode) == 0o444

    shutil.rmtree(root / "clean")
    (root / "total.txt").unlink()
    assert results(run(root)) == ["reused", "reused"]
    assert (root / "clean/b").read_text() == "B"
    assert results(run(root, "--force")) == [
        "passed",
        "passed",
    ]  # opened for append, and yet the object is whole
    assert (root / "total.txt").read_text() == "2"

    damaged = next(path for path in kept.rglob("*") if path.is_file() and path.read_bytes() == b"B")
    damaged.chmod(0o644)
    damaged.write_text("?")
    (root / "clean/a").unlink()
    shown = run(root)
    assert results(shown) == ["passed", "reused"]
    assert (root / "clean/b").read_text() == "B"


def test_data_that_is_nowhere_or_changed_is_said(root: Path) -> None:
    (root / "data/raw/a").unlink()
    (root / "data/raw/a").write_text("by hand")
    (failed, _) = run(root, code=1)["steps"]
    assert "data/raw is not what data/raw.dvc says" in json.dumps(failed)
    shutil.rmtree(root / "data/raw")
    shutil.rmtree(root / ".dvc/cache")
    (failed, _) = run(root, code=1)["steps"]
    assert "dvc pull" in json.dumps(failed)


def test_another_clone_takes_over_what_lies_in_the_cache_of_the_first(root: Path) -> None:
    run(root)
    clone = make_repository(root.parent / "clone")
    shutil.copytree(root / "data", clone / "data")
    shutil.copy(root / "n.ipynb", clone / "n.ipynb")
    assert results(run(clone)) == ["reused", "reused"]
    assert (clone / "clean/a").read_text() == "A"
    assert list((clone / ".dvc/cache/files/md5").iterdir())
