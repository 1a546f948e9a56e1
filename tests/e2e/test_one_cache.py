"""Runs and `nbci clean` at work in one cache at once.

No value is lost, and none is half written.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from nbci.config import Project
from nbci.digests import file_digest
from nbci.runs.clean_results import remove_results, unneeded_results
from nbci.store.cache import Cache
from tests.e2e.shown import results
from tests.support.console import Console
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import Popen

_DEADLINE_SECONDS = 60
SOON = time.time() + 86_400  # a day after the tests began, which take less
"""Everything that a test makes is older than this."""
MEET = """
meeting = os.environ["MEETING"]
open(os.path.join(meeting, str(os.getpid())), "w").close()
ends = time.monotonic() + 60
while len(os.listdir(meeting)) < 2 and time.monotonic() < ends: time.sleep(0.01)
assert len(os.listdir(meeting)) == 2
"""
IMPORTS = ("imports", "import os, time, numpy\nfrom pathlib import Path")
MAKE = "big = numpy.arange(5_000_000.0)\nmany = {n: str(n) for n in range(100_000)}"
CHECK = (
    "assert (big == numpy.arange(5_000_000.0)).all() and many == {n: "
    "str(n) for n in range(100_000)}"
)


def wait_for(condition: Callable[[], bool], process: Popen[str]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("difference", ["", "\nown = {name!r}"], ids=["one key", "two keys"])
def test_two_runs_write_one_value_at_once(tmp_path: Path, difference: str) -> None:
    environment = {"NBCI_CACHE": str(tmp_path / "cache"), "MEETING": str(tmp_path / "meeting")}
    (tmp_path / "meeting").mkdir()
    processes = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        cells = [
            IMPORTS,
            ("step:make", MEET + MAKE + difference.format(name=name)),
            ("step:check prev:make", CHECK),
        ]
        write_notebook(tmp_path / name / "n.ipynb", cells)
        processes.append(
            # Else the second would wait for what the first one makes.
            Console(tmp_path / name).start("run", "n.ipynb", "--json", "--force", env=environment)
        )
    said = [process.communicate(timeout=_DEADLINE_SECONDS) for process in processes]

    for process, (stdout, stderr) in zip(processes, said, strict=True):
        assert process.returncode == 0, stdout + stderr
        assert results(json.loads(stdout))["make"] == "passed"
    values = [path for path in Cache(tmp_path / "cache").values.rglob("*") if path.is_file()]
    assert {path.parent.name + path.name: file_digest(path)[0] for path in values} == {
        path.parent.name + path.name: path.parent.name + path.name for path in values
    }
    largest = [path for path in values if path.stat().st_size > 40_000_000]
    assert len(largest) == 1, "one value, one file"


WAIT = """
open("waits", "w").close()
ends = time.monotonic() + 60
while not os.path.exists("go") and time.monotonic() < ends: time.sleep(0.01)
"""


@pytest.mark.parametrize("reused", [False, True], ids=["made in this run", "reused from another"])
def test_clean_takes_nothing_from_a_run_that_goes_on(
    nbci: Console, tmp_path: Path, reused: bool
) -> None:
    environment = {"NBCI_CACHE": str(tmp_path / "cache")}
    make = ("step:make out:made.txt", "Path('made.txt').write_text('made')\n" + MAKE)
    total = f"{CHECK}\ntotal = big[:3].sum() + len(many)"
    last = (
        "step:last prev:sum in:made.txt",
        f"{CHECK}\nassert Path('made.txt').read_text() == 'made'\nend = total",
    )
    metrics = ("pipeline-metrics", "print(end)")
    if reused:
        write_notebook(
            tmp_path / "n.ipynb", [IMPORTS, make, ("step:sum prev:make", total), last, metrics]
        )
        first = nbci("run", "n.ipynb", env=environment)
        assert first.returncode == 0, first.stderr
        (tmp_path / "made.txt").unlink()
    write_notebook(
        tmp_path / "n.ipynb", [IMPORTS, make, ("step:sum prev:make", WAIT + total), last, metrics]
    )
    process = nbci.start("run", "n.ipynb", "--json", env=environment)
    wait_for((tmp_path / "waits").exists, process)

    assert nbci("clean", "--keep", "1", "--cache", "--older", "1s", env=environment).returncode == 0
    cache, project, (run,) = (
        Cache(tmp_path / "cache"),
        Project(root=tmp_path),
        (tmp_path / ".nbci" / "runs").iterdir(),
    )
    remove_results(
        cache, project, (run.name,), SOON
    )  # what `nbci clean` does when all of it is old
    assert not unneeded_results(cache, project, (run.name,), SOON).paths
    (tmp_path / "go").touch()
    stdout, stderr = process.communicate(timeout=_DEADLINE_SECONDS)

    assert process.returncode == 0, stdout + stderr
    shown = json.loads(stdout)
    assert results(shown) == {
        "make": "reused" if reused else "passed",
        "sum": "passed",
        "last": "passed",
    }
    assert shown["metrics"] == {"last:end": 100_003.0}


@pytest.mark.parametrize(
    "keeps_it", [True, False], ids=["a step that reads it", "a step that changes it"]
)
def test_a_run_makes_again_what_was_taken_from_it(
    nbci: Console, tmp_path: Path, keeps_it: bool
) -> None:
    environment = {"NBCI_CACHE": str(tmp_path / "cache")}
    cells = [
        IMPORTS,
        ("step:make", MAKE + "\nother = 'early'"),
        (
            "step:sum prev:make",
            WAIT + CHECK + ("" if keeps_it else "\nbig[:3] = many[0] = 7\nbig[:3] = range(3)"),
        ),
        ("step:last prev:sum", "total = len(many) + len(other)"),
        ("step:end prev:last", "assert big[2] == 2\nend = total"),
        ("pipeline-metrics", "print(end)"),
    ]
    write_notebook(tmp_path / "n.ipynb", cells)
    process = nbci.start("run", "n.ipynb", "--json", env=environment)
    wait_for((tmp_path / "waits").exists, process)
    remove_results(Cache(tmp_path / "cache"), Project(root=tmp_path / "another"), (), SOON)
    assert not [path for path in Cache(tmp_path / "cache").values.rglob("*") if path.is_file()]
    (tmp_path / "go").touch()
    stdout, stderr = process.communicate(timeout=_DEADLINE_SECONDS)

    assert process.returncode == 0, stdout + stderr
    shown = json.loads(stdout)
    assert set(results(shown).values()) == {"passed"}
    assert shown["metrics"] == {"end:end": 100_005.0}
    assert "the value `other` of step make is no longer what it was: make runs again" in stderr


def test_a_value_that_goes_while_its_reader_starts_is_made_again(
    nbci: Console, tmp_path: Path
) -> None:
    environment = {"NBCI_CACHE": str(tmp_path / "cache")}
    removes = (
        "import os, shutil\nif os.environ['NBCI_STEP'] == 'sum' and not os.path.exists('gone'):\n"
        "    open('gone', 'w').close()\n"
        f"    shutil.rmtree({str(Cache(tmp_path / 'cache').values)!r})"
    )
    cells = [
        ("imports", removes),
        ("step:make", "x = list(range(1000))"),
        ("step:sum prev:make", "y = sum(x)"),
        ("step:end prev:sum", "end = y + len(x)"),
        ("pipeline-metrics", "print(end)"),
    ]
    write_notebook(tmp_path / "n.ipynb", cells)
    done = nbci("run", "n.ipynb", "--json", env=environment)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "gone").exists()
    assert json.loads(done.stdout)["metrics"] == {"end:end": 500_500.0}
    assert "the value `x` of step make is no longer what it was: make runs again" in done.stderr
