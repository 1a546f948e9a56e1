"""Several processes on one machine that need the same steps at once: each step runs once."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

from tests.support.processes import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

GRID = ("-s", "x=1,2,3,4", "--method", "grid", "--objective", "loss", "--direction", "minimize")


def make_project(make_notebook: MakeNotebook, outside: Path, load: str = "") -> None:
    """Each step leaves a line outside each time that it runs."""
    note = f"open({str(outside / 'ran')!r}, 'a').write"
    make_notebook(
        "n.ipynb",
        [
            ("parameters", "x = 1"),
            ("step:load cache:enabled", f"{note}('load\\n')\n{load}\ndata = 10"),
            (
                "step:fit cache:enabled",
                f"import time\ntime.sleep(0.2)\n{note}(f'{{x}}\\n')\nloss = data + x",
            ),
            ("metrics", "print(loss)"),
        ],
    )


def ran(outside: Path) -> list[str]:
    return sorted((outside / "ran").read_text().split())


def test_two_sweeps_of_one_space_at_once_compute_no_step_twice(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    make_project(make_notebook, outside, "import time\ntime.sleep(1)")
    command = ("sweep", "n.ipynb", *GRID, "--json")
    processes = [nbci.start(*command, "--parallel", at_once) for at_once in "12"]

    documents: list[dict[str, Any]] = []
    for process in processes:
        out, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
        documents.append(json.loads(out))

    assert ran(outside) == ["1", "2", "3", "4", "load"]
    assert sum(found["computed"]["steps"] for found in documents) == 5
    for found in documents:
        assert [trial["values"] for trial in found["trials"]] == [[11], [12], [13], [14]]


def test_a_run_goes_on_when_the_one_that_it_waits_for_is_killed(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    hang = (
        f"import os, time\nif not os.path.exists({str(outside / 'go')!r}):\n"
        f"    open({str(outside / 'at')!r}, 'w').close()\n    time.sleep(60)"
    )
    make_project(make_notebook, outside, hang)
    first = nbci.start("run", "n.ipynb")
    wait_for((outside / "at").exists, "the first run's step")
    second = nbci.start("run", "n.ipynb", "--json")
    told = second.stderr
    assert told is not None
    wait_for(lambda: "waiting for another process" in told.readline(), "the second run")
    (outside / "go").touch()

    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    second.communicate(timeout=60)

    assert second.returncode == 0
    assert ran(outside) == ["1", "load", "load"]
