"""`nbci run --out` hands over what `nbci finish --out` does, however the run ends."""

from __future__ import annotations

import json
import signal
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.console import Console

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook

_FILES = {"report", "notebooks", "report.zip", "ending.txt", "page.json"}


def page_in(folder: Path) -> dict[str, Any]:
    """The page of a build, beside which everything else lies."""
    assert {path.name for path in folder.iterdir()} == _FILES
    assert (folder / "report/index.html").is_file()
    assert (folder / "report/junit.xml").is_file()
    page: dict[str, Any] = json.loads((folder / "page.json").read_bytes())
    return page


def test_a_run_hands_over_all_its_files(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_notebook("a.ipynb", [("step:one", "x = 1"), ("step:two", "print(x)")])
    for reused in (False, True):
        done = nbci("run", "a.ipynb", "--out", "out")
        assert done.returncode == 0, done.stderr
        page = page_in(tmp_path / "out")
        results = {step["result"] for step in page["steps"]}
        assert results == ({"reused"} if reused else {"passed"})
        # Nothing can be asked for later: pages and notebooks of reused steps are there, too.
        with zipfile.ZipFile(tmp_path / "out/report.zip") as packed:
            names = set(packed.namelist())
        assert {"notebooks/two.ipynb", "report/steps/two.html", "report/index.html"} <= names
        assert page["ending"]["result"] == "success"


def test_it_is_the_page_that_finish_hands_over(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_notebook("a.ipynb", [("step:one", "x = 1"), ("step:two", "raise ValueError(x)")])
    assert nbci("run", "a.ipynb", "--out", "one").returncode == 1
    assert nbci("plan", "a.ipynb", "--out", "plan.json").returncode == 0
    assert nbci("step", "--plan", "plan.json", "--store", "store").returncode == 1
    in_parts = ("--plan", "plan.json", "--store", "store")
    assert nbci("finish", *in_parts, "--out", "two").returncode == 1
    one, two = page_in(tmp_path / "one"), page_in(tmp_path / "two")
    assert one["badge"] == {"text": "failed: two", "kind": "bad"}
    for key in ("badge", "failures", "ending", "description", "gates", "models", "parameters"):
        assert one[key] == two[key], key


@pytest.mark.parametrize(
    ("option", "code", "result"), [((), 3, "unstable"), (("--no-gate",), 0, "success")]
)
def test_a_gate_decides_how_the_build_ends(
    nbci: Console,
    make_notebook: MakeNotebook,
    tmp_path: Path,
    option: tuple[str, ...],
    code: int,
    result: str,
) -> None:
    make_notebook("a.ipynb", ["score = 0.5", ("pipeline-metrics", "print(score)")])
    (tmp_path / "p.yaml").write_text(
        "steps: {a: {notebook: a.ipynb}}\ngates: [{metric: score, at_least: 0.9}]\n",
        encoding="utf-8",
    )
    assert nbci("run", "p.yaml", "--out", "out", *option).returncode == code
    page = page_in(tmp_path / "out")
    assert (page["result"], page["ending"]["result"]) == ("refused", result)


def test_what_an_aborted_build_did_is_handed_over(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    cell = "import time; print('so far'); open('started', 'w').close(); time.sleep(60)"
    make_notebook("a.ipynb", [("step:one", "x = 1"), ("step:two", cell)])
    process = nbci.start("run", "a.ipynb", "--out", "out")
    while not (tmp_path / "started").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    page = page_in(tmp_path / "out")
    assert page["badge"] == {"text": "interrupted", "kind": "plain"}
    assert (
        page["ending"]["message"] == "a: interrupted: step two was stopped: the run was interrupted"
    )
    assert [step["result"] for step in page["steps"]] == ["passed", "interrupted"]
    assert "so far" in (tmp_path / "out/report/steps/two.html").read_text(encoding="utf-8")


def test_a_refused_plan_leaves_no_earlier_report(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_notebook("a.ipynb", [("parameters", "x = 1"), ("step:one", "x")])
    assert nbci("run", "a.ipynb", "--out", "out").returncode == 0
    assert nbci("run", "a.ipynb", "--out", "out", "-p", "y=1").returncode == 2
    assert list((tmp_path / "out").iterdir()) == []


def test_notebooks_of_a_user_are_no_build(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_notebook("mine/notebooks/a.ipynb", [("step:one", "x = 1")])
    done = nbci("run", "mine/notebooks/a.ipynb", "--out", "mine")
    assert done.returncode == 2
    assert "this folder has other files: notebooks" in done.stderr
    assert (tmp_path / "mine/notebooks/a.ipynb").is_file()


def test_the_current_folder_is_a_folder_like_others(
    make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_notebook("a.ipynb", [("step:one", "x = 1")])
    here = tmp_path / "here"
    here.mkdir()
    for _ in range(2):
        done = Console(here)("run", "../a.ipynb", "--out", ".")
        assert done.returncode == 0, done.stderr
        page_in(here)


@pytest.mark.parametrize("command", ["run", "finish"])
def test_a_folder_with_other_files_is_refused_and_left_as_it_is(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path, command: str
) -> None:
    make_notebook("a.ipynb", [("step:one", "x = 1")])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    given: tuple[str, ...] = ("a.ipynb",)
    if command == "finish":
        assert nbci("plan", "a.ipynb", "--out", "plan.json").returncode == 0
        assert nbci("step", "--plan", "plan.json", "--store", "store").returncode == 0
        given = ("--plan", "plan.json", "--store", "store")
    for place in ("mine", "mine/notes.txt"):
        done = nbci(command, *given, "--out", place)
        assert done.returncode == 2
        assert place in done.stderr
        assert (tmp_path / "mine/notes.txt").read_text() == "mine"


def test_the_cells_of_a_notebook_run_in_another_folder(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("1,2")
    make_notebook(".nbci/build/step/code.ipynb", ["print(open('rows.csv').read())"])
    for _ in range(2):
        done = nbci("run", ".nbci/build/step/code.ipynb", "--in", ".")
        assert done.returncode == 0, done.stdout + done.stderr
    # In its own folder there is no such file: what ran elsewhere stands for nothing there.
    assert nbci("run", ".nbci/build/step/code.ipynb").returncode == 1
