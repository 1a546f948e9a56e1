"""Wrong usage and bad input: a clear error, exit code 2, and nothing half-written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_CELLS = [
    ("parameters", "C = 1.0\nname = 'svm'\nnow = str(C)"),
    ("step:load", "x = C"),
    ("step:fit prev:load", "y = x"),
]


def _refused(nbci: Console, *args: str | Path) -> str:
    before = {path for path in nbci.cwd.rglob("*") if path.is_file()}
    completed = nbci("run", *args)
    assert completed.returncode == 2, completed.stdout + completed.stderr
    assert completed.stdout == ""
    assert "Traceback" not in completed.stderr
    assert completed.stderr.startswith("nbci: error: ")
    assert {path for path in nbci.cwd.rglob("*") if path.is_file()} == before
    return completed.stderr


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        ([], ["TARGET"]),
        (["n.ipynb", "-j", "0"], ["at least 1"]),
        (["n.ipynb", "-j", "two"], ["at least 1"]),
        (["n.ipynb", "--jobs", "²"], ["at least 1"]),
        (["."], ["folder", "n.ipynb"]),
        (["absent.ipynb"], ["no such file"]),
        (["n.txt"], [".ipynb", ".yaml"]),
        (["n.ipynb", "-p", "K=1"], ["'K'", "C", "name"]),
        (["n.ipynb", "-p", "nmae=x"], ["nmae", "name"]),
        (["n.ipynb", "-p", "C=much"], ["C", "much"]),
        (["n.ipynb", "-p", "C"], ["C"]),
        (["n.ipynb", "-p", "now=1"], ["now"]),
        (["n.ipynb", "-f", "absent.yaml"], ["absent.yaml"]),
        (["n.ipynb", "-k", "no-such-kernel"], ["no-such-kernel", "python3"]),
        (["n.ipynb", "--only", "ftt"], ["'ftt'", "'fit'"]),
        (["n.ipynb", "--only", "fit"], ["no earlier run", "load"]),
        (["n.ipynb", "--force-step", "ftt"], ["'ftt'", "'fit'"]),
        (["n.ipynb", "--from", "fit", "--until", "load"], ["no step lies between"]),
        (["n.ipynb", "--keep-going", "--fail-fast"], ["not allowed"]),
        (["n.ipynb", "--resume", "latest"], ["either"]),
        (["--resume", "latest"], ["no run"]),
        (["n.ipynb", "--no-such-option"], ["--no-such-option"]),
    ],
)
def test_wrong_usage(
    nbci: Console, make_notebook: MakeNotebook, args: list[str], parts: list[str]
) -> None:
    make_notebook("n.ipynb", _CELLS)
    (nbci.cwd / "n.txt").touch()
    said = _refused(nbci, *args)
    assert all(part in said for part in parts), said


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        ([("step:a step:b", "x = 1")], ["two step names", "cell 1 ('x = 1')"]),
        ([("step:a prev:b", "x = 1"), ("step:b prev:a", "y = 1")], ["cycle", "→"]),
        ([("step:load", "x = 1"), ("step:fit prev:laod", "y = 1")], ["laod", "'load'", "cell 2"]),
        ([("step:a", "fine = 1\nx = (")], ["cell 1", "line 2"]),
        ([("step:a", "x = 1\nprint(y)")], ["`y`", "cell 1"]),
        ([("secret:TOKEN step:a", "x = 1")], ["TOKEN", "environment"]),
        ([("step:a out:../../outside.txt", "x = 1")], ["outside"]),
        ([("step:a out:/etc/passwd", "x = 1")], ["/etc/passwd"]),
    ],
)
def test_bad_notebooks(
    nbci: Console, make_notebook: MakeNotebook, cells: list[tuple[str, str]], parts: list[str]
) -> None:
    said = _refused(nbci, make_notebook("n.ipynb", cells))
    assert all(part in said for part in parts), said


def test_a_notebook_for_a_kernel_that_is_not_there(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    said = _refused(
        nbci, make_notebook("n.ipynb", ["x = 1"], kernel="julia-1.10", language="julia")
    )
    assert "julia-1.10" in said
    assert "python3" in said


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        '{"cells": [',
        "[]",
        '{"nbformat": 5, "cells": []}',
        '{"nbformat": 4, "cells": [{"cell_type": "c"}]}',
    ],
)
def test_what_is_no_notebook(nbci: Console, content: str) -> None:
    (nbci.cwd / "n.ipynb").write_text(content)
    assert "n.ipynb" in _refused(nbci, "n.ipynb")


def test_a_file_outside_the_project(nbci: Console, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/pyproject.toml").write_text("[tool.nbci]\n")
    (tmp_path / "inner/p.yaml").write_text(
        "pipeline: p\nsteps:\n  a: {notebook: ../../secret.ipynb}\n"
    )
    assert "outside" in _refused(nbci, "inner/p.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "pipeline: p\nsteps: &a\n  x: &b [*a]\n",
        "pipeline: p\nsteps: !!python/object/apply:os.system ['touch pwned']\n",
        "a: &a [l,l,l,l,l,l,l,l,l]\n"
        + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n"
            for n in range(9)
        ),
        "pipeline: p\nsteps:\n  a: {notebook: n.ipynb}\n  a: {notebook: n.ipynb}\n",
        "pipeline: p\nsteps:\n  a: {notbook: n.ipynb}\n",
        "pipeline: p\nsteps:\n\ta: 1\n",
    ],
)
def test_bad_pipelines_are_refused_with_their_line(
    nbci: Console, make_notebook: MakeNotebook, text: str
) -> None:
    make_notebook("n.ipynb", ["x = 1"])
    (nbci.cwd / "p.yaml").write_text(text)
    said = _refused(nbci, "p.yaml")
    assert "p.yaml" in said
    assert "line" in said
    assert not (nbci.cwd / "pwned").exists()


def test_unknown_commands_and_help(nbci: Console) -> None:
    assert nbci("rnu").returncode == 2
    assert "nbci run" in nbci("rnu").stderr
    assert nbci("n.ipynb").returncode == 2
    assert nbci("--help").returncode == 0
    assert nbci("run", "--help").returncode == 0
    assert "--keep-going" in nbci("run", "--help").stdout


def test_the_table_of_exit_codes_is_the_one_in_use() -> None:
    from nbci.errors import ExitCode
    from tests.support.console import ROOT

    table: dict[str, Any] = json.loads((ROOT / "schemas/exit-codes.json").read_text())
    assert {row["name"]: row["code"] for row in table["exit_codes"]} == {
        code.name: code.value for code in ExitCode
    }


def test_runs_and_show_without_any_run(nbci: Console) -> None:
    assert nbci("runs").returncode == 0
    shown = nbci("show")
    assert shown.returncode == 2
    assert "there is no run" in shown.stderr


def _project(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_notebook("notebooks/02_train.ipynb", _CELLS)
    (nbci.cwd / "pipelines").mkdir()
    (nbci.cwd / "pipelines/fraud.yaml").write_text(
        "steps: {train: {notebook: notebooks/02_train.ipynb}}\n"
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("fraud", "pipelines/fraud.yaml"),
        ("pipelines/fruad.yaml", "pipelines/fraud.yaml"),
        ("notebooks/02_trian.ipynb", "notebooks/02_train.ipynb"),
        ("02_train", "notebooks/02_train.ipynb"),
        ("zzz", "there are pipelines/fraud.yaml, notebooks/02_train.ipynb"),
    ],
)
def test_a_target_that_is_not_there_is_guessed(
    nbci: Console, make_notebook: MakeNotebook, name: str, meant: str
) -> None:
    _project(nbci, make_notebook)
    assert meant in _refused(nbci, name)
    assert meant in nbci("lint", name).stderr


def test_without_a_target_the_only_pipeline_runs_and_more_are_named(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    _project(nbci, make_notebook)
    (nbci.cwd / "pyproject.toml").write_text("[tool.nbci]\n")
    assert nbci("run").returncode == 0
    (nbci.cwd / "pipelines/other.yaml").write_text(
        "steps: {train: {notebook: notebooks/02_train.ipynb}}\n"
    )
    said = _refused(nbci)
    assert (
        "this project has pipelines/fraud.yaml, pipelines/other.yaml, notebooks/02_train.ipynb"
        in said
    )
    told = nbci("why", "pipelines/fraud.yaml").stdout.splitlines()
    assert [line.partition(", of run")[0] for line in told] == [
        "train/load: reuse",
        "train/fit: reuse",
    ]


def test_a_plan_says_of_every_code_cell_where_it_went(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    cells = [
        ("", "lost = 1"),
        ("", " "),
        ("imports", "import os"),
        ("markdown", "# words"),
        ("parameters", "C = 1"),
        ("step:a", "auc = C"),
        ("metrics", "print(auc)"),
        ("", "print(auc)"),
        ("", "figure = auc"),
        ("skip", "no"),
    ]
    make_notebook("n.ipynb", cells)
    shown = nbci("plan", "n.ipynb").stdout
    assert "cells    cells 6, 9 of n.ipynb" in shown
    assert (
        "other cells of n.ipynb: 1 (not run: stands before the first tag), 2 (not run: "
        "empty), 3 (imports), "
        "5 (parameters), 7 (metrics, at the end of a), 8 (metrics, at the end of a), "
        "10 (not run: tagged `skip`)"
    ) in shown
    plan = json.loads(nbci("plan", "n.ipynb", "--json").stdout)
    placed = {cell["number"] for step in plan["steps"] for cell in step["cells"]}
    assert placed | {out["cell"] for out in plan["left_out"]} == {*range(1, 11)} - {4}


@pytest.mark.parametrize("tag", ["parameters", "imports", "functions", "metrics", "step:b"])
@pytest.mark.parametrize(
    "text", ["x = " + " + ".join(["1"] * 3000), "x = a" + ".b" * 3000, "x = " + "-" * 3000 + "1"]
)
def test_code_that_is_nested_too_deeply_is_no_bug_of_ours(
    nbci: Console, make_notebook: MakeNotebook, tag: str, text: str
) -> None:
    make_notebook("n.ipynb", [("step:a", "a = 1"), (tag, text), ("step:c", "print(1)")])
    refused = nbci("plan", "n.ipynb")
    assert refused.returncode == 2
    assert "nested too deeply" in refused.stderr
    assert "cell 2" in refused.stderr
