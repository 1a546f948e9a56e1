"""One piece of code as a build step: where it runs, and what it leaves."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from nbci.errors import UsageError
from nbci.notebook.read import parse_notebook
from nbci.project.sources import read_target

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console


def test_a_notebook_runs_in_another_folder_and_leaves_what_it_showed(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("1,2")
    make_notebook(
        ".nbci/build/step/code.ipynb",
        [
            "from IPython.display import HTML, Image, display",
            (
                "dot = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgAB"
                "SK+kcQAAAABJRU5ErkJggg=='"
            ),
            (
                "import base64; display(HTML(open('rows.csv').read()), "
                "Image(base64.b64decode(dot)), 'a word')"
            ),
        ],
    )
    planned = nbci("plan", ".nbci/build/step/code.ipynb", "--in", ".", "--out", "plan.json")
    assert planned.returncode == 0, planned.stderr
    step = nbci("step", "--plan", "plan.json")
    assert step.returncode == 0, step.stdout
    finish = nbci("finish", "--plan", "plan.json", "--shown", "A task")
    assert finish.returncode == 0, finish.stderr
    assert sorted(path.name for path in (tmp_path / "A task").iterdir()) == ["1.html", "2.png"]
    assert (tmp_path / "A task/1.html").read_text() == "1,2"
    assert (tmp_path / "A task/2.png").read_bytes().startswith(b"\x89PNG")


def test_a_pipeline_says_itself_where_it_runs(make_notebook: MakeNotebook, tmp_path: Path) -> None:
    make_notebook("a.ipynb", ["1"])
    (tmp_path / "pipe.yaml").write_text("steps: {a: {notebook: a.ipynb}}\n")
    with pytest.raises(UsageError, match="`--in` is for notebooks"):
        read_target(str(tmp_path / "pipe.yaml"), str(tmp_path))


@pytest.mark.parametrize(
    ("kernel", "language"),
    [
        ("ir", "r"),
        ("julia-1.10", "julia"),
        ("bash", "bash"),
        ("my-env", "python"),
        ("python3", "python"),
    ],
)
def test_a_kernel_known_by_its_name_only(kernel: str, language: str) -> None:
    document = {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": {"kernelspec": {"name": kernel}},
        "cells": [],
    }
    assert parse_notebook(json.dumps(document).encode(), "a.ipynb").language == language


def test_how_a_build_ends_is_told_in_its_description(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_notebook(
        "a.ipynb", [("parameters", "x = 1"), "assert x < 3", ("pipeline-metrics", "print(x)")]
    )
    (tmp_path / "p.yaml").write_text(
        "params: {x: 1}\nsteps: {a: {notebook: a.ipynb, params: {x: '${x}'}}}\n"
        "gates: [{metric: x, at_most: 1}]\n"
    )
    for value, said in (("2", "⚠️ p: refused, x 2"), ("3", "❌ p: failed, a: AssertionError")):
        assert nbci("plan", "p.yaml", "-p", f"x={value}", "--out", "plan.json").returncode == 0
        nbci("step", "--plan", "plan.json")
        nbci("finish", "--plan", "plan.json", "--out", "out")
        lines = (tmp_path / "out/ending.txt").read_text(encoding="utf-8").splitlines()
        assert (
            next(line for line in lines if line.startswith("description\t"))
            .partition("\t")[2]
            .startswith(said)
        )


def test_what_a_build_shows_is_one_archive_too(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_notebook("größe.ipynb", [("step:one", "x = 1"), ("step:two", "print(x)")])
    assert nbci("plan", "größe.ipynb", "--out", "plan.json").returncode == 0
    assert nbci("step", "--plan", "plan.json").returncode == 0
    for _ in range(2):  # the second time, the folder is there
        assert nbci("finish", "--plan", "plan.json", "--out", "out").returncode == 0
    shown = [
        file
        for folder in ("report", "notebooks")
        for file in (tmp_path / "out" / folder).rglob("*")
    ]
    files = {
        file.relative_to(tmp_path / "out").as_posix(): file.read_bytes()
        for file in shown
        if file.is_file()
    }
    assert {"report/index.html", "notebooks/one.ipynb", "notebooks/two.ipynb"} <= files.keys()
    with zipfile.ZipFile(tmp_path / "out" / "report.zip") as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == files
