"""Two machines with separate checkouts and caches, and one remote.

Each reuses what the other ran.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.console import Console
from tests.support.dvc import make_repository
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

CELLS = [
    ("step:load", "data = list(range(5))"),
    (
        "step:train prev:load out:model.txt",
        "total = sum(data)\nopen('model.txt', 'w').write(str(total))",
    ),
    ("step:use prev:train in:model.txt", "print(total, len(data), open('model.txt').read())"),
]


class Machine:
    """A clone of the project with a cache of its own."""

    def __init__(self, folder: Path, remote: Path) -> None:
        self.root = make_repository(folder / "project")
        self.cache = folder / "cache"
        self.nbci = Console(self.root)
        self.environ: dict[str, str] = {}
        (self.root / ".dvc/config").write_text(f"['remote \"team\"']\n    url = {remote}\n")
        (self.root / "pyproject.toml").write_text('[tool.nbci]\nstore.remote = "team"\n')
        self.write()

    def write(self, last: str = CELLS[-1][1]) -> None:
        write_notebook(self.root / "n.ipynb", [*CELLS[:-1], (CELLS[-1][0], last)])

    def call(self, *arguments: str) -> CompletedProcess[str]:
        return self.nbci(*arguments, env={"NBCI_CACHE": str(self.cache), **self.environ})

    def run(self, *arguments: str, code: int = 0) -> list[str]:
        done = self.call("run", "n.ipynb", "--json", *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        shown: dict[str, Any] = json.loads(done.stdout)
        return [step["result"] for step in shown["steps"]]


def test_a_checkout_brings_what_only_the_remote_has(machines: tuple[Machine, Machine]) -> None:
    one, _ = machines
    one.run()
    one.write("print('another')")
    one.run()
    for place in (one.root / ".dvc/cache", one.cache):
        shutil.rmtree(place)
    (one.root / "model.txt").unlink()
    done = one.call("checkout", "latest", "model.txt")
    assert (done.returncode, (one.root / "model.txt").read_text()) == (0, "10"), done.stderr


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Machine, Machine]:
    """Two of them."""
    return Machine(tmp_path / "one", tmp_path / "remote"), Machine(
        tmp_path / "two", tmp_path / "remote"
    )


def test_each_reuses_what_the_other_ran(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    one, two = machines
    assert one.run() == ["passed", "passed", "passed"]
    two.write("print('changed', total, len(data), open('model.txt').read())")
    assert two.run() == ["reused", "reused", "passed"]
    assert (two.root / "model.txt").read_text() == "10"
    one.write("print('changed', total, len(data), open('model.txt').read())")
    assert one.run() == ["reused", "reused", "reused"]

    # a value altered on the remote: named, exit 5; the next run makes it again
    three = Machine(tmp_path / "three", tmp_path / "remote")
    three.write("print('changed again', total, len(data))")
    for value in (tmp_path / "remote/files/blake3").rglob("*"):
        if value.is_file() and not value.read_bytes().startswith(b"{"):  # those are notebooks
            value.chmod(0o644)
            value.write_bytes(value.read_bytes()[:-1] + b"?")
    done = three.call("run", "n.ipynb")
    assert done.returncode == 5, done.stdout + done.stderr
    assert str(tmp_path / "remote/files/blake3") in done.stdout + done.stderr
    assert three.run() == ["passed", "passed", "passed"]


def test_the_environment_names_the_remote_for_a_project_that_names_none(tmp_path: Path) -> None:
    one, two = Machine(tmp_path / "one", tmp_path / "a"), Machine(tmp_path / "two", tmp_path / "b")
    for machine in (one, two):
        (machine.root / "pyproject.toml").write_text("")
        machine.environ = {"NBCI_STORE_REMOTE": str(tmp_path / "shared")}
    assert one.run() == ["passed", "passed", "passed"]
    assert two.run() == ["reused", "reused", "reused"]

    # what the command line names is used all the same
    assert one.call("push", "--remote", str(tmp_path / "other")).returncode == 0
    assert sorted(path.name for path in (tmp_path / "other/results").iterdir()) == sorted(
        path.name for path in (tmp_path / "shared/results").iterdir()
    )
    assert not (tmp_path / "a").exists()


def test_a_run_gathered_of_reused_steps_has_times_of_its_own(
    machines: tuple[Machine, Machine],
) -> None:
    one, two = machines
    one.run()
    before = json.loads(one.call("show", "--json").stdout)
    assert two.call("plan", "n.ipynb", "--out", "plan.json").returncode == 0
    assert (
        two.call(
            "step", "--plan", "plan.json", "--store", "store", "load", "train", "use"
        ).returncode
        == 0
    )
    gathered = json.loads(
        two.call("finish", "--plan", "plan.json", "--store", "store", "--json").stdout
    )
    assert [step["result"] for step in gathered["steps"]] == ["reused", "reused", "reused"]
    assert gathered["started_utc"] > before["ended_utc"]


def test_without_the_remote_a_run_goes_on_and_push_follows(
    machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    one, two = machines
    (tmp_path / "remote").touch()  # a file in its place: nothing can be written there
    done = one.call("run", "n.ipynb")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "nbci push" in done.stderr
    (tmp_path / "remote").unlink()
    done = one.call("push")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sent ")
    assert one.call("push").stdout.startswith("sent 0 objects")
    assert two.run() == ["reused", "reused", "reused"]
    shutil.rmtree(two.cache)
    done = two.call("pull")
    assert done.returncode == 0, done.stderr
    assert not done.stdout.startswith("brought 0")
    shutil.rmtree(tmp_path / "remote")
    shutil.rmtree(two.root / ".nbci/state")
    assert two.run() == ["reused", "reused", "reused"]
