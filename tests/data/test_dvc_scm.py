"""Data that DVC imported and that is not here: fetched from where it came."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from nbci.config import Project
from nbci.data.dvc_scm import fetch_tracked
from nbci.data.repository import project_cache
from nbci.data.tracked import tracked
from nbci.errors import InfrastructureError
from tests.support.dvc import dvc, make_repository

if TYPE_CHECKING:
    from pathlib import Path


def test_imported_data_comes_from_its_own_repository(tmp_path: Path) -> None:
    source, root = make_repository(tmp_path / "source"), make_repository(tmp_path / "project")
    (source / "raw").mkdir()
    (source / "raw/a").write_text("a")
    dvc(source, "add", "-q", "raw")
    subprocess.run(["git", "-C", str(source), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(source), "commit", "-q", "-m", "data"], check=True)
    dvc(root, "import", "-q", str(source), "raw")
    shutil.rmtree(root / "raw")
    shutil.rmtree(root / ".dvc/cache")
    project = Project(root=root)
    cache = project_cache(project, {"NBCI_CACHE": str(tmp_path / "cache")})
    (ref,) = tracked(root, "raw.dvc")
    assert cache.artifacts.missing_objects(ref.digest) == [ref.digest]
    fetch_tracked(project, ["raw.dvc"])
    assert cache.artifacts.missing_objects(ref.digest) == []


def test_what_dvc_says_against_it_is_told(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project")
    with pytest.raises(InfrastructureError, match="cannot fetch"):
        fetch_tracked(Project(root=root), ["raw.dvc"])
