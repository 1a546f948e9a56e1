"""What has not changed is not run again; what has changed is, and is named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from nbci.store.cache import VALUE_HASH
from tests.support.console import Console
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import MakeNotebook

LOAD = "import helper\ndata = [helper.double(n) for n in range(size)]\nprint('loading')"
TRAIN = "total = sum(data) * weight"
REPORT = "from pathlib import Path\nPath('total.txt').write_text(str(total))"


class Project:
    """A project with a notebook of three steps, a module of its own, and its own cache."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.env = {"NBCI_CACHE": str(cache)}
        self.nbci = Console(folder)
        folder.mkdir()
        subprocess.run(["git", "init", "-q", folder], check=True)
        (folder / "helper.py").write_text("def double(n):\n    return 2 * n\n", encoding="utf-8")
        self.write()

    def write(
        self, *, load: str = LOAD, train: str = TRAIN, report: str = REPORT, tags: str = ""
    ) -> None:
        cells = [
            ("parameters", "size = 4\nweight = 3"),
            (f"step:load {tags}", load),
            ("step:train prev:load", train),
            ("step:report prev:train out:total.txt", report),
        ]
        write_notebook(self.folder / "n.ipynb", cells)

    def run(self, *arguments: str) -> dict[str, str]:
        """The result of each step."""
        done = self.nbci("run", "n.ipynb", "--json", *arguments, env=self.env)
        assert done.returncode == 0, done.stderr
        shown: dict[str, Any] = json.loads(done.stdout)
        return {step["name"]: step["result"] for step in shown["steps"]}

    def why(self, step: str, *arguments: str) -> str:
        done = self.nbci("why", "n.ipynb", step, *arguments, env=self.env)
        assert done.returncode == 0, done.stderr
        return done.stdout


ALL = {"load": "passed", "train": "passed", "report": "passed"}
NONE = {"load": "reused", "train": "reused", "report": "reused"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose pipeline has run once."""
    made = Project(tmp_path / "project", tmp_path / "cache")
    assert made.run() == ALL
    return made


def test_nothing_changed(project: Project) -> None:
    assert project.run() == NONE
    project.write(load=f"# a comment\n{LOAD}  # another")
    assert project.run() == NONE
    assert "reuse" in project.why("train")


def test_a_changed_cell_runs_again_and_what_its_value_changes(project: Project) -> None:
    project.write(load=f"{LOAD}\nprint('the same value')")
    assert project.run() == {"load": "passed", "train": "reused", "report": "reused"}
    project.write(train="total = sum(data) * weight + 1")
    assert "cell 3 changed" in project.why("train")
    assert project.why("report").startswith("report: depends")
    assert project.run() == {"load": "reused", "train": "passed", "report": "passed"}


def test_only_steps_that_name_a_parameter_run_again(project: Project) -> None:
    assert "parameter weight: int 3 → int 5" in project.why("train", "-p", "weight=5")
    assert project.run("-p", "weight=5") == {
        "load": "reused",
        "train": "passed",
        "report": "passed",
    }
    assert project.run() == NONE


def test_a_module_of_the_project_counts(project: Project) -> None:
    (project.folder / "helper.py").write_text(
        "def double(n):\n    return n + n + 1\n", encoding="utf-8"
    )
    assert "module helper.py has changed" in project.why("load")
    assert project.run() == ALL


def test_an_out_is_put_back(project: Project) -> None:
    written = (project.folder / "total.txt").read_text(encoding="utf-8")
    (project.folder / "total.txt").unlink()
    assert project.run() == NONE
    assert (project.folder / "total.txt").read_text(encoding="utf-8") == written == "36"


def test_a_file_that_no_step_declares_counts(project: Project) -> None:
    (project.folder / "limits.txt").write_text("7", encoding="utf-8")
    project.write(train="total = sum(data) * weight + int(open('limits.txt').read())")
    assert project.run()["train"] == "passed"
    assert project.run()["train"] == "reused"
    (project.folder / "limits.txt").write_text("8", encoding="utf-8")
    assert "file limits.txt has changed" in project.why("train")
    assert project.run() == {"load": "reused", "train": "passed", "report": "passed"}


def test_files_of_an_environment_in_the_project_are_packages(project: Project) -> None:
    packages = project.folder / ".venv" / "lib" / "site-packages"
    (packages / "lists").mkdir(parents=True)
    (project.folder / ".venv" / "pyvenv.cfg").touch()
    (packages / "lists" / "numbers.txt").write_text("7", encoding="utf-8")
    lines = (
        f"import sys\nsys.path.append({str(packages)!r})\n"
        f"n = int(open({str(packages / 'lists/numbers.txt')!r}).read())"
    )
    project.write(train=f"{lines}\n{TRAIN}")
    project.run()
    run = json.loads(project.nbci("show", "--json", env=project.env).stdout)["run"]
    record = json.loads(
        (project.folder / ".nbci" / "runs" / run / "steps" / "train" / "record.json").read_bytes()
    )
    assert [
        part["label"] for part in record["observed"] if part["kind"] in ("file", "module")
    ] == []


def test_a_file_written_undeclared_is_said(project: Project) -> None:
    project.write(train=f"open('aside.txt', 'w').write('x')\n{TRAIN}")
    done = project.nbci("run", "n.ipynb", env=project.env)
    assert "the step wrote aside.txt, which it does not declare" in done.stdout


def test_why_a_step_that_failed_runs_again(project: Project) -> None:
    project.write(train="total = sum(data) / 0")
    assert project.nbci("run", "n.ipynb", env=project.env).returncode == 1
    assert project.why("train") == "train: run, it did not pass when it last ran\n"


def test_a_forecast_counts_on_outs_that_will_be_put_back(project: Project) -> None:
    cells = [
        ("parameters", "size = 4\nweight = 3"),
        ("step:load out:made.txt", "open('made.txt', 'w').write(str(size))"),
        ("step:train prev:load in:made.txt", "total = int(open('made.txt').read())\nprint(total)"),
    ]
    write_notebook(project.folder / "n.ipynb", cells)
    assert project.run() == {"load": "passed", "train": "passed"}
    (project.folder / "made.txt").unlink()
    assert project.why("train").startswith("train: reuse, of run ")
    assert project.run("--only", "train") == {"load": "reused", "train": "passed"}
    assert project.run("-p", "size=5") == {"load": "passed", "train": "passed"}
    assert project.why("train").startswith(
        "train: reuse, of run "
    )  # of the first run, though the file is of another
    assert project.run() == {"load": "reused", "train": "reused"}


def test_a_forecast_waits_for_whoever_may_change_what_a_value_refers_to(project: Project) -> None:
    """`report` names neither `train` nor what it changes."""
    (project.folder / "limits.txt").write_text("7", encoding="utf-8")
    cells = [
        ("parameters", "size = 4\nweight = 3"),
        ("imports", "KNOWN = {}"),
        ("step:load", "mine = KNOWN"),
        ("step:train prev:load", "KNOWN['limits'] = open('limits.txt').read()"),
        ("step:report prev:train", "print(mine)"),
    ]
    write_notebook(project.folder / "n.ipynb", cells)
    assert project.why("report") == "report: depends, on what load will come to\n"
    assert project.run() == {"load": "passed", "train": "passed", "report": "passed"}
    (project.folder / "limits.txt").write_text("8", encoding="utf-8")
    assert project.why("load").startswith("load: reuse, of run ")
    assert project.why("report") == "report: depends, on what train will come to\n"


def test_what_cannot_be_remembered_is_no_obstacle_to_looking(project: Project) -> None:
    state = project.folder / ".nbci" / "state"
    shutil.rmtree(state)
    state.touch()
    (project.folder / "helper.py").write_text(
        "def double(n):\n    return n * 2\n", encoding="utf-8"
    )
    assert project.nbci("plan", "n.ipynb", env=project.env).returncode == 0
    assert "module helper.py has changed" in project.why("load")
    assert project.nbci("run", "n.ipynb", env=project.env).returncode == 4


def test_a_cache_that_is_a_file_is_wrong_usage(project: Project) -> None:
    project.env["NBCI_CACHE"] = str(project.folder / "helper.py")
    for command in (
        ["run", "n.ipynb", "-p", "size=8"],
        ["plan", "n.ipynb"],
        ["why", "n.ipynb", "train"],
    ):
        done = project.nbci(*command, env=project.env)
        assert (done.returncode, "helper.py: the cache is no folder" in done.stderr) == (2, True), (
            done.stderr
        )


def test_force(project: Project) -> None:
    assert project.run("--force") == ALL
    assert project.run("--force-step", "train") == {
        "load": "reused",
        "train": "passed",
        "report": "reused",
    }


def test_a_step_may_decline(project: Project) -> None:
    project.write(tags="cache:disabled")
    project.run()
    assert project.run() == {"load": "passed", "train": "reused", "report": "reused"}


def test_a_step_may_decline_again_what_it_asked_for(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    code = "import subprocess\nsubprocess.run(['date'])"
    make_notebook("n.ipynb", [("step:load cache:enabled", code)])
    nbci("run", "n.ipynb")
    make_notebook("n.ipynb", [("step:load", code)])
    done = nbci("why", "n.ipynb", "load")
    assert "run, an earlier result would do only with `cache: enabled` or `deps`" in done.stdout


def test_another_checkout_reuses(project: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other", tmp_path / "cache")
    assert other.run() == NONE
    assert (other.folder / "total.txt").read_text(encoding="utf-8") == "36"


def test_a_pipeline_reuses_the_steps_of_its_notebook_under_its_own_names(project: Project) -> None:
    pipeline = project.folder / "pipelines" / "p.yaml"
    pipeline.parent.mkdir()
    pipeline.write_text("steps: {all: {notebook: n.ipynb}}\n", encoding="utf-8")
    done = project.nbci(
        "run", "pipelines/p.yaml", "--json", "--force-step", "all/train", env=project.env
    )
    assert done.returncode == 0, done.stderr
    results = {step["name"]: step["result"] for step in json.loads(done.stdout)["steps"]}
    assert results == {"all/load": "reused", "all/train": "passed", "all/report": "reused"}


def test_a_damaged_value_is_made_again(project: Project, tmp_path: Path) -> None:
    for value in (tmp_path / "cache" / "files" / VALUE_HASH).rglob("*"):
        if value.is_file():
            value.chmod(0o644)
            value.write_bytes(value.read_bytes()[:-3] + b"???")
    assert project.run() == {"load": "passed", "train": "passed", "report": "reused"}


def change_source(project: Project) -> None:
    project.write(train="total = sum(data) * weight * 2")


def change_module(project: Project) -> None:
    (project.folder / "helper.py").write_text(
        "def double(n):\n    return 2.5 * n\n", encoding="utf-8"
    )


def remove_out(project: Project) -> None:
    (project.folder / "total.txt").unlink()


def damage_the_record(project: Project) -> None:
    newest = max((project.folder / ".nbci/runs").iterdir())
    named = json.loads((newest / "run.json").read_bytes())["same_as"]
    (newest.parent / named / "run.json").write_text("{", encoding="utf-8")


@pytest.mark.parametrize("change", [change_source, change_module, remove_out, damage_the_record])
def test_nothing_to_do_is_told_at_once_and_never_wrongly(
    project: Project, change: Callable[[Project], None]
) -> None:
    quick = until_quick(project)
    assert "3 reused from run" in quick
    listed = json.loads(project.nbci("runs", "--json", env=project.env).stdout)
    assert listed[0]["result"] == "passed"
    shown = json.loads(project.nbci("show", "--json", env=project.env).stdout)
    assert {step["name"]: step["result"] for step in shown["steps"]} == NONE
    change(project)
    done = project.nbci("run", "n.ipynb", env=project.env)
    assert "reused from run" not in done.stdout.splitlines()[0]
    assert (project.folder / "total.txt").exists()
    assert "started" in done.stdout or "nothing that it depends on" in done.stdout


def until_quick(project: Project) -> str:
    """Run until times have settled; what the quick way printed."""
    for _ in range(10):
        done = project.nbci("run", "n.ipynb", env=project.env)
        assert done.returncode == 0, done.stderr
        if "passed in" in done.stdout and "reused from run" in done.stdout.splitlines()[-3]:
            return done.stdout
    raise AssertionError(done.stdout)


def test_clean_leaves_what_is_needed(project: Project, tmp_path: Path) -> None:
    assert (
        project.nbci("run", "n.ipynb", env=project.env).returncode == 0
    )  # nothing to do: it names the first run
    assert project.run("-p", "weight=5")["train"] == "passed"
    runs = project.folder / ".nbci" / "runs"
    oldest, same, newest = sorted(path.name for path in runs.iterdir())

    def clean(*arguments: str) -> list[str]:
        done = project.nbci("clean", *arguments, env=project.env)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    assert clean() == ["removed no run in .nbci/runs", "that freed 0 B"]
    assert clean("--keep", "2") == ["removed no run in .nbci/runs", "that freed 0 B"]
    said = clean("--keep", "1", "--cache", "--older", "1s", "--dry-run")
    assert said[0] == f"would remove 2 runs ({oldest} to {same}) in .nbci/runs"
    assert said[1] == (
        "would remove 0 results, 0 values and notebooks, 0 artifacts, "
        f"0 environments in {tmp_path / 'cache'}"
    )
    assert len(list(runs.iterdir())) == 3
    clean("--keep", "1", "--cache", "--older", "1s")
    assert [path.name for path in runs.iterdir()] == [newest]
    assert project.run() == NONE


def test_what_a_package_reads_when_it_is_imported_counts(tmp_path: Path) -> None:
    """Also in kernels into which it was imported ahead."""
    folder = tmp_path / "plots"
    folder.mkdir()
    source = "import matplotlib\nfrom tqdm import tqdm\nprint(matplotlib.rcParams['figure.dpi'])"
    write_notebook(folder / "n.ipynb", [("step:plot", source)])
    nbci = Console(folder)
    env = {"NBCI_CACHE": str(tmp_path / "cache")}

    def result(**variables: str) -> str:
        done = nbci("run", "n.ipynb", "--json", env={**env, **variables})
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["steps"][0]["result"])

    assert [result(), result()] == ["passed", "reused"]
    (folder / "matplotlibrc").write_text("figure.dpi: 111\n")
    assert [result(), result()] == ["passed", "reused"]
    (folder / "matplotlibrc").write_text("figure.dpi: 112\n")
    assert [result(), result(TQDM_DISABLE="1")] == ["passed", "passed"]


def test_another_interpreter_under_the_same_kernel_runs_again(
    nbci: Console, tmp_path: Path
) -> None:
    """The same project may be run from another environment.

    What is installed there may be something else.
    """
    write_notebook(tmp_path / "n.ipynb", ["import sys", "print(sys.executable)"])
    other = tmp_path / "other-python"
    other.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    other.chmod(0o755)
    specification = tmp_path / "jupyter/kernels/python3/kernel.json"
    specification.parent.mkdir(parents=True)
    env = {"JUPYTER_PATH": str(tmp_path / "jupyter")}
    found = []

    for program in (sys.executable, sys.executable, str(other)):
        argv = [program, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        document = json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"})
        if not specification.exists() or specification.read_text(encoding="utf-8") != document:
            specification.write_text(document, encoding="utf-8")
        done = nbci("run", "n.ipynb", env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        found.append("reused" in done.stdout)

    assert found == [False, True, False]
