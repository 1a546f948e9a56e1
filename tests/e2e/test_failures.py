"""Whatever goes wrong in a cell, the step fails, and the failure names the cell and the line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.e2e.shown import document, failure, results, run_folder

if TYPE_CHECKING:
    from tests.conftest import MakeNotebook
    from tests.support.console import Console

# step: (source, expected kind, expected line in the cell or None, part of the message)
_BAD: Final[dict[str, tuple[str, str, int | None, str]]] = {
    "raises": ("fine = 1\n\nfine / 0", "exception", 3, "ZeroDivisionError"),
    "magic": ("%matplotlib no_such_backend_at_all", "exception", None, "no_such_backend"),
    "unknown_magic": ("x = 1\n%no_such_magic", "exception", None, "no_such_magic"),
    "cell_magic": ("%%bash\nexit 3", "exception", None, "3"),
    "run_script": ("%run script_that_raises.py", "exception", None, "KeyError"),
    "pip": ("%pip install --no-index no-such-distribution-here", "exception", None, ""),
    "shell": ("y = 1\n!exit 7", "exception", 2, "7"),
    "shell_assigned": ("files = !ls /no/such/folder", "exception", 1, ""),
    "exit": ("print('half-way')\nexit()\nprint('never')", "exit", None, "exit()"),
    "sys_exit_zero": ("import sys\nsys.exit(0)", "exit", None, "sys.exit"),
    "dies": ("import os\nos._exit(0)", "kernel-died", None, ""),
    "killed": (
        "import os, signal\nprint('last words', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)",
        "kernel-died",
        None,
        "SIGKILL",
    ),
    "segfault": ("import ctypes\nctypes.string_at(0)", "kernel-died", None, "SIGSEGV"),
    "async_raises": (
        "import asyncio\nawait asyncio.sleep(0)\nraise OSError('lost')",
        "exception",
        3,
        "lost",
    ),
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Console, dict[str, Any]]:
    from tests.support.console import Console
    from tests.support.notebooks import write_notebook

    folder = tmp_path_factory.mktemp("failures")
    (folder / "script_that_raises.py").write_text("{}['absent']\n")
    steps = [(f"step:{name} prev:start", source) for name, (source, *_) in _BAD.items()]
    notebook = write_notebook(folder / "bad.ipynb", [("step:start", "begun = True"), *steps])
    console = Console(folder)
    completed = console("run", notebook, "--keep-going", "--json", "-j", "3")
    assert completed.returncode == 1, completed.stderr
    return console, document(completed)


@pytest.mark.parametrize("step", _BAD)
def test_a_failure_never_looks_green(step: str, shown: tuple[Console, dict[str, Any]]) -> None:
    source, kind, line, part = _BAD[step]
    found = failure(shown[1], step)
    assert found["kind"] == kind, found
    assert found["cell"] == 2 + list(_BAD).index(step)
    assert found["first_line"] == source.splitlines()[0]
    if line is not None:
        assert found.get("line") == line, found
    assert part in found["message"] + found.get("signal", "") + found.get("error", "")


def test_what_failed_is_in_every_view(shown: tuple[Console, dict[str, Any]]) -> None:
    console, run = shown
    text = console("show").stdout
    folder = run_folder(console.cwd, run)
    junit = (folder / "report/junit.xml").read_text(encoding="utf-8")
    summary = (folder / "report/summary.md").read_text(encoding="utf-8")
    page = (folder / "report/index.html").read_text(encoding="utf-8")
    for step in _BAD:
        assert step in text
        assert step in junit
        assert step in summary
        assert step in page
    assert "last words" in (folder / "steps/killed/notebook.ipynb").read_text(encoding="utf-8")
    assert results(run)["start"] == "passed"


def test_allowed_to_fail(nbci: Console, make_notebook: MakeNotebook) -> None:
    """`raises-exception` and `shell_errors: ignore` let a failing cell pass.

    An exception that a forgotten thread raises is a warning.
    """
    make_notebook(
        "lenient.ipynb",
        [
            ("raises-exception", "1 / 0"),
            ("", "!false\nx = !exit 4"),
            (
                "",
                (
                    "import threading\nt = threading.Thread(target=lambda: {}['in a thread'])\n"
                    "t.start(); t.join()"
                ),
            ),
            (
                "",
                (
                    "import asyncio\nasync def lost():\n    raise LookupError('in a task')\n"
                    "task = asyncio.ensure_future(lost())"
                ),
            ),
            ("", "await asyncio.sleep(0.1)\ndel task"),
        ],
    )
    pipeline = nbci.cwd / "lenient.yaml"
    pipeline.write_text(
        "pipeline: lenient\nshell_errors: ignore\nsteps:\n  only: {notebook: lenient.ipynb}\n"
    )
    completed = nbci("run", pipeline, "--json")
    shown = document(completed)
    assert completed.returncode == 0, shown
    warnings = " ".join(shown["warnings"])
    assert "in a thread" in warnings
    assert "in a task" in warnings


def test_a_value_that_cannot_be_saved(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "lock.ipynb",
        [
            ("step:make", "import threading\nguard = threading.Lock()"),
            ("step:use prev:make", "with guard:\n    pass"),
        ],
    )
    completed = nbci("run", notebook, "--json")
    assert completed.returncode == 1
    found = failure(document(completed), "make")
    assert found["kind"] == "unsaveable"
    for part in ("`guard`", "lock", "`make`", "`use`"):
        assert part in found["message"]
    assert found["hint"]


def test_two_branches_that_change_one_value(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "join.ipynb",
        [
            ("step:load", "rows = [1]\nkept = [1]"),
            ("step:left prev:load", "rows = [*rows, 2]\nkept.append(1)"),
            ("step:right prev:load", "rows = [*rows, 3]\nlen(kept)"),
            ("step:join prev:left prev:right", "total = sum(rows) + sum(kept)"),
        ],
    )
    completed = nbci("run", notebook, "--json")
    assert completed.returncode == 1
    shown = document(completed)
    assert any("rows" in warning for warning in shown["warnings"])
    found = failure(shown, "join")
    assert found["kind"] == "join"
    for part in ("`rows`", "`left`", "`right`"):
        assert part in found["message"]


def test_declared_outs_and_metrics_that_do_not_appear(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook(
        "missing.ipynb",
        [
            ("step:a out:made.txt", "open('made.txt', 'w').write('yes')"),
            ("step:b prev:a out:absent.txt", "done = True"),
        ],
    )
    completed = nbci("run", notebook, "--json")
    assert completed.returncode == 1
    shown = document(completed)
    assert results(shown) == {"a": "passed", "b": "failed"}
    assert failure(shown, "b")["kind"] == "missing"
    assert "absent.txt" in failure(shown, "b")["message"]
    make_notebook("plain.ipynb", ["accuracy = 0.5"])
    pipeline = nbci.cwd / "metric.yaml"
    pipeline.write_text(
        "pipeline: metric\nsteps:\n  only: {notebook: plain.ipynb}\n"
        "metrics: {accuracy: {direction: up}}\n"
    )
    completed = nbci("run", pipeline)
    assert completed.returncode == 1
    assert "accuracy" in completed.stdout + completed.stderr


def test_timeouts(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_notebook(
        "slow.ipynb", [("step:slow", "import time\nfor _ in range(600): time.sleep(0.1)")]
    )
    for keys, where in (
        ("timeout: 3s", "steps"),
        ("cell_timeout: 1s", "steps"),
        ("run_timeout: 4s", "top"),
    ):
        step_keys, top_keys = (f", {keys}", "") if where == "steps" else ("", f"{keys}\n")
        pipeline = nbci.cwd / "slow.yaml"
        pipeline.write_text(
            f"pipeline: slow\n{top_keys}steps:\n  s: {{notebook: slow.ipynb{step_keys}}}\n"
        )
        completed = nbci("run", pipeline, "--json", timeout_seconds=60)
        assert completed.returncode == 1, (keys, completed.stderr)
        shown = document(completed)
        assert shown["result"] == "failed"
        found = failure(shown, "s/slow")
        assert found["kind"] == "timeout", (keys, found)
