"""`nbci step` under SIGTERM, which is all that Jenkins sends: the kernel is ended, what was done is
kept and left.
"""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.console import Console
from tests.support.dvc import make_repository
from tests.support.notebooks import write_notebook
from tests.support.processes import wait_for_end
from tests.support.s3 import Wire, s3_server, s3_settings

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

_STUBBORN = """
import os, signal, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('so far', flush=True)
Path('started').write_text(str(os.getpid()))
while True:
    time.sleep(60)
"""


def test_a_stubborn_kernel_is_ended_and_its_output_is_kept_and_left(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    nbci = Console(tmp_path)
    write_notebook(tmp_path / "n.ipynb", [("step:fails", "raise ValueError('no')")])
    write_notebook(tmp_path / "m.ipynb", [("step:stubborn", _STUBBORN)])
    (tmp_path / "p.yaml").write_text(
        "pipeline: p\nsteps: {n: {notebook: n.ipynb}, m: {notebook: m.ipynb}}\n", encoding="utf-8"
    )
    assert nbci("plan", "p.yaml", "--out", "plan.json").returncode == 0
    assert nbci("step", "--plan", "plan.json", "--store", "store", "--stage", "1").returncode == 1
    process = nbci.start(
        "step", "--plan", "plan.json", "--store", "store", "--stage", "2", "--leave", "left"
    )
    started = tmp_path / "started"
    while not started.exists() or not started.read_text(encoding="utf-8"):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    kernel = int(started.read_text(encoding="utf-8"))
    wait_for_end(kernel)
    record = json.loads(next((tmp_path / "left").rglob("record.json")).read_bytes())
    assert record["attempts"][-1]["failure"]["kind"] == "interrupted"
    assert "so far" in next((tmp_path / "left").rglob("notebook.ipynb")).read_text(encoding="utf-8")
    finished = nbci("finish", "--plan", "plan.json", "--store", "store", "--out", "result")
    assert finished.returncode == 1, finished.stderr
    ending = (tmp_path / "result" / "ending.txt").read_text(encoding="utf-8").splitlines()
    assert ending[0] == "nbci-ending 1"
    assert ending[1].startswith("result\tfailure\tp: failed: step n/fails failed: ValueError: no")
    assert ending[2] == "description\t❌ p: failed, n/fails: ValueError: no"
    stopped = json.loads(
        next((tmp_path / ".nbci/runs").glob("*/steps/m/stubborn/record.json")).read_bytes()
    )
    message = stopped["attempts"][-1]["failure"]["message"]
    assert message == "the step was stopped, since step n/fails failed"
    assert (tmp_path / "result" / "report" / "index.html").exists()
    assert {path.name for path in (tmp_path / "result" / "notebooks").iterdir()} == {
        "n__fails.ipynb",
        "m__stubborn.ipynb",
    }


_FINISHED = ("--plan", "plan.json", "--store", "store", "--out", "result")


def test_a_build_that_is_aborted_has_stopped_its_steps(tmp_path: Path) -> None:
    """A CI sends SIGTERM to the kernel and to nbci at once, and nbci may see the kernel's death
    first.
    """
    (tmp_path / ".git").mkdir()
    nbci = Console(tmp_path)
    cell = (
        "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)"
    )
    write_notebook(tmp_path / "n.ipynb", [("step:train", cell)])
    assert nbci("plan", "n.ipynb", "--out", "plan.json").returncode == 0
    process = nbci.start("step", "--plan", "plan.json", "--store", "store")
    pid = tmp_path / "pid"
    while not pid.exists() or not pid.read_text(encoding="utf-8"):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)

    os.kill(int(pid.read_text(encoding="utf-8")), signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    finished = nbci("finish", *_FINISHED, "--stopped-by", "Aborted by ada")

    assert process.returncode == 130
    assert finished.returncode == 130, finished.stderr
    record = json.loads(
        next((tmp_path / ".nbci/runs").glob("*/steps/train/record.json")).read_bytes()
    )
    failure = record["attempts"][-1]["failure"]
    assert (failure["kind"], failure["message"]) == (
        "interrupted",
        "the step was stopped: Aborted by ada",
    )
    ending = (tmp_path / "result" / "ending.txt").read_text(encoding="utf-8")
    assert "⏹️ n: interrupted" in ending


def test_attempts_that_vanished_with_their_machine_are_counted(tmp_path: Path) -> None:
    nbci = _planned(tmp_path)
    done = nbci("step", "--plan", "plan.json", "--store", "store", "--lost-attempts", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(next((tmp_path / "store").rglob("record.json")).read_bytes())
    assert record["result"] == "passed"
    assert [attempt["result"] for attempt in record["attempts"]] == ["failed", "passed"]
    assert record["attempts"][0]["failure"]["message"] == "the machine that it ran on vanished"


def test_a_build_that_is_aborted_while_it_waits_for_an_agent_is_interrupted(tmp_path: Path) -> None:
    """No step was cut short, and none failed."""
    nbci = _planned(tmp_path)
    finished = nbci("finish", *_FINISHED, "--stopped-by", "Aborted by ada")
    assert finished.returncode == 130, finished.stderr
    assert "\u23f9\ufe0f n: interrupted" in (tmp_path / "result" / "ending.txt").read_text(
        encoding="utf-8"
    )


def test_a_step_whose_machine_vanished_in_every_try_failed_of_it(tmp_path: Path) -> None:
    nbci = _planned(tmp_path)
    finished = nbci("finish", *_FINISHED, "--lost", "1=2")
    assert finished.returncode == 4, finished.stderr
    ending = (tmp_path / "result" / "ending.txt").read_text(encoding="utf-8")
    assert "infrastructure, not the notebook" in ending
    record = json.loads(
        next((tmp_path / ".nbci/runs").glob("*/steps/train/record.json")).read_bytes()
    )
    assert [attempt["failure"]["kind"] for attempt in record["attempts"]] == ["infrastructure"] * 2


@pytest.mark.parametrize("given", ["1", "=2", "a=2", "1=-2"])
def test_lost_stages_are_two_numbers(tmp_path: Path, given: str) -> None:
    refused = _planned(tmp_path)("finish", *_FINISHED, "--lost", given)
    assert refused.returncode == 2
    assert "is not STAGE=TRIES" in refused.stderr


def _planned(folder: Path) -> Console:
    """A project with the plan of one step, which did not run."""
    (folder / ".git").mkdir()
    nbci = Console(folder)
    write_notebook(folder / "n.ipynb", [("step:train", "print(1)")])
    assert nbci("plan", "n.ipynb", "--out", "plan.json").returncode == 0
    return nbci


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A way to an S3 server that may be stopped."""
    with s3_server() as port:
        wire = Wire(port, 1 << 30)
        yield wire
        wire.close()


@pytest.fixture
def shared(tmp_path: Path, wire: Wire) -> Console:
    """A project with a remote at the other end of the wire: two steps, the first of which may go on
    once told so.
    """
    address, settings = s3_settings(wire.port, "team")
    settings = settings.replace("timeout = 5", "timeout = 600")
    make_repository(tmp_path)
    (tmp_path / ".dvc/config").write_text(
        f"['remote \"team\"']\n    url = {address}\n{settings}", encoding="utf-8"
    )
    (tmp_path / "pyproject.toml").write_text(
        '[tool.nbci]\nstore.remote = "team"\n', encoding="utf-8"
    )
    made = (
        "import os, time\nx = 1\nopen('made', 'w').close()\n"
        "while not os.path.exists('go'): time.sleep(0.05)"
    )
    write_notebook(tmp_path / "n.ipynb", [("step:a", made), ("step:b", "print(x)")])
    nbci = Console(tmp_path)
    assert nbci("plan", "n.ipynb", "--out", "plan.json").returncode == 0
    return nbci


def _interrupted(process: subprocess.Popen[str], wire: Wire) -> None:
    """It talks with a remote that answers no more, and ends all the same."""
    assert wire.holds.wait(60)
    process.send_signal(signal.SIGTERM)
    printed = process.communicate(timeout=30)
    assert process.returncode == 130, printed


def test_a_step_is_interrupted_while_its_result_is_sent(shared: Console, wire: Wire) -> None:
    root = shared.cwd
    process = shared.start(
        "step", "--plan", "plan.json", "--store", "store", "--leave", "left", "a"
    )
    while not (root / "made").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    wire.stop()
    (root / "go").touch()
    _interrupted(process, wire)
    record = json.loads(next((root / "left").rglob("record.json")).read_bytes())
    assert record["result"] == "passed"
    assert next(
        (root / "left").rglob("files/blake3/*/*")
    ).is_file()  # others get it without the remote


def test_a_step_is_interrupted_while_it_asks_the_remote(shared: Console, wire: Wire) -> None:
    root = shared.cwd
    wire.stop()
    process = shared.start(
        "step", "--plan", "plan.json", "--store", "store", "--leave", "left", "a"
    )
    _interrupted(process, wire)
    record = json.loads(next((root / "left").rglob("record.json")).read_bytes())
    assert record["attempts"][-1]["failure"]["kind"] == "interrupted"
    assert not (root / "made").exists()
