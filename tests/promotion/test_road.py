"""A release names the DVC remote that its files lie on, or nobody else could fetch it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from nbci.config import Project
from nbci.errors import UsageError
from nbci.git.process import Git
from nbci.promotion.road import access_of, check_remote_of

if TYPE_CHECKING:
    from pathlib import Path


def commit(folder: Path) -> str:
    for words in (["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    return Git(folder)("rev-parse", "HEAD")


def configure(folder: Path, url: str, name: str = "config") -> None:
    (folder / ".dvc").mkdir(exist_ok=True)
    text = f"[core]\n    remote = team\n['remote \"team\"']\n    url = {url}\n"
    (folder / ".dvc" / name).write_text(text, encoding="utf-8")


def test_the_commit_itself_names_where_the_model_goes(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    git, project = Git(tmp_path), Project(root=tmp_path)
    before = commit(tmp_path)
    configure(tmp_path, "/storage")
    with pytest.raises(UsageError, match="names no default remote"):
        check_remote_of(git, project, before)
    after = commit(tmp_path)
    check_remote_of(git, project, after)
    configure(tmp_path, "/elsewhere")
    with pytest.raises(UsageError, match="names another DVC remote"):
        check_remote_of(git, project, after)


def test_a_remote_relative_to_the_checkout_is_refused_as_such(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    configure(tmp_path, "../../storage")
    with pytest.raises(UsageError, match=r"relative path \.\./\.\./storage"):
        check_remote_of(Git(tmp_path), Project(root=tmp_path), commit(tmp_path))


def test_what_is_set_outside_the_repository_is_access(tmp_path: Path) -> None:
    configure(tmp_path, "/storage")
    assert access_of(Project(root=tmp_path)) == {"core": {}, "remote": {}}
    configure(tmp_path, "/mine", "config.local")
    assert access_of(Project(root=tmp_path)) == {
        "core": {"remote": "team"},
        "remote": {"team": {"url": "/mine"}},
    }
