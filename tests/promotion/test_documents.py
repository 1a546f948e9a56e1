"""What a release adds beside what the project has: its own dvc.yaml, .dvc files, a folder of a
larger repository.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from nbci.app.promote_run import promote_run
from nbci.config import find_project
from nbci.errors import UsageError
from nbci.git.process import Git
from nbci.promotion.promote import Request
from nbci.registry.champion import champion
from nbci.registry.read import read_manifest
from nbci.runs.project_runs import find_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.releases import Released

MODEL = "models/digits model.bin"


def run_and_promote(released: Released, folder: Path) -> str:
    """Commit what is there, run, promote; the release's commit."""
    git = Git(folder)
    git("add", "-A")
    git("commit", "-qm", "as it is")
    done = released.nbci("run", "pipeline.yaml", "-p", "C=2", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    project = find_project(folder)
    made = promote_run(project, find_run(project, "latest"), Request(), os.environ)
    assert made.commit is not None
    return made.commit


def test_the_projects_own_stages_stay(
    released: Released, stock: Callable[..., str], tmp_path: Path
) -> None:
    own: dict[str, Any] = {
        "vars": [{"depth": 3}],
        "stages": {"train-svm": {"cmd": "echo theirs > theirs.txt", "outs": ["theirs.txt"]}},
        "artifacts": {"other": {"path": "theirs.txt"}},
    }
    (released.project / "dvc.yaml").write_text(yaml.safe_dump(own))
    ignored = released.project / ".gitignore"
    ignored.write_text(ignored.read_text() + "/theirs.txt\n")
    commit = run_and_promote(released, released.project)
    document = yaml.safe_load(released.git("show", f"{commit}:dvc.yaml"))
    assert document["vars"] == own["vars"]
    assert document["stages"]["train-svm"] == own["stages"]["train-svm"]
    assert document["stages"]["train-svm-2"]["outs"] == [MODEL]
    assert set(document["artifacts"]) == {"other", "digits"}
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
    assert (tmp_path / "got").read_text() == "2.0 [1, 2, 3]"


def test_what_was_exported_is_the_releases_own(
    released: Released, stock: Callable[..., str], tmp_path: Path
) -> None:
    done = released.nbci("export", "dvc")
    assert done.returncode == 0, done.stderr
    commit = run_and_promote(released, released.project)
    stages = yaml.safe_load(released.git("show", f"{commit}:dvc.yaml"))["stages"]
    assert set(stages) == {"prepare", "train-svm"}
    assert stages["train-svm"]["outs"] == [MODEL]
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
    assert (tmp_path / "got").read_text() == "2.0 [1, 2, 3]"


def test_a_file_that_something_else_makes_is_refused(released: Released) -> None:
    own = {"stages": {"theirs": {"cmd": "echo 1", "outs": [{MODEL: {"cache": False}}]}}}
    (released.project / "dvc.yaml").write_text(yaml.safe_dump(own))
    with pytest.raises(
        UsageError, match=r"the commit has other content for models/digits model\.bin"
    ):
        run_and_promote(released, released.project)
    assert released.tags() == set()


def test_a_project_in_a_folder_of_its_repository(
    released: Released, stock: Callable[..., str], tmp_path: Path
) -> None:
    repository = tmp_path / "whole"
    shutil.copytree(
        released.project, repository / "ml/digits", ignore=shutil.ignore_patterns(".git", ".dvc")
    )
    shutil.copytree(released.project / ".dvc", repository / ".dvc")
    (repository / "ml/digits/pyproject.toml").write_text("[tool.nbci]\n")
    (repository / "ml/.gitignore").write_text(".nbci\n")
    git = Git(repository)
    git("init", "-q")
    git("remote", "add", "origin", str(released.origin))
    commit = run_and_promote(released, repository / "ml/digits")
    assert released.tags() == {"ml/digits=digits@v1.0.0", "ml/digits=digits#production#1"}
    manifest = read_manifest(git, commit, "ml/digits/")
    assert manifest is not None
    assert manifest.model == "ml/digits:digits"
    best = champion(repository / "ml/digits", "digits", branch="main", stage="production")
    assert best is not None
    assert (best.version, best.metrics) == ("v1.0.0", {"train/svm:accuracy": 0.92})
    stock(
        "dvc",
        "artifacts",
        "get",
        released.origin,
        "ml/digits:digits",
        "-o",
        tmp_path / "got",
        cwd=tmp_path,
    )
    assert (tmp_path / "got").read_text() == "2.0 [1, 2, 3]"
    done = released.nbci(
        "models", "get", "ml/digits:digits", tmp_path / "again", cwd=repository / "ml/digits"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again").read_bytes() == (tmp_path / "got").read_bytes()
    verified = released.nbci("models", "verify", cwd=repository / "ml/digits")
    assert (verified.returncode, verified.stdout) == (0, "1 release is what it says\n"), (
        verified.stderr
    )
