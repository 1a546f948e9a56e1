"""Kernels that die, hang, are interrupted or never start.

Each is explained quickly, and no process survives.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from nbci.kernels.execute import run_job
from nbci.kernels.process import KernelProcess
from nbci.kernels.python_kernel import PythonKernel
from nbci.secrets import Mask
from tests.kernels.real_kernels import Recorder, printed, run, run_all
from tests.support.processes import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.kernels.job import JobOutcome, KernelJob

    MakeJob = Callable[..., KernelJob]

STARTS_OTHERS = """
import os, subprocess, sys
child = subprocess.Popen(['sleep', '300'])
daemon = subprocess.Popen(['sleep', '301'], start_new_session=True)
print('pids', os.getpid(), child.pid, daemon.pid, flush=True)
"""
IGNORES_INTERRUPTS = """
import time
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass
"""


def pids_of(text: str) -> list[int]:
    line = next(line for line in text.splitlines() if line.startswith("pids"))
    return [int(word) for word in line.split()[1:]]


def assert_all_gone(text: str) -> None:
    wait_for_end(*pids_of(text))


@pytest.mark.parametrize("zygote", ["on", "off"])
def test_deaths_are_explained_with_what_was_printed(make_job: MakeJob, zygote: str) -> None:
    env = {"NBCI_ZYGOTE": zygote}
    left, killed, crashed = run_all(
        make_job("x = 1", "print('before')\nimport os; os._exit(0)", "print('never')", env=env),
        make_job(
            "print('before')\nimport os, signal; os.kill(os.getpid(), signal.SIGKILL)", env=env
        ),
        make_job(
            (
                "print('before', flush=True)\nimport time; time.sleep(.2)\n"
                "import ctypes; ctypes.string_at(0)"
            ),
            env=env,
        ),
    )

    assert left.failure is not None
    assert (left.failure.kind, left.failure.exit_code, left.failure.cell) == ("kernel-died", 0, 2)
    assert [cell.result for cell in left.cells] == ["passed", "failed", "not run"]
    assert killed.failure is not None
    assert (killed.failure.kind, killed.failure.signal) == ("kernel-died", "SIGKILL")
    assert crashed.failure is not None
    assert crashed.failure.signal == "SIGSEGV"
    assert "Segmentation fault" in (crashed.failure.log or "")
    assert printed(crashed, 0) == "before\n"
    for outcome in (left, killed, crashed):
        nbformat.validate(outcome.notebook)


def test_death_is_noticed_within_a_second(make_job: MakeJob) -> None:
    heard = Recorder()
    started = time.monotonic()
    outcome = run(
        make_job(
            "import os, time\nprint('at', time.monotonic(), flush=True)\ntime.sleep(.3)\n"
            "os._exit(7)"
        ),
        heard,
    )
    seen = time.monotonic()

    assert outcome.failure is not None
    assert outcome.failure.exit_code == 7
    died = float(heard.text.split()[1]) + 0.3
    assert seen - died < 1.0
    assert started < died


@pytest.mark.soak
def test_started_kernels_end_by_themselves(make_job: MakeJob) -> None:
    """ipykernel's shutdown takes ten seconds in about one kernel of a hundred.

    Such a kernel would be killed.
    """

    async def status() -> int:
        process = KernelProcess(make_job(env={"NBCI_ZYGOTE": "off"}), Mask(()), lambda _: None)
        await process.start()
        await PythonKernel(make_job(), process).install()
        assert process.client is not None
        await process.client.execute_interactive("print('x' * 1000)", output_hook=lambda _: None)
        await process.end(5)
        return process.died.result()

    assert [asyncio.run(status()) for _ in range(200)] == [0] * 200


def test_timeouts_name_what_took_too_long(make_job: MakeJob) -> None:
    cell, stubborn, step = run_all(
        make_job(
            "print('on')\nimport time; time.sleep(60)", "print('never')", cell_timeout_seconds=0.5
        ),
        make_job(IGNORES_INTERRUPTS, cell_timeout_seconds=0.5),
        make_job("import time\nfor n in range(600): time.sleep(.1); print(n)", timeout_seconds=4),
    )

    assert cell.failure is not None
    assert (cell.failure.kind, cell.failure.message, cell.failure.cell) == (
        "timeout",
        "cell 1 took longer than 0.5 seconds",
        1,
    )
    assert printed(cell, 0).startswith("on\n")
    assert stubborn.failure is not None
    assert stubborn.failure.kind == "timeout"
    assert step.failure is not None
    assert (step.failure.kind, step.failure.message) == (
        "timeout",
        "the step took longer than 4 seconds",
    )
    assert printed(step, 0).startswith("0\n1\n")


async def cancel_when(
    job: KernelJob, word: str, *, times: int = 1
) -> tuple[JobOutcome, Recorder, float]:
    """Run the job, and cancel it when it has printed `word`.

    Returns the outcome and how long the end took.
    """
    heard = Recorder()
    task = asyncio.ensure_future(run_job(job, heard))
    while word not in heard.text:  # noqa: ASYNC110  # the listener is no coroutine
        await asyncio.sleep(0.01)
    began = time.monotonic()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.05)
    outcome = await task
    return outcome, heard, time.monotonic() - began


def test_cancelling_interrupts_and_leaves_nothing(make_job: MakeJob) -> None:
    job = make_job(STARTS_OTHERS + "import time; time.sleep(60)", "print('never')")
    outcome, heard, took = asyncio.run(cancel_when(job, "pids"))

    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.failure.cell) == ("interrupted", 1)
    assert "pids" in printed(outcome, 0)
    assert took < 5
    assert_all_gone(heard.text)


def test_a_stubborn_kernel_is_killed_in_time_and_at_once_when_asked_twice(
    make_job: MakeJob,
) -> None:
    stubborn = STARTS_OTHERS + IGNORES_INTERRUPTS
    outcome, heard, took = asyncio.run(cancel_when(make_job(stubborn), "pids"))
    assert outcome.failure is not None
    assert outcome.failure.kind == "interrupted"
    assert took < 5
    assert_all_gone(heard.text)

    twice, heard, took = asyncio.run(cancel_when(make_job(stubborn), "pids", times=2))
    assert twice.failure is not None
    assert twice.failure.kind == "interrupted"
    assert took < 1.5
    assert_all_gone(heard.text)


@pytest.mark.parametrize("zygote", ["on", "off"])
def test_a_passed_step_leaves_nothing_behind(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zygote: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    heard = Recorder()
    leaves = "import atexit; atexit.register(lambda: open('said.txt', 'w').write('bye'))"
    job = make_job(STARTS_OTHERS, leaves, env={"NBCI_ZYGOTE": zygote})
    outcome = run(job, heard)

    assert outcome.failure is None
    assert_all_gone(heard.text)
    assert list((tmp_path / "t").iterdir()) == []
    assert (job.cwd / "said.txt").read_text() == "bye"


ENGINE = """
import asyncio, sys
sys.path[:0] = {path!r}
from pathlib import Path
from nbci.kernels.execute import run_job
from nbci.kernels.job import KernelJob, ProgramCell
import os
class Says:
    def cell_started(self, cell, index, total): pass
    def cell_ended(self, cell, run): pass
    def text_printed(self, cell, text, stream): print(text, flush=True)
folder = Path({folder!r})
job = KernelJob(step="s", kernel_name="python3", language="python", notebook_metadata={{}}, \
project=folder, cwd=folder,
    env=dict(os.environ),
    values_folder=folder / "v", spill_folder=folder / "s", log_path=folder / "log",
    cells=(ProgramCell(role="step", number=1, source={source!r}),))
asyncio.run(run_job(job, Says()))
"""


def test_killing_the_engine_ends_the_kernel(tmp_path: Path) -> None:
    source = "import os, time\nprint('pids', os.getpid(), flush=True)\n" + IGNORES_INTERRUPTS
    root = str(Path(__file__).parents[2])
    script = ENGINE.format(path=[root], folder=str(tmp_path), source=source)
    engine = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    said = engine.stdout.readline()
    os.kill(engine.pid, signal.SIGKILL)
    engine.wait()
    engine.stdout.close()

    assert_all_gone(said)


def test_a_kernel_that_does_not_start_is_infrastructure(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, argv in {
        "broken": [
            sys.executable,
            "-c",
            "import sys; sys.exit('no such library')",
            "{connection_file}",
        ],
        "absent": [str(tmp_path / "nosuchprogram"), "{connection_file}"],
    }.items():
        folder = tmp_path / "jupyter" / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(
            json.dumps({"argv": argv, "display_name": name, "language": "python"})
        )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    broken, absent = run_all(
        make_job("1", kernel_name="broken"), make_job("1", kernel_name="absent")
    )

    assert broken.failure is not None
    assert broken.failure.kind == "kernel-start"
    assert "no such library" in (broken.failure.log or "")
    assert [cell.result for cell in broken.cells] == ["not run"]
    assert absent.failure is not None
    assert absent.failure.kind == "kernel-start"
    assert "nosuchprogram" in absent.failure.message
