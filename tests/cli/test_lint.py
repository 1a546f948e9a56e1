"""`nbci lint`: what is checked, how it is shown, and the exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

from nbci.schema import load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

WRONG: list[str | tuple[str, str]] = [
    "print('before')",
    ("imports", "import os"),
    ("step:load retires:2", "rows = (row for row in range(3))\nos.chdir('data')"),
    ("step:train prev:laod", "print(len(rowz))"),
    ("", "if rows\n    pass"),
]
PIPELINE = (
    'params: {C: 1}\nsteps:\n  a:\n    notebook: notebooks/wrong.ipynb\n    deps: ["data/${D}"]\n'
)
TEXT = """\
notebooks/wrong.ipynb
  cell 1: warning: the cell stands before the first tag, so it belongs to no step \
and does not run [cell-before-tags]
    → tag it `imports`, `parameters` or `step:NAME`, or `skip` if it is not meant to run
  cell 3: error: unknown tag 'retires:2' [wrong-tag]
    → did you mean 'retries:2'?
  cell 3, line 2: warning: `os.chdir` changes the folder of step load only, \
not of the steps after it [folder-change]
    → use paths relative to the notebook's folder, or `cwd: project` in the pipeline file
  cell 4: error: prev:laod: there is no such step [wrong-edge]
    → did you mean 'load'?
  cell 4, line 1: error: `rowz` is used by step train and defined nowhere [undefined-name]
    → did you mean `rows`?
  cell 5, line 1: error: the cell is no valid Python: expected ':' [syntax-error]
    → correct the cell, then try again

pipelines/p.yaml
  line 5: error: ${D} names no parameter, in step a [wrong-reference]
    → there are C

2 files checked: 5 errors, 2 warnings
"""


@pytest.fixture
def project(tmp_path: Path, make_notebook: MakeNotebook) -> Path:
    make_notebook("notebooks/wrong.ipynb", WRONG)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "p.yaml").write_text(PIPELINE)
    (tmp_path / "pyproject.toml").write_text("[tool.nbci]\n")
    return tmp_path


def test_all_mistakes_of_a_project_are_told_at_once(nbci: Console, project: Path) -> None:
    checked = nbci("lint", cwd=project / "notebooks")
    assert (checked.returncode, checked.stdout, checked.stderr) == (2, TEXT, "")


def test_the_json_obeys_its_schema_and_its_lines_are_the_files(
    nbci: Console, project: Path
) -> None:
    checked = nbci("lint", "--json")
    assert checked.returncode == 2
    findings = json.loads(checked.stdout)
    assert not list(Draft202012Validator(load("lint")).iter_errors(findings))
    assert len(findings) == 7
    assert nbci("lint", "--format", "json").stdout == checked.stdout
    lines = (project / "notebooks" / "wrong.ipynb").read_text().split("\n")
    undefined = next(finding for finding in findings if finding["rule"] == "undefined-name")
    assert "rowz" in lines[undefined["file_line"] - 1]


def test_the_issues_are_what_jenkins_reads(nbci: Console, project: Path) -> None:
    checked = nbci("lint", "--format", "issues")
    assert checked.returncode == 2
    report = json.loads(checked.stdout)
    assert not list(Draft202012Validator(load("issues")).iter_errors(report))
    assert (report["size"], len(report["issues"])) == (7, 7)
    assert report["issues"][-1] == {
        "fileName": "pipelines/p.yaml",
        "lineStart": 5,
        "lineEnd": 5,
        "columnStart": 12,
        "columnEnd": 12,
        "severity": "ERROR",
        "category": "pipeline",
        "type": "wrong-reference",
        "message": "${D} names no parameter, in step a",
        "description": "there are C",
    }


def test_warnings_alone_are_no_failure_unless_asked_for(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook("a.ipynb", ["1", ("step:a", "2")])
    assert nbci("lint", notebook).returncode == 0
    assert nbci("lint", "--strict", notebook).returncode == 2
    assert "1 file checked: 1 warning\n" in nbci("lint", notebook).stdout


def test_the_samples_have_nothing_to_be_told(nbci: Console) -> None:
    from tests.support.console import ROOT

    checked = nbci("lint", "--strict", cwd=ROOT)
    assert checked.returncode == 0, checked.stdout


def test_only_what_belongs_to_the_project_is_looked_at(
    nbci: Console, tmp_path: Path, make_notebook: MakeNotebook
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.nbci]\n")
    wrong = [("step:a", "print(x)")]
    make_notebook("deep/er/tagged.ipynb", [("step:a", "1")])
    make_notebook("untagged.ipynb", ["print(x)"])
    make_notebook("named.ipynb", ["print(1)"])
    for folder in (".ipynb_checkpoints", ".nbci/runs", "venv", "node_modules"):
        make_notebook(f"{folder}/a.ipynb", wrong)
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "p.yml").write_text("steps:\n  a: {notebook: named.ipynb}\n")
    checked = nbci("lint")
    assert (checked.returncode, checked.stdout) == (0, "3 files checked: nothing to say\n")
    assert nbci("lint", "untagged.ipynb").returncode == 2
    assert nbci("lint", "deep").stdout == "1 file checked: nothing to say\n"


def test_a_notebook_that_was_cut_off_is_not_passed_over(
    nbci: Console, tmp_path: Path, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook("a.ipynb", [("step:a", "1")])
    notebook.write_text(notebook.read_text()[:-20])
    checked = nbci("lint")
    assert checked.returncode == 2
    assert "the file is cut off [unreadable]" in checked.stdout


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere.ipynb", "there is no such file"),
        ("empty", "this folder holds no pipeline and no notebook"),
        ("data.csv", "this is neither a notebook"),
    ],
)
def test_a_target_that_cannot_be_checked_is_wrong_usage(
    nbci: Console, tmp_path: Path, target: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "data.csv").touch()
    checked = nbci("lint", target)
    assert (checked.returncode, checked.stdout) == (2, "")
    assert message in checked.stderr


def test_nothing_to_check_is_wrong_usage(nbci: Console) -> None:
    checked = nbci("lint")
    assert checked.returncode == 2
    assert "there is nothing to check in" in checked.stderr


def test_surrogates_are_shown_and_do_not_end_it(nbci: Console, tmp_path: Path) -> None:
    cell = '{"cell_type": "code", "metadata": {"tags": ["step:a"]}, "source": "x = \\"\\ud800\\""}'
    (tmp_path / "a.ipynb").write_text(f'{{"nbformat": 4, "metadata": {{}}, "cells": [{cell}]}}')
    checked = nbci("lint", "a.ipynb")
    assert (checked.returncode, checked.stderr) == (2, "")
    assert "half a surrogate pair" in checked.stdout


def test_a_folder_that_is_named_is_checked_whole(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    for name, cell in (
        ("tagged", ("step:a", "x = 1")),
        ("plain", ("", "y = 2")),
        ("deep/er", ("", "z = 3")),
    ):
        make_notebook(f"notebooks/{name}.ipynb", [cell])
    assert "3 files checked" in nbci("lint", "notebooks").stdout


def test_a_kernel_that_is_not_here_is_named_before_a_run(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    """In an environment of its own a step runs in whatever kernel that brings."""
    make_notebook("n.ipynb", [("step:a", "x = 1")], kernel="conda-env-churn-py")
    (nbci.cwd / "pipelines").mkdir()
    (nbci.cwd / "requirements.lock").write_text("ipykernel==6\n")
    (nbci.cwd / "pipelines/p.yaml").write_text(
        "steps:\n  a: {notebook: n.ipynb, environment: requirements.lock}\n"
    )
    checked = nbci("lint", "n.ipynb")
    assert checked.returncode == 0
    assert "warning: there is no kernel named `conda-env-churn-py`" in checked.stdout
    assert "`-k python3` runs every step in that one" in checked.stdout
    assert "missing-kernel" not in nbci("lint", "pipelines/p.yaml").stdout
    planned = nbci("plan", "n.ipynb")
    assert planned.returncode == 0
    assert "nbci: warning: n.ipynb: there is no kernel named `conda-env-churn-py`" in planned.stderr
    assert "no kernel named" not in nbci("plan", "n.ipynb", "-k", "python").stderr
    assert "no kernel named" not in nbci("plan", "pipelines/p.yaml").stderr
