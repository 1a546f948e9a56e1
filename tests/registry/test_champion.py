"""The champion, read from real tags, in clones as CI makes them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from nbci.errors import IntegrityError
from nbci.git.process import Git
from nbci.registry.champion import champion
from tests.support.releases import tag_release

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository with three releases of two branches."""
    folder = tmp_path_factory.mktemp("champion")
    work = Git(folder / "work")
    subprocess.run(["git", "init", "-q", work.folder], check=True)
    for n in (1, 2):
        (work.folder / "a.txt").write_text(str(n))
        work("add", "a.txt")
        work("commit", "-qm", f"commit {n}")
    tag_release(work, "v1.0.0", 1, accuracy=0.9)
    tag_release(work, "v1.1.0", 2, accuracy=0.95)
    tag_release(work, "v1.2.0", 3, branch="next", accuracy=0.99)
    subprocess.run(["git", "clone", "-q", "--bare", work.folder, folder / "origin.git"], check=True)
    return folder / "origin.git"


@pytest.fixture
def shallow(origin: Path, tmp_path: Path) -> Path:
    """As CI clones: one commit, no tags, no branch."""
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", "--no-tags", origin.as_uri(), tmp_path / "ci"],
        check=True,
    )
    Git(tmp_path / "ci")("checkout", "-q", "--detach")
    return tmp_path / "ci"


def test_a_shallow_clone_without_tags_finds_it(shallow: Path) -> None:
    assert champion(shallow, "digits", branch="main", stage="production", refresh=False) is None
    found = champion(shallow, "digits", branch="main", stage="production")
    assert found is not None
    assert (found.version, found.metrics, found.branch) == (
        "v1.1.0",
        {"train:accuracy": 0.95},
        "main",
    )
    (shallow / ".git/config").write_text(
        (shallow / ".git/config").read_text().replace("origin.git", "gone.git")
    )
    assert champion(shallow, "digits", branch="main", stage="production") == found
    other = champion(shallow, "digits", branch=None, stage=None)
    assert other is not None
    assert other.version == "v1.2.0"
    assert champion(shallow, "digits", branch="main", stage="staging") is None
    assert champion(shallow, "digit", branch="main", stage="production") is None


def test_a_full_clone_stays_whole(origin: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", "--no-tags", origin, tmp_path / "full"], check=True)
    assert champion(tmp_path / "full", "digits", branch="main", stage="production") is not None
    assert not Git(tmp_path / "full").is_shallow


def test_outside_of_git_there_is_none(tmp_path: Path) -> None:
    assert champion(tmp_path, "digits", branch="main", stage="production") is None


def test_a_tag_that_was_moved_is_named(shallow: Path) -> None:
    git = Git(shallow)
    git("tag", "-a", "-m", "another", "digits@v1.0.0")
    with pytest.raises(
        IntegrityError, match=r"the tag digits@v1\.0\.0 here is another than on origin"
    ):
        champion(shallow, "digits", branch="main", stage="production")
