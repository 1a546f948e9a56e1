"""`nbci init` lays out a project that runs at once, and leaves alone what is there."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.console import Console

OUTPUT = """\
  made        notebooks/first.ipynb
  made        pipelines/first.yaml
  made        pyproject.toml
  added to    .gitignore: .nbci/, .ipynb_checkpoints/

Next:
  cd 'my project'
  nbci run pipelines/first.yaml
  nbci run notebooks/first.ipynb -p dataset=II
  nbci lint
"""


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_new_project_runs_at_once_and_has_nothing_to_say_to_lint(
    nbci: Console, tmp_path: Path
) -> None:
    made = nbci("init", "my project")
    assert (made.returncode, made.stdout, made.stderr) == (0, OUTPUT, "")
    project = tmp_path / "my project"
    ran = nbci("run", "pipelines/first.yaml", "--json", cwd=project)
    assert ran.returncode == 0, ran.stderr
    shown = json.loads(ran.stdout)
    assert [step["result"] for step in shown["steps"]] == ["passed"] * 4
    assert shown["metrics"]["first/judge:r_squared"] == pytest.approx(0.6665, abs=1e-4)
    linted = nbci("lint", "--strict", cwd=project)
    assert (linted.returncode, linted.stdout) == (0, "2 files checked: nothing to say\n")


def test_what_is_there_is_left_alone(nbci: Console, tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "first.ipynb").write_text("mine")
    (tmp_path / ".gitignore").write_text("*.log\n.nbci")
    made = nbci("init")
    assert made.returncode == 0, made.stderr
    assert "left alone  notebooks/first.ipynb" in made.stdout
    assert (tmp_path / "notebooks" / "first.ipynb").read_text() == "mine"
    assert (tmp_path / ".gitignore").read_text() == "*.log\n.nbci\n.ipynb_checkpoints/\n"
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    again = nbci("init")
    assert again.stdout.count("left alone") == 4
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


def test_a_repository_with_files_in_it_becomes_a_project(nbci: Console, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "theirs"\n')
    made = nbci("init")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "pyproject.toml").read_text() == '[project]\nname = "theirs"\n'
    assert nbci("plan", "pipelines/first.yaml").returncode == 0


def test_notebooks_that_are_there_are_found_and_get_no_demo_beside_them(
    nbci: Console, tmp_path: Path
) -> None:
    cells = [
        {"cell_type": "code", "metadata": {"tags": [tag]}, "source": "1"}
        for tag in ("step:a", "step:b", "gpu")
    ]
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "train.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "eda.ipynb").write_text('{"cells": []}')
    (tmp_path / "torn.ipynb").write_text("{")
    (tmp_path / ".venv" / "lib").mkdir(parents=True)
    (tmp_path / ".venv" / "lib" / "theirs.ipynb").write_text("{}")
    made = nbci("init")

    assert made.stdout.splitlines()[:5] == [
        "  found       eda.ipynb: no step tags yet, so it runs as one step",
        "  found       torn.ipynb: it cannot be read as a notebook",
        "  found       work/train.ipynb: 2 steps",
        "  made        pyproject.toml",
        "  added to    .gitignore: .nbci/, .ipynb_checkpoints/",
    ]
    assert made.stdout.endswith("  nbci lint\n  nbci plan eda.ipynb\n  nbci run eda.ipynb\n")
    assert not (tmp_path / "notebooks").exists()


def test_a_folder_whose_project_would_be_another_is_refused(nbci: Console, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "pyproject.toml").write_text('[project]\nname = "theirs"\n')
    refused = nbci("init", "sub")
    assert refused.returncode == 2
    assert f"the root of this folder's project would be {tmp_path}" in refused.stderr
    assert files(tmp_path / "sub") == {"pyproject.toml"}


@pytest.mark.parametrize("folder", ["file", "file/deeper"])
def test_a_file_is_no_folder_to_lay_a_project_out_in(
    nbci: Console, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "file").write_text("mine")
    refused = nbci("init", folder)
    assert refused.returncode == 2
    assert "this is a file, not a folder" in refused.stderr
    assert files(tmp_path) == {"file"}


def test_a_file_in_the_place_of_a_folder_is_refused_before_anything_is_written(
    nbci: Console, tmp_path: Path
) -> None:
    (tmp_path / "pipelines").write_text("mine")
    assert nbci("init").returncode == 2
    assert files(tmp_path) == {"pipelines"}


@pytest.mark.needs("ordinary-user")
def test_a_folder_that_cannot_be_written_is_the_machines_fault(
    nbci: Console, tmp_path: Path
) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused = nbci("init", "locked")
    assert (refused.returncode, refused.stdout) == (4, "")
