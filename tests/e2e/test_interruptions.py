"""Signals, kills and resuming: nothing is left behind, what was finished is kept."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.e2e.shown import document, failure, results
from tests.support.processes import wait_for, wait_for_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import Popen

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_DEADLINE_SECONDS = 60


def chain(make_notebook: MakeNotebook, *, steps: int = 4) -> Path:
    """Steps that each write a line to `trace` when they run, and hand on a list that grows."""
    first = (
        "step:s0",
        "trace = open('trace', 'a')\nprint('s0', file=trace)\ntrace.close()\ndel trace\nseen = [0]",
    )
    rest = [
        (
            f"step:s{at} prev:s{at - 1}",
            f"seen.append({at})\nwith open('trace', 'a') as file:\n    print('s{at}', file=file)",
        )
        for at in range(1, steps)
    ]
    return make_notebook("chain.ipynb", [first, *rest, ("pipeline-metrics", "count = len(seen)")])


def descendants(process: Popen[str]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_kernel_and_goes_on_later(
    nbci: Console, make_notebook: MakeNotebook, number: signal.Signals
) -> None:
    notebook = make_notebook(
        "slow.ipynb",
        [
            ("step:quick", "done = 41\nopen('quick-ran', 'a').write('x')"),
            (
                "step:slow prev:quick",
                (
                    "import os, time\nprint('I began', flush=True)\n"
                    "open('slow-began', 'w').close()\n"
                    "while not os.path.exists('go'): time.sleep(0.05)"
                ),
            ),
            ("step:last prev:slow", "answer = done + 1"),
            ("pipeline-metrics", "print(answer)"),
        ],
    )
    process = nbci.start("run", notebook, "--json")
    wait_for((nbci.cwd / "slow-began").exists, "the slow step")
    kernels = descendants(process)
    assert kernels
    busy = nbci("run", "--resume", "latest")
    assert busy.returncode == 2
    assert "still going on" in busy.stderr
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does it
    else:
        process.send_signal(number)
    started = time.monotonic()
    stdout, stderr = process.communicate(timeout=_DEADLINE_SECONDS)
    assert process.returncode == 130, stderr
    assert time.monotonic() - started < 20
    assert psutil.wait_procs(kernels, timeout=0)[1] == []
    shown = json.loads(stdout)
    assert shown["result"] == "interrupted"
    assert results(shown) == {"quick": "passed", "slow": "interrupted", "last": "skipped"}
    assert failure(shown, "slow")["kind"] == "interrupted"
    kept = nbci.cwd / ".nbci/runs" / shown["run"] / "steps/slow/notebook.ipynb"
    assert "I began" in kept.read_text(encoding="utf-8")
    (nbci.cwd / "go").touch()
    resumed = document(nbci("run", "--resume", "latest", "--json"))
    assert resumed["run"] == shown["run"]
    assert results(resumed) == {"quick": "passed", "slow": "passed", "last": "passed"}
    assert resumed["metrics"] == {"last:answer": 42.0}
    assert (nbci.cwd / "quick-ran").read_text() == "x"
    assert next(step for step in resumed["steps"] if step["name"] == "slow")["attempts"] == 2


def test_a_second_interrupt_ends_a_kernel_that_does_not_listen(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook(
        "deaf.ipynb",
        [
            (
                "import os, signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                "open('deaf', 'w').close()\n"
                "while True:\n    time.sleep(1)"
            )
        ],
    )
    process = nbci.start("run", notebook)
    wait_for((nbci.cwd / "deaf").exists, "the step")
    kernels = descendants(process)
    process.send_signal(signal.SIGINT)
    wait_for(
        lambda: "interrupted" in (nbci.cwd / _latest(nbci.cwd) / "events.jsonl").read_text(),
        "the first signal",
    )
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=_DEADLINE_SECONDS)
    assert process.returncode == 130
    assert psutil.wait_procs(kernels, timeout=0)[1] == []


def _latest(root: Path) -> Path:
    return max((root / ".nbci/runs").iterdir())


def _killed(nbci: Console, notebook: Path, moment: Callable[[Popen[str]], None]) -> None:
    """Kill the engine with SIGKILL when `moment` returns, and see its kernels end by themselves."""
    process = nbci.start("run", notebook)
    moment(process)
    kernels = descendants(process)
    process.kill()
    process.communicate(timeout=_DEADLINE_SECONDS)
    assert psutil.wait_procs(kernels, timeout=10)[1] == []


def _shown_then_resumed(nbci: Console, steps: int) -> None:
    """After a kill `show` works, and a resume runs each step that had not passed, and no other."""
    trace = nbci.cwd / "trace"
    if not list((nbci.cwd / ".nbci/runs").glob("*/run.json")):
        return  # killed before the run had begun: there is nothing to go on with
    completed = nbci("show", "--json")
    assert completed.returncode == 0, completed.stderr
    shown = document(completed)
    assert shown["result"] in {"interrupted", "passed"}
    passed = {name for name, result in results(shown).items() if result == "passed"}
    text = trace.read_text() if trace.exists() else ""
    assert passed <= set(text.split())
    before = {name: text.split().count(name) for name in passed}
    if shown["result"] == "passed":
        return
    completed = nbci("run", "--resume", shown["run"], "--json")
    resumed = document(completed)
    assert completed.returncode == 0, resumed
    assert set(results(resumed).values()) == {"passed"}
    assert resumed["metrics"] == {f"s{steps - 1}:count": float(steps)}
    after = trace.read_text().split()
    for name in passed:
        assert after.count(name) == before[name] == 1, f"{name} had passed, and ran again"
    assert _sequence(nbci.cwd / ".nbci/runs" / shown["run"] / "events.jsonl")


def _sequence(path: Path) -> bool:
    """Whether every line is whole and the numbers rise."""
    events: list[dict[str, Any]] = [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()
    ]
    numbers = [event["seq"] for event in events]
    return numbers == sorted(set(numbers))


def test_an_engine_killed_between_two_steps(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = chain(make_notebook, steps=3)

    def second_step_began(_: Popen[str]) -> None:
        record = "steps/s0/record.json"
        wait_for(
            lambda: any(
                '"passed"' in p.read_text() for p in nbci.cwd.glob(f".nbci/runs/*/{record}")
            ),
            "step s0",
        )

    _killed(nbci, notebook, second_step_began)
    _shown_then_resumed(nbci, 3)


@pytest.mark.parametrize("seconds", [0.6, 2.2])
def test_an_engine_killed_at_some_moment(
    nbci: Console, make_notebook: MakeNotebook, seconds: float
) -> None:
    notebook = chain(make_notebook, steps=3)
    _killed(nbci, notebook, lambda _: time.sleep(seconds))
    _shown_then_resumed(nbci, 3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(40))
def test_an_engine_killed_at_a_random_moment(
    nbci: Console, make_notebook: MakeNotebook, seed: int
) -> None:
    seconds = random.Random(seed).uniform(0.2, 7)
    notebook = chain(make_notebook)
    _killed(nbci, notebook, lambda _: time.sleep(seconds))
    _shown_then_resumed(nbci, 4)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_a_kernel_killed_at_a_random_moment(
    nbci: Console, make_notebook: MakeNotebook, seed: int
) -> None:
    """The step fails, is tried again, or the kernel had done its work.

    The run is never green without all its steps.
    """
    notebook = chain(make_notebook)
    process = nbci.start("run", notebook, "--json")
    time.sleep(random.Random(seed).uniform(0.5, 6))
    for kernel in descendants(process):
        if "ipykernel" in " ".join(kernel.cmdline()):
            os.kill(kernel.pid, signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=_DEADLINE_SECONDS)
    shown = json.loads(stdout)
    assert process.returncode in {0, 1}, stderr
    assert (shown["result"] == "passed") == (process.returncode == 0)
    if process.returncode == 0:
        assert shown["metrics"] == {"s3:count": 4.0}
    else:
        assert "SIGKILL" in json.dumps(shown)
        resumed = document(nbci("run", "--resume", "latest", "--json"))
        assert resumed["metrics"] == {"s3:count": 4.0}
        assert resumed["result"] == "passed"


def test_steps_whose_zygote_is_killed_are_tried_again(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    """Both steps that go on then lose their kernels.

    Neither is at fault, and no retries are asked for.
    """
    wait = (
        "import os, time\n"
        "with open('began-{0}', 'w') as file: print(os.getppid(), os.getpid(), file=file)\n"
        "while not os.path.exists('go'): time.sleep(.02)"
    )
    notebook = make_notebook(
        "pair.ipynb",
        [
            ("step:a", wait.format("a") + "\nx = 1"),
            ("step:b", wait.format("b")),
            ("step:c prev:a", "y = x + 1"),
        ],
    )
    process = nbci.start("run", notebook, "-j", "2", "--json", env={"NBCI_ZYGOTE": "on"})
    began = [nbci.cwd / "began-a", nbci.cwd / "began-b"]
    wait_for(lambda: all(path.exists() and path.read_text() for path in began), "both steps")
    pids = [[int(pid) for pid in path.read_text().split()] for path in began]
    [zygote] = {parent for parent, _ in pids}
    assert zygote != process.pid
    os.kill(zygote, signal.SIGKILL)
    wait_for_end(*(kernel for _, kernel in pids))  # else one sees `go`, and passes
    (nbci.cwd / "go").touch()
    stdout, stderr = process.communicate(timeout=_DEADLINE_SECONDS)

    assert process.returncode == 0, stderr
    shown = json.loads(stdout)
    assert results(shown) == {"a": "passed", "b": "passed", "c": "passed"}
    assert [step["attempts"] for step in shown["steps"]] == [2, 2, 1]


def test_a_kernel_killed_from_outside(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "victim.ipynb",
        [
            (
                "import os, time\nprint('still here', flush=True)\n"
                "open('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)"
            )
        ],
    )
    process = nbci.start("run", notebook, "--json")
    pid = nbci.cwd / "pid"
    wait_for(lambda: pid.exists() and pid.read_text().isdigit(), "the kernel")
    os.kill(int(pid.read_text()), signal.SIGKILL)
    stdout, _ = process.communicate(timeout=_DEADLINE_SECONDS)
    found = failure(json.loads(stdout), "victim")
    assert process.returncode == 1
    assert found["kind"] == "kernel-died"
    assert found["signal"] == "SIGKILL"
    assert found["cell"] == 1


def test_what_cannot_be_resumed(nbci: Console, make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "broken.ipynb", [("step:a", "x = 1"), ("step:b prev:a", "raise ValueError('no')")]
    )
    assert nbci("run", notebook).returncode == 1
    unchanged = nbci("run", "--resume", "latest", "-p", "x=1")
    assert unchanged.returncode == 2
    unknown = nbci("run", "--resume", "19991231-000000-abcd")
    assert unknown.returncode == 2
    assert "there is no run" in unknown.stderr
    make_notebook("broken.ipynb", [("step:a", "x = 1"), ("step:b prev:a", "x")])
    changed = nbci("run", "--resume", "latest")
    assert changed.returncode == 2
    assert "broken.ipynb" in changed.stderr
    assert "has changed" in changed.stderr
