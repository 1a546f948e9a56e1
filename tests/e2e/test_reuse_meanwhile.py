"""Files that change during a run, or between a run and its continuation.

Old and new contents are never mixed.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.notebooks import write_notebook
from tests.support.projects import Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAIT = "open('started', 'w').close()\nwhile not os.path.exists('go'):\n    time.sleep(0.02)"
LONGEST_SECONDS = 120


class ChangingProject(Project):
    """A project whose notebook is written by each test."""

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def notebook(self, *cells: tuple[str, str]) -> None:
        write_notebook(self.folder / "n.ipynb", [("imports", "import os, time"), *cells])

    def run(self, *arguments: str) -> tuple[int, str]:
        """The exit code, and what is printed."""
        done = self.nbci("run", "n.ipynb", *arguments, env=self.env)
        return done.returncode, done.stdout + done.stderr

    def results(self) -> dict[str, str]:
        """The result of each step of another run."""
        done = self.nbci("run", "n.ipynb", "--json", env=self.env)
        assert done.returncode == 0, done.stderr
        return {step["name"]: step["result"] for step in json.loads(done.stdout)["steps"]}

    def run_and_meanwhile(self, change: Callable[[ChangingProject], object]) -> str:
        """What a run prints during which something changes, once a step of it waits."""

        def meanwhile() -> None:
            until = time.monotonic() + LONGEST_SECONDS
            while not (self.folder / "started").exists() and time.monotonic() < until:
                time.sleep(0.02)
            change(self)
            self.write("go", "")

        thread = threading.Thread(target=meanwhile)
        thread.start()
        code, said = self.run()
        thread.join()
        assert code == 0, said
        return said


@pytest.fixture
def project(tmp_path: Path) -> ChangingProject:
    """A project with a module, a file of data and a folder."""
    made = ChangingProject(tmp_path / "project", tmp_path / "cache")
    made.write("helper.py", "X = 1\n")
    made.write("d.txt", "1")
    (made.folder / "many").mkdir()
    return made


READ = "import helper\nx = helper.X + int(open('d.txt').read()) + len(os.listdir('many'))"


@pytest.mark.parametrize(
    ("tags", "read", "changed", "new"),
    [
        ("", READ, "helper.py", "X = 2\n"),
        ("", READ, "d.txt", "2"),
        ("", READ, "many/one", ""),
        ("in:d.txt", READ, "d.txt", "2"),
        ("in:d.txt", "x = int(os.popen('cat d.txt').read())", "d.txt", "2"),
        ("cache:enabled", READ, "d.txt", "2"),
    ],
)
def test_what_changes_while_a_step_runs(
    project: ChangingProject, tags: str, read: str, changed: str, new: str
) -> None:
    project.notebook((f"step:a {tags}", f"{read}\n{WAIT}"), ("metrics", "print(x)"))
    said = project.run_and_meanwhile(lambda project: project.write(changed, new))
    label = "many" if changed.startswith("many/") else changed
    assert f"warning: {label} changed while the step ran: the step's result is not kept" in said
    assert project.results() == {"a": "passed"}
    assert project.results() == {"a": "reused"}


@pytest.mark.parametrize(
    "change",
    [
        lambda project: project.write("d.txt", "2"),
        lambda project: (project.folder / "d.txt").unlink(),
        lambda project: project.notebook(("step:a", "x = 5"), ("step:b", f"print(x)\n{WAIT}")),
    ],
)
def test_what_changes_after_its_step_while_the_run_goes_on(
    project: ChangingProject, change: Callable[[ChangingProject], None]
) -> None:
    project.notebook(
        ("step:a", "x = open('d.txt').read() if os.path.exists('d.txt') else 0"), ("step:b", WAIT)
    )
    project.run_and_meanwhile(change)
    assert "nothing has changed" not in project.run()[1]


@pytest.mark.parametrize(
    "rewrite",
    [
        "open('d.txt', 'a').write('1')",
        "open('new', 'w').write('11')\nos.replace('new', 'd.txt')",
        "open('d.txt', 'w').write('11')",
        "!echo 1 >> d.txt",
    ],
)
def test_a_step_that_rewrites_its_input(project: ChangingProject, rewrite: str) -> None:
    project.notebook(
        ("step:a in:d.txt", f"x = len(open('d.txt').read())\n{rewrite}"), ("metrics", "print(x)")
    )
    code, said = project.run()
    assert (code, "warning: " in said, "d.txt" in said, "not kept" in said) == (0, True, True, True)
    project.write("d.txt", "1")
    why = project.nbci("why", "n.ipynb", "a", env=project.env).stdout
    assert "a: run, d.txt changed while it ran, so its result was not kept" in why
    assert project.results() == {"a": "passed"}


def test_what_a_step_wrote_and_is_gone_is_told(project: ChangingProject) -> None:
    project.notebook(("step:a", "open('m.txt', 'w').write('1')"), ("step:b", "print(2)"))
    project.run()
    project.results()
    assert "nothing has changed" in project.run()[1]
    (project.folder / "m.txt").unlink()
    said = project.run()[1]
    assert "step a runs again: m.txt, which it wrote, is gone" in said
    assert (project.folder / "m.txt").exists()


@pytest.mark.parametrize(
    ("name", "text"), [("helper.py", "X = 2\n"), ("d.txt", "2"), ("dep.txt", "2"), ("out.txt", "2")]
)
def test_a_run_does_not_go_on_with_other_files(
    project: ChangingProject, name: str, text: str
) -> None:
    project.write("dep.txt", "1")
    project.notebook(
        (
            "step:a in:dep.txt out:out.txt",
            f"{READ}\nopen('out.txt', 'w').write(open('dep.txt').read())",
        ),
        ("step:b", "open('log', 'w').close()\nassert os.path.exists('fine')"),
    )
    assert project.run()[0] == 1
    (project.folder / "fine").touch()
    before = (project.folder / name).read_text(encoding="utf-8")
    project.write(name, text)
    refused = project.nbci("run", "--resume", "latest", env=project.env)
    assert (refused.returncode, f"{name} has changed since step a used it" in refused.stderr) == (
        2,
        True,
    )
    project.write(name, before)
    assert project.nbci("run", "--resume", "latest", env=project.env).returncode == 0


def test_what_the_run_itself_has_changed_is_no_obstacle_to_going_on(
    project: ChangingProject,
) -> None:
    project.notebook(
        ("step:a", "x = open('d.txt').read()"),
        ("step:b", "x\nopen('d.txt', 'w').write('9')"),
        ("step:c", "assert os.path.exists('fine')"),
    )
    assert project.run()[0] == 1
    (project.folder / "fine").touch()
    assert project.nbci("run", "--resume", "latest", env=project.env).returncode == 0
