"""nbclient, papermill and the command line use forked kernels as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
WHO = "import os; print(os.getpid(), os.getppid())"
NBCLIENT = """
import os, sys, nbformat
from nbclient import NotebookClient
for _ in range(2):
    notebook = nbformat.read(sys.argv[1], 4)
    NotebookClient(notebook).execute()
    print(os.getpid(), notebook.cells[0].outputs[0].text.strip())
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which nbci's entry points are installed.

    Its runtime folder has a short path.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = tmp_path / "installed" / "nbci-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: nbci\nVersion: 0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in project["entry-points"].items()
    ]
    (installed / "entry_points.txt").write_text("\n".join(lines))
    with tempfile.TemporaryDirectory(prefix="nbci-test-", dir="/tmp") as runtime:
        path = os.pathsep.join((str(installed.parent), str(ROOT)))
        env = {
            **os.environ,
            "PYTHONPATH": path,
            "XDG_RUNTIME_DIR": runtime,
            "JUPYTER_PREFER_ENV_PATH": "1",
        }
        env.pop("PYTEST_CURRENT_TEST", None)
        yield env


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "n.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(WHO), nbformat.v4.new_code_cell("1 + 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    return path


def call(env: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nbclient_is_given_forked_kernels(environment: dict[str, str], notebook: Path) -> None:
    env = {**environment, "JUPYTER_DEFAULT_PROVISIONER_NAME": "nbci-zygote"}
    first, second = (line.split() for line in call(env, "-c", NBCLIENT, str(notebook)).splitlines())

    assert first[1] != second[1]
    assert first[2] == second[2] != first[0]


def test_papermill_has_the_engine(
    environment: dict[str, str], notebook: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.ipynb"
    call(
        environment,
        "-m",
        "papermill",
        "--engine",
        "nbci",
        "--no-progress-bar",
        str(notebook),
        str(out),
    )

    assert nbformat.read(out, 4).cells[1].outputs[0].data["text/plain"] == "2"


def test_kernels_are_kept_warm_between_commands(
    environment: dict[str, str], notebook: Path, tmp_path: Path
) -> None:
    def kernels(*words: str) -> str:
        return call(environment, "-m", "nbci", "kernels", *words)

    said = json.loads(kernels("start", str(notebook), "--preload", "wave", "--json"))
    out = tmp_path / "out.ipynb"
    call(
        environment,
        "-m",
        "papermill",
        "--engine",
        "nbci",
        "--no-progress-bar",
        str(notebook),
        str(out),
    )
    [status] = json.loads(kernels("status", "--json"))
    shown = kernels("status")
    stopped = json.loads(kernels("stop", "--now", "--json"))

    assert said["preloads"] == ["wave", "os"]
    assert nbformat.read(out, 4).cells[0].outputs[0].text.split()[1] == str(said["pid"])
    assert (status["pid"], status["served"], status["current"]) == (said["pid"], 1, True)
    assert f"pid {said['pid']}" in shown
    assert "imported ahead: wave" in shown
    assert stopped == {"stopped": 1}
    assert "no kernels are kept warm" in kernels("status")
