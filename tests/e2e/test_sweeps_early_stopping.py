"""Trials of a sweep that are worse than others are stopped while they run."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.shown import document
from tests.support.processes import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_PRUNING = """\
params: {x: 1.0}
steps:
  main: {notebook: n.ipynb, params: {x: "${x}"}}
metrics: {loss: {direction: down}}
sweeps:
  best:
    params: {x: [1, 2, 20, 3, 30]}
    objective: main/train:loss
    method: grid
    prune: {on: main/train:val_loss, warmup_trials: 2, warmup_steps: 2, direction: minimize}
    report: "val_loss=([0-9.]+)"
"""
_TRAIN = """\
import os, time
worse = x if x > 9 else 0
if worse:
    open('log.txt', 'w').write('x')
for epoch in range(60 if worse else 3):
    print(f'epoch {epoch} val_loss={worse + 1 / (epoch + 1):.4f}')
    time.sleep(0.05)
loss = x + os.path.exists('log.txt')
"""


def make_project(root: Path, make_notebook: MakeNotebook, train: str = _TRAIN) -> None:
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    (root / "p.yaml").write_text(_PRUNING)
    make_notebook(
        "n.ipynb", [("parameters", "x = 1.0"), ("step:train", train), ("metrics", "print(loss)")]
    )


def trials_of(nbci: Console, *words: str) -> list[dict[str, Any]]:
    done = nbci("sweep", *words, "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["trials"]
    return found


def test_bad_trials_are_pruned_and_are_no_failures(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook)

    trials = trials_of(nbci, "p.yaml", "best")

    states = ["complete", "complete", "pruned", "complete", "pruned"]
    assert [trial["state"] for trial in trials] == states
    # What a stopped trial left undeclared is not there for the next one.
    assert [trial["values"] for trial in trials] == [[1], [2], None, [3], None]
    assert trials[0]["curve"] == [[1, 1], [2, 0.5], [3, 0.3333]]
    for trial in (trials[2], trials[4]):
        assert trial["curve"] == [[1, trial["params"]["x"] + 1], [2, trial["params"]["x"] + 0.5]]
        assert trial["seconds"] < 3
    run = document(nbci("show", trials[4]["run"], "--json"))
    assert run["result"] == "interrupted"
    message = "the sweep stopped this trial: main/train:val_loss was 30.5 at step 2 (median)"
    assert run["failure"]["message"] == message
    assert message in nbci("show", trials[4]["run"]).stdout
    lines = nbci("sweep", "show").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["0", "1", "3", "2", "4"]
    assert "at step 2, main/train:val_loss 20.5" in lines[4]

    # The complete ones are reused, with what they printed, by which the others are stopped again.
    again = trials_of(nbci, "p.yaml", "best")
    assert [trial["reused"]["steps"] for trial in again] == [1, 1, 0, 1, 0]
    seen = ("state", "curve", "values", "params")
    assert [[trial[key] for key in seen] for trial in again] == [
        [trial[key] for key in seen] for trial in trials
    ]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_while_a_trial_is_watched_a_sweep_goes_on(
    nbci: Console, make_notebook: MakeNotebook, outside: Path, how: signal.Signals
) -> None:
    wait = (
        "import os, time\n"
        f"if x == 30 and not os.path.exists({str(outside / 'go')!r}):\n"
        "    print('val_loss=1.0')\n"
        f"    open({str(outside / 'at')!r}, 'w').write('x')\n    time.sleep(60)\n"
    )
    make_project(nbci.cwd, make_notebook, wait + _TRAIN)
    process = nbci.start("sweep", "p.yaml", "best")
    wait_for((outside / "at").exists, "the last trial")

    process.send_signal(how)
    process.communicate(timeout=60)

    before = trials_of(nbci, "show")
    states = [trial["state"] for trial in before]
    assert states == ["complete", "complete", "pruned", "complete", "failed"]
    assert before[4]["interrupted"]
    (outside / "go").write_text("")
    trials = trials_of(nbci, "resume")
    assert trials[:4] == before[:4]
    assert [(trial["state"], trial["params"]["x"]) for trial in trials[4:]] == [
        ("failed", 30),
        ("pruned", 30),
    ]
