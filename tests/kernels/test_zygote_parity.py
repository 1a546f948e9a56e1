"""What runs in a forked kernel does what it does in a started one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from jupyter_client.manager import AsyncKernelManager

from nbci.kernels.execute import run_job
from nbci.kernels.zygote.forked import ForkedProcess
from nbci.kernels.zygote.provisioner import ZygoteProvisioner
from tests.kernels.real_kernels import Recorder, printed, zygotes

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.kernels.job import JobOutcome, KernelJob
    from nbci.kernels.zygote.zygotes import Zygotes

    MakeJob = Callable[..., KernelJob]

SURROUNDINGS = """
import gc, locale, logging, os, signal, sys, tempfile, threading, time, warnings
noise = {'NBCI_KERNEL', 'NBCI_ZYGOTE', 'JPY_PARENT_PID', 'PYDEVD_USE_FRAME_EVAL'}
print(sorted((k, v) for k, v in os.environ.items() if k not in noise))
print(sys.path, sys.flags, sys.argv[0].rpartition('/')[2][:16], sys.executable)
print(sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled(), \
gc.get_threshold(), gc.get_freeze_count() >= 0)
print([(n, str(signal.getsignal(n)).partition(' at ')[0]) for n in (2, 13, 15, 17, 25)])
print(os.getcwd() == os.environ['PWD_OF_TEST'], os.umask(0o22), tempfile.gettempdir(), time.tzname)
print(os.getpid() == os.getpgrp() == os.getsid(0))
streams = sys.__stdin__, sys.__stdout__, sys.__stderr__
print(locale.getlocale(), \
[(f.encoding, f.errors, f.line_buffering, f.write_through) for f in streams])
print(sys.getfilesystemencoding(), sys.stdout.encoding)
print(logging.root.level, logging.root.handlers, warnings.filters[:3], \
sys.excepthook.__name__, hash('a'))
config = {name: dict(part) for name, part in get_ipython().config.items()}
print(list(config.pop('IPKernelApp'))[:1], config, \
get_ipython().history_manager.hist_file, sys.argv[1] == '-f')
print(__name__, sorted(n for n in globals() if n.startswith('_')), \
sys.modules['__main__'].__dict__ is globals())
print(sorted(t.name for t in threading.enumerate()), \
threading.current_thread() is threading.main_thread())
"""
MODULES = "import sys\nprint(*sorted(sys.modules))"
PROCESSES = """
import math, multiprocessing, os
for method in ('fork', 'spawn', 'forkserver'):
    with multiprocessing.get_context(method).Pool(2) as pool:
        print(method, pool.map(math.sqrt, [1, 4, 9]))
queue = multiprocessing.get_context('fork').Queue()
process = multiprocessing.get_context('fork').Process(target=lambda: queue.put(os.getppid()))
process.start(); print(queue.get() == os.getpid()); process.join(); print(process.exitcode)
"""
LEARNING = """
import numpy as np
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
X, y = load_iris(return_X_y=True)
scores = [cross_val_score(RandomForestClassifier(5, random_state=0), X, y, \
n_jobs=jobs) for jobs in (1, 2)]
print((scores[0] == scores[1]).all())
a = np.random.RandomState(0).rand(400, 400)
print(np.abs(a @ np.linalg.inv(a) - np.eye(400)).max() < 1e-6, \
RandomForestClassifier(9, n_jobs=2).fit(X, y).n_jobs)
"""
CONSOLE = """
import asyncio, os, subprocess, sys
os.write(1, b'straight to the descriptor\\n')
await asyncio.sleep(0.01)
print(asyncio.get_running_loop().is_running())
!echo from the shell
out = !echo captured
print(out, subprocess.run(['sh', '-c', 'exit 3']).returncode)
%pip --version
%precision 3
%matplotlib --list
print('to the error stream', file=sys.stderr)
"""
SET_BETWEEN_IMPORTS = """
import matplotlib
import numpy as np
np.random.seed(0)
matplotlib.rcParams['backend'] = 'pdf'
import matplotlib.pyplot
from sklearn.model_selection import train_test_split
print(np.random.rand(), matplotlib.rcParams['backend'])
"""
CELLS = {
    "surroundings": SURROUNDINGS,
    "processes": PROCESSES,
    "console": CONSOLE,
    "set between imports": SET_BETWEEN_IMPORTS,
}


def both(make_job: MakeJob, *sources: str, **changes: object) -> tuple[JobOutcome, JobOutcome]:
    """The cells in a forked kernel that had everything imported ahead, and in a started one."""

    async def series() -> tuple[JobOutcome, JobOutcome]:
        job = make_job(*sources, **changes)
        env = {**job.env, "PWD_OF_TEST": str(job.cwd)}
        with zygotes() as own:
            await run_job(
                make_job("1/0", *sources), Recorder(), own
            )  # what is to be imported ahead is known now
            forked = await run_job(make_job(*sources, cwd=job.cwd, env=env), Recorder(), own)
            started = await run_job(
                make_job(*sources, cwd=job.cwd, env={**env, "NBCI_ZYGOTE": "off"}), Recorder(), own
            )
            assert own.reasons == []
        return forked, started

    return asyncio.run(series())


@pytest.mark.parametrize("name", CELLS)
def test_a_forked_kernel_does_what_a_started_one_does(make_job: MakeJob, name: str) -> None:
    forked, started = both(make_job, CELLS[name])

    assert started.failure is None
    assert forked.failure is None
    said = [printed(outcome, 0).splitlines() for outcome in (forked, started)]
    if name == "console":
        said = [
            sorted(lines) for lines in said
        ]  # streams and descriptors are read by threads, in any order
    assert said[0] == said[1]


def test_arguments_that_are_not_the_usual_ones_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCI_ZYGOTE", "on")

    async def shown(zygotes: Zygotes, *arguments: str) -> tuple[bool, str]:
        manager = AsyncKernelManager(kernel_name="python3")
        manager.provisioner = ZygoteProvisioner(kernel_spec=manager.kernel_spec, parent=manager)
        manager.provisioner.zygotes = zygotes
        await manager.start_kernel(extra_arguments=list(arguments))
        client = manager.client()
        client.start_channels()
        seen: list[str] = []
        code = (
            "print(get_ipython().ast_node_interactivity, get_ipython().history_manager.hist_file)"
        )
        await client.execute_interactive(
            code, output_hook=lambda said: seen.append(said["content"].get("text", ""))
        )
        client.stop_channels()
        forked = isinstance(manager.provisioner.process, ForkedProcess)
        await manager.shutdown_kernel(now=True)
        return forked, "".join(seen)

    async def both_kinds() -> list[tuple[bool, str]]:
        with zygotes() as own:
            usual = "--HistoryManager.hist_file=:memory:"
            other = "--InteractiveShell.ast_node_interactivity=all"
            return [await shown(own, usual), await shown(own, usual, other)]

    assert asyncio.run(both_kinds()) == [(True, "last_expr :memory:\n"), (True, "all :memory:\n")]


def test_no_other_modules_are_loaded_than_in_a_started_kernel(make_job: MakeJob) -> None:
    forked, started = both(make_job, MODULES)

    more = set(printed(forked, 0).split()) - set(printed(started, 0).split())
    assert {name for name in more if not name.startswith("_nbci_zygote")} <= {"resource"}


def test_parallel_work_after_the_fork(make_job: MakeJob) -> None:
    """Worker processes of joblib, threads of BLAS, OpenMP and joblib."""

    async def series() -> JobOutcome:
        with zygotes() as own:
            await run_job(make_job("1/0", LEARNING), Recorder(), own)
            return await run_job(make_job(LEARNING), Recorder(), own)

    outcome = asyncio.run(series())

    assert outcome.failure is None
    assert printed(outcome, 0) == "True\nTrue 2\n"
