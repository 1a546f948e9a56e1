"""A sweep whose trials are carried out on machines that share nothing, as in a CI."""

from __future__ import annotations

import json
import shutil
import signal
from itertools import cycle
from typing import TYPE_CHECKING

from tests.support.console import Console
from tests.support.processes import wait_for

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.conftest import MakeNotebook

_PIPELINE = """\
params: {x: 1, y: 1}
steps:
  main: {notebook: n.ipynb, params: {x: "${x}", y: "${y}"}}
metrics: {loss: {direction: down}}
gates: [{metric: loss, at_most: 100}]
sweeps:
  best:
    params: {x: [1, 2], y: [1, 2]}
    objective: main/fit:loss
    method: grid
"""
_B = ".nbci/b"
"""Where a build has what is its own: nothing there is taken for something that a step uses."""


def make_project(root: Path, make_notebook: MakeNotebook, outside: Path) -> None:
    """Each step leaves a line outside when it has run; that for `x: 2` waits to be let go."""
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    (root / "p.yaml").write_text(_PIPELINE)
    note = (
        f"import os\ndef note(line):\n    open({str(outside / 'ran')!r}, 'a').write(line + '\\n')"
    )
    waits = (
        f"if x == 2 and not os.path.exists({str(outside / 'go')!r}):\n"
        f"    note('at')\n    import time\n    time.sleep(100)\n"
    )
    make_notebook(
        "n.ipynb",
        [
            ("parameters", "x = 1\ny = 1"),
            ("functions", note),
            ("step:load cache:enabled", "data = 10\nnote('load')"),
            ("step:middle cache:enabled", f"{waits}half = data + x\nnote(f'middle {{x}}')"),
            ("step:fit cache:enabled", "loss = half - y\nnote(f'fit {x} {y}')"),
            ("metrics", "print(loss)"),
        ],
    )


class Build:
    """A build: agents, each with a checkout, and what it carries from one to the other."""

    def __init__(self, place: Path, project: Path) -> None:
        self._stashes = place / "stashes"
        self._stashes.mkdir(parents=True)
        self._agents = []
        for name in ("agent1", "agent2"):
            shutil.copytree(project, place / name, ignore=shutil.ignore_patterns(".nbci"))
            self._agents.append(Console(place / name))
        self._turns = cycle(self._agents)
        self.before = place / "before.txt"

    def on_agent(self, *names: str) -> Console:
        """The next agent, with these of what is carried and nothing else of the build."""
        agent = next(self._turns)
        shutil.rmtree(agent.cwd / _B, ignore_errors=True)
        (agent.cwd / _B).mkdir(parents=True)
        for name in names:
            if (self._stashes / name).exists():
                shutil.copytree(self._stashes / name, agent.cwd / _B / name)
        return agent

    def keep(self, agent: Console, name: str) -> None:
        shutil.rmtree(self._stashes / name, ignore_errors=True)
        leave_out = shutil.ignore_patterns("runs", "store")
        shutil.copytree(agent.cwd / _B / name, self._stashes / name, ignore=leave_out)

    def next(self, worker: str) -> list[list[str]]:
        """The lines that nbci answers the worker with, as fields."""
        agent = self.on_agent("state")
        done = agent(
            *("sweep", "next", "p.yaml", "best", "--parallel", "2", "--state", f"{_B}/state"),
            *("--worker", worker, "--before", self.before, "--store", f"{_B}/{worker}/store"),
            *("--out", f"{_B}/{worker}/plan.json", "--leave", f"{_B}/{worker}/left/0"),
        )
        assert done.returncode == 0, done.stderr
        self.keep(agent, "state")
        if (agent.cwd / _B / worker).exists():
            self.keep(agent, worker)
        first, *lines = done.stdout.splitlines()
        assert first == "nbci-plan 1"
        return [line.split("\t") for line in lines]

    def step(self, worker: str) -> None:
        agent = self.on_agent(worker)
        done = agent(*self.step_words(worker))
        assert done.returncode == 0, done.stderr
        self.keep(agent, worker)

    @staticmethod
    def step_words(worker: str) -> tuple[str, ...]:
        return (
            *("step", "--stage", "1", "--plan", f"{_B}/{worker}/plan.json"),
            *("--store", f"{_B}/{worker}/store", "--bring", f"{_B}/{worker}/left"),
            *("--leave", f"{_B}/{worker}/left/1"),
        )

    def tell(self, worker: str, *, is_kept: bool = True) -> CompletedProcess[str]:
        """Where it is not kept, the agent vanishes before the build has what it told."""
        agent = self.on_agent("state", worker)
        done = agent(
            *("sweep", "tell", "--state", f"{_B}/state", "--worker", worker),
            *("--store", f"{_B}/{worker}/store", "--bring", f"{_B}/{worker}/left"),
        )
        assert done.returncode == 0, done.stderr
        if is_kept:
            self.keep(agent, "state")
        return done

    def end(self, *more: str) -> Console:
        agent = self.on_agent("state")
        done = agent(
            *(
                "sweep",
                "end",
                "--state",
                f"{_B}/state",
                "--store",
                f"{_B}/store",
                "--out",
                f"{_B}/plan.json",
            ),
            *(
                "--leave",
                f"{_B}/left/0",
                "--results",
                f"{_B}/result",
                "--carry",
                f"{_B}/carry",
                *more,
            ),
        )
        assert done.returncode == 0, done.stderr
        shutil.copyfile(agent.cwd / f"{_B}/carry", self.before)
        return agent


def test_nothing_is_computed_twice_and_no_finished_trial_is_lost(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    make_project(nbci.cwd, make_notebook, outside)
    ran = outside / "ran"
    build = Build(outside / "build1", nbci.cwd)

    # What no searched parameter reaches is handed out by itself, and the others wait for it.
    assert build.next("1")[0] == ["shared", "0"]
    assert build.next("2") == [["wait", "main/load, which worker 1 computes for trial 0", ""]]
    build.step("1")
    assert build.tell("1").stdout == ""
    # What the two points have in common is computed by the first of them.
    assert build.next("1")[0] == ["trial", "0"]
    assert build.next("2") == [["wait", "main/middle, which worker 1 computes for trial 0", ""]]
    build.step("1")
    build.tell("1", is_kept=False)
    told = build.tell("1").stdout
    assert told.startswith("trial 0: main/fit:loss 10  (x=1, y=1; 3 steps ran, 0 reused")
    trial, _, stage = build.next("2")
    assert (trial, stage[2]) == (
        ["trial", "1"],
        "trial 1: main/load, main/middle, main/fit",
    )
    build.step("2")
    build.tell("2")
    assert ran.read_text().split("\n")[:-1] == ["load", "middle 1", "fit 1 1", "fit 1 2"]

    # An agent that is killed in the middle of a trial, and then the whole build.
    assert build.next("1")[0] == ["trial", "2"]
    process = build.on_agent("1").start(*build.step_words("1"))
    wait_for(lambda: "at" in ran.read_text(), "the step that waits")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert build.next("2")[0][0] == "wait"
    agent = build.end("--stopped")
    trials = json.loads((agent.cwd / f"{_B}/result/trials.json").read_text())["trials"]
    assert [each["state"] for each in trials] == ["complete", "complete", "failed", "failed"]
    (outside / "go").write_text("")
    ran.write_text("")

    # The next one begins with what was interrupted.
    again = Build(outside / "build2", nbci.cwd)
    shutil.copyfile(build.before, again.before)
    for expected in (["shared", "4"], ["trial", "4"], ["trial", "5"]):
        assert again.next("1")[0] == expected
        # Asked once more, since the answer was lost: the same.
        again.step("1")
        again.tell("1")
    assert again.next("1") == [["over", "no further trial is to begin"]]
    assert ran.read_text().split("\n")[:-1] == ["load", "middle 2", "fit 2 1", "fit 2 2"]
    agent = again.end()
    found = json.loads((agent.cwd / f"{_B}/result/trials.json").read_text())
    assert found["trials"][:2] == trials[:2]
    values = [(each["state"], each["params"], each["values"]) for each in found["trials"][4:]]
    assert values == [
        ("complete", {"x": 2, "y": 1}, [11]),
        ("complete", {"x": 2, "y": 2}, [10]),
    ]
    assert found["best"] == 1

    # The best one is a run as any other, which its gates judge.
    words = ("--plan", f"{_B}/plan.json", "--store", f"{_B}/store", "--bring", f"{_B}/left")
    assert agent("step", *words, "--stage", "1").returncode == 0
    done = agent("finish", *words, "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert run["metrics"]["main/fit:loss"] == 9
    assert run["verdict"]["result"] == "passed"


def test_two_builds_share_a_study_and_compute_nothing_twice(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    make_project(nbci.cwd, make_notebook, outside)
    (nbci.cwd / "pyproject.toml").write_text(
        f"[tool.nbci]\nstore.remote = {str(outside / 'remote')!r}\n"
        f"sweep_storage = 'sqlite:///{outside / 'sweeps.sqlite'}'\n"
    )
    pipeline = (nbci.cwd / "p.yaml").read_text()
    (nbci.cwd / "p.yaml").write_text(pipeline.replace("x: [1, 2], y: [1, 2]", "y: [1, 2]"))
    one, other = Build(outside / "build1", nbci.cwd), Build(outside / "build2", nbci.cwd)

    assert one.next("1")[0] == ["shared", "0"]
    ((kind, reason, seconds),) = other.next("1")
    assert (kind, seconds) == ("wait", "20")
    assert reason.startswith("main/load, which sweep ")
    one.step("1")
    one.tell("1")
    # What the other one has computed so far is on the remote; of two, the first trial goes first.
    ((kind, reason, _),) = other.next("1")
    assert (kind, reason.partition(",")[0]) == ("wait", "main/middle")
    assert one.next("1")[0] == ["shared", "0"]
    one.step("1")
    one.tell("1")
    assert one.next("1")[0] == ["trial", "0"]
    assert other.next("1")[0] == ["trial", "1"]
    for build in (one, other):
        build.step("1")
        build.tell("1")
        assert build.next("1")[0][0] == "over"
    ran = (outside / "ran").read_text().split("\n")[:-1]
    assert ran == ["load", "middle 1", "fit 1 1", "fit 1 2"]
    for build in (one, other):
        agent = build.end()
        found = json.loads((agent.cwd / f"{_B}/result/trials.json").read_text())
        assert [each["values"] for each in found["trials"]] == [[10], [9]]
