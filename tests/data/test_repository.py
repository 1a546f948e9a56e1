"""DVC's settings, as DVC itself reads them, and remembered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbci.config import Project
from nbci.data.repository import DataSettings, data_settings, project_cache
from nbci.errors import UsageError
from tests.support.console import ROOT
from tests.support.dvc import dvc, make_repository


def project_at(root: Path) -> Project:
    (root / ".nbci").mkdir(exist_ok=True)
    return Project(root=root)


def test_without_dvc_artifacts_lie_in_the_users_cache(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "inner")], check=True)
    (tmp_path / ".dvc").mkdir()  # of somebody else: a repository of its own lies between
    assert data_settings(project_at(tmp_path / "inner")) is None
    cache = project_cache(project_at(tmp_path / "inner"), {"NBCI_CACHE": str(tmp_path / "cache")})
    assert cache.artifacts.objects.root == tmp_path / "cache/files/md5"


def test_defaults_are_dvcs(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project")
    assert data_settings(project_at(root)) == DataSettings(cache=str(root / ".dvc/cache"))
    cache = project_cache(project_at(root), {"NBCI_CACHE": str(tmp_path / "cache")})
    assert cache.artifacts.objects.root == root / ".dvc/cache/files/md5"
    assert cache.artifacts.others == (cache.own,)


def test_a_project_may_lie_deep_in_a_repository(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project")
    (root / "deep/er").mkdir(parents=True)
    assert data_settings(project_at(root / "deep/er")) == DataSettings(
        cache=str(root / ".dvc/cache")
    )


def test_what_dvc_is_told_is_what_nbci_does(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project")
    dvc(root, "cache", "dir", "--local", "../shared cache")
    dvc(root, "config", "cache.type", "hardlink,symlink")
    dvc(root, "config", "cache.shared", "group")
    dvc(root, "remote", "add", "-d", "team", str(tmp_path / "remote"))
    expected = DataSettings(
        cache=str(tmp_path / "shared cache"),
        links=("hardlink", "symlink"),
        shared=True,
        remote="team",
    )
    assert data_settings(project_at(root)) == expected
    assert data_settings(project_at(root)) == expected


def test_a_change_of_any_file_is_seen_and_no_change_costs_no_import(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project")
    assert data_settings(project_at(root)) is not None
    program = (
        "import sys; from pathlib import Path; from nbci.config import Project\n"
        "from nbci.data.repository import data_settings\n"
        "print(data_settings(Project(root=Path(sys.argv[1]))).cache, "
        "[m for m in sys.modules if m.startswith('dvc')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(root)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{root}/.dvc/cache []\n"
    (root / ".dvc/config.local").write_text(f"[cache]\n    dir = {tmp_path}/elsewhere\n")
    settings = data_settings(project_at(root))
    assert settings is not None
    assert settings.cache == f"{tmp_path}/elsewhere"
    of_the_user = Path(os.environ["XDG_CONFIG_HOME"]) / "dvc/config"
    of_the_user.parent.mkdir(parents=True, exist_ok=True)
    of_the_user.write_text("[cache]\n    type = copy\n")
    try:
        settings = data_settings(project_at(root))
        assert settings is not None
        assert settings.links == ("copy",)
    finally:
        of_the_user.unlink()


def test_another_repository_does_not_get_what_was_remembered(tmp_path: Path) -> None:
    outer = make_repository(tmp_path / "project")
    (outer / "inner").mkdir()
    data_settings(project_at(outer / "inner"))
    make_repository(outer / "inner")
    settings = data_settings(project_at(outer / "inner"))
    assert settings is not None
    assert settings.cache == str(outer / "inner/.dvc/cache")


def test_a_broken_configuration_is_said(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project")
    (root / ".dvc/config").write_text("[cache\n")
    with pytest.raises(UsageError, match="cannot be read"):
        data_settings(project_at(root))
    (root / ".dvc/config").write_text("[cache]\n    type = teleport\n")
    with pytest.raises(UsageError, match="cache"):
        data_settings(project_at(root))
