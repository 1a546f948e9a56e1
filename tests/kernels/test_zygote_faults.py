"""What is killed, broken or in the way while kernels are forked.

No step pays for it, and nothing is left.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nbci.kernels.execute import run_job
from nbci.kernels.private import private_folder, sweep
from nbci.kernels.zygote.spawn import ask
from tests.kernels.real_kernels import Recorder, printed, zygotes
from tests.support.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.kernels.job import JobOutcome, KernelJob
    from nbci.kernels.zygote.zygotes import Zygotes

    MakeJob = Callable[..., KernelJob]

WHO = "import os; print(os.getpid(), os.getppid())"
BUSY = """
import threading
thread = threading.Thread(target=threading.Event().wait, daemon=True)
thread.start()
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder whose modules count as installed."""
    folder = tmp_path / "lib" / "site-packages"
    folder.mkdir(parents=True)
    return folder


def status(place: Path) -> dict[str, Any]:
    [socket] = place.glob("nbci-kernel-*/s")
    return ask(socket.parent, {"do": "status"})


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def series(*jobs: KernelJob) -> tuple[list[JobOutcome], list[str]]:
    async def one_after_another() -> tuple[list[JobOutcome], list[str]]:
        with zygotes() as own:
            return [await run_job(job, Recorder(), own) for job in jobs], own.reasons

    return asyncio.run(one_after_another())


def parent(outcome: JobOutcome) -> int:
    return int(printed(outcome, 0).split()[1])


def test_a_spare_that_dies_while_it_is_handed_over_is_replaced(
    make_job: MakeJob, place: Path
) -> None:
    async def killed_in_between() -> tuple[JobOutcome, int]:
        with zygotes() as own:
            await run_job(make_job(WHO), Recorder(), own)
            await until(lambda: bool(status(place)["spares"]))
            [spare] = status(place)["spares"]
            os.kill(spare, signal.SIGSTOP)  # it does not answer its order
            task = asyncio.ensure_future(run_job(make_job(WHO), Recorder(), own))
            await until(lambda: spare in status(place)["kernels"])
            os.kill(spare, signal.SIGKILL)
            outcome = await task
            assert own.reasons == []
        return outcome, spare

    outcome, spare = asyncio.run(killed_in_between())

    assert outcome.failure is None
    assert int(printed(outcome, 0).split()[0]) != spare
    assert list(place.iterdir()) == []


def test_spares_that_were_killed_are_not_given_out(make_job: MakeJob, place: Path) -> None:
    async def killed_before() -> list[JobOutcome]:
        outcomes = []
        with zygotes() as own:
            for _ in range(4):
                outcomes.append(await run_job(make_job(WHO), Recorder(), own))
                await until(lambda: bool(status(place)["spares"]))
                for spare in status(place)["spares"]:
                    os.kill(spare, signal.SIGKILL)
        return outcomes

    assert [outcome.failure for outcome in asyncio.run(killed_before())] == [None] * 4


def test_new_imports_never_hand_out_a_spare_that_lacks_them(make_job: MakeJob) -> None:
    modules = ["colorsys", "wave", "netrc", "mailbox", "plistlib", "shelve"]
    outcomes, reasons = series(*(make_job(f"{WHO}; import {name}") for name in modules))

    assert [outcome.failure for outcome in outcomes] == [None] * len(modules)
    assert reasons == []


def test_a_python_in_which_no_zygote_comes_up_starts_its_kernels(
    make_job: MakeJob, installed: Path
) -> None:
    text = (
        "import os, sys\nif '-c' in sys.orig_argv and '_nbci_zygote' in sys.orig_argv[-2]: "
        "sys.exit('no zygote here')"
    )
    (installed / "sitecustomize.py").write_text(text)
    env = {"PYTHONPATH": str(installed)}
    outcomes, [reason] = series(make_job(WHO, env=env), make_job(WHO, env=env))

    assert [outcome.failure for outcome in outcomes] == [None, None]
    assert {parent(outcome) for outcome in outcomes} == {os.getpid()}
    assert "no zygote here" in reason


def test_a_package_that_ends_its_process_is_not_imported_ahead(
    make_job: MakeJob, installed: Path
) -> None:
    (installed / "deadly.py").write_text("import os; os._exit(3)")
    env = {"PYTHONPATH": str(installed)}
    outcomes, reasons = series(
        make_job(WHO, "if not os:\n    import deadly", env=env),
        make_job(WHO, "import deadly", env=env),
        make_job(WHO),
    )

    assert reasons == []
    assert outcomes[0].failure is None
    assert parent(outcomes[0]) != os.getpid()
    assert outcomes[1].failure is not None
    assert (outcomes[1].failure.kind, outcomes[1].failure.exit_code) == ("kernel-died", 3)
    assert outcomes[2].failure is None


def test_a_package_that_starts_threads_has_them_in_the_kernel(
    make_job: MakeJob, installed: Path
) -> None:
    (installed / "busy.py").write_text(BUSY)
    env = {"PYTHONPATH": str(installed)}
    source = WHO + "\nimport busy, wave; print(busy.thread.is_alive())"
    outcomes, reasons = series(
        make_job(WHO, env=env), *(make_job(source, env=env) for _ in range(2))
    )

    assert reasons == []
    assert [printed(outcome, 0).split()[2:] for outcome in outcomes] == [[], ["True"], ["True"]]
    assert parent(outcomes[1]) == parent(outcomes[2]) != os.getpid()


ENGINE = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from tests.kernels.real_kernels import *
from nbci.kernels.job import KernelJob
folder = Path({folder!r})
class Says(Recorder):
    def text_printed(self, cell, text, stream): print(text, end='', flush=True)
job = KernelJob(step='s', kernel_name='python3', language='python', notebook_metadata={{}}, \
cwd=folder, project=folder,
    env=dict(os.environ), values_folder=folder / 'v', \
spill_folder=folder / 's', log_path=folder / 'log',
    cells=cells({source!r}, "import time; time.sleep(60)"))
run(job, Says())
"""
LEAVES = """
import os, subprocess
pid = os.fork()
if not pid:
    os.setsid()
    child = subprocess.Popen(['sleep', '300'], env=ENV, start_new_session=True)
    open('daemon', 'w').write(str(child.pid))
    os._exit(0)
os.waitpid(pid, 0)
print(os.getpid(), os.getppid(), open('daemon').read(), flush=True)
"""


@pytest.mark.parametrize(("zygote", "env"), [("on", "{}"), ("off", "None")])
def test_nothing_outlives_an_engine_that_is_killed(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch, zygote: str, env: str
) -> None:
    """A zygote ends its kernels at once.

    Without one, the next run ends what can still be known as a kernel's.
    """
    monkeypatch.setenv("NBCI_ZYGOTE", zygote)
    path = [str(ROOT)]
    script = ENGINE.format(path=path, folder=str(tmp_path), source=LEAVES.replace("ENV", env))
    engine = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    pids = list(map(int, engine.stdout.readline().split()))
    assert all(map(is_alive, pids))
    engine.kill()
    engine.wait()
    engine.stdout.close()
    if zygote == "off":
        asyncio.run(until(lambda: not is_alive(pids[0])))
        assert is_alive(pids[2])
        sweep(str(place))
    asyncio.run(until(lambda: not any(map(is_alive, pids))))

    assert len(pids) == 3
    assert (pids[1] != engine.pid) == (zygote == "on")
    sweep(str(place))
    assert list(place.iterdir()) == []


def test_forked_kernels_are_interrupted(make_job: MakeJob) -> None:
    """By a cell's time-out and by stopping the run.

    For a kernel forked for the step, and for one that was a spare.
    """
    source = (
        "import os, time\nprint(os.getppid(), flush=True)\ntry: time.sleep(60)\n"
        "finally: print('finally')"
    )

    async def stopped(job: KernelJob, own: Zygotes) -> JobOutcome:
        heard = Recorder()
        task = asyncio.ensure_future(run_job(job, heard, own))
        await until(lambda: bool(heard.text))
        task.cancel()
        return await task

    async def each_twice() -> list[JobOutcome]:
        hurried, patient = make_job(source, cell_timeout_seconds=0.5), make_job(source)
        with zygotes() as own:
            timed_out = [await run_job(hurried, Recorder(), own) for _ in range(2)]
            return [*timed_out, *[await stopped(patient, own) for _ in range(2)]]

    outcomes = asyncio.run(each_twice())

    assert [outcome.failure.kind for outcome in outcomes if outcome.failure] == ["timeout"] * 2 + [
        "interrupted"
    ] * 2
    said = [printed(outcome, 0).split() for outcome in outcomes]
    assert {last for _, last in said} == {"finally"}
    assert len({first for first, _ in said} - {str(os.getpid())}) == 1
    assert [
        "KeyboardInterrupt" in str(outcome.notebook["cells"][0]["outputs"]) for outcome in outcomes
    ] == [True] * 4


def test_only_folders_that_nobody_holds_are_swept(place: Path) -> None:
    make = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from nbci.kernels.private import *; "
        "f = private_folder()"
    )
    script = [sys.executable, "-c", f"{make}; print(f.path, flush=True); input()"]
    other = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdin is not None
    theirs = Path(other.stdout.readline().strip())
    ours = private_folder()
    (place / "nbci-kernel-foreign").mkdir(mode=0o755)

    sweep(str(place))
    assert theirs.is_dir()
    other.kill()
    other.wait()
    other.stdin.close()
    other.stdout.close()
    sweep(str(place))
    assert {path.name for path in place.iterdir()} == {ours.path.name, "nbci-kernel-foreign"}
    assert ours.path.stat().st_mode & 0o777 == 0o700
    ours.remove()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_other_users_get_no_answer(make_job: MakeJob, place: Path) -> None:
    ask_it = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(10); "
        "s.connect(sys.argv[1])\n"
        'try: s.sendall(b\'\\0\\0\\0\\x10{"do": "status"}\'); print(s.recv(9))\n'
        "except ConnectionError: print(b'')"
    )

    async def asked_by_another() -> str:
        with zygotes() as own:
            await run_job(make_job(WHO), Recorder(), own)
            [socket] = place.glob("nbci-kernel-*/s")  # noqa: ASYNC240  # nothing waits
            for path in (place, socket.parent, socket):
                path.chmod(0o777)  # as if the folders did not keep others out
            command = ["/usr/bin/python3", "-c", ask_it, str(socket)]
            done = await asyncio.to_thread(
                subprocess.run, command, user=65534, capture_output=True, text=True, check=False
            )
            return done.stdout + done.stderr

    assert asyncio.run(asked_by_another()) == "b''\n"


def test_kernels_that_are_asked_for_while_a_zygote_dies(make_job: MakeJob, place: Path) -> None:
    """Whenever the zygote is killed, the kernels that are wanted come up.

    Only those that it had made end with it.
    """

    async def with_a_killer() -> list[JobOutcome]:
        outcomes: list[JobOutcome] = []
        with zygotes() as own:
            for delay in (0.0, 0.02, 0.3):
                outcomes.append(await run_job(make_job(WHO), Recorder(), own))
                pid = status(place)["pid"]
                os.kill(pid, signal.SIGSTOP)
                task = asyncio.ensure_future(run_job(make_job(WHO), Recorder(), own))
                await asyncio.sleep(delay)  # where in the request this comes must not matter
                os.kill(pid, signal.SIGKILL)
                outcomes.append(await task)
        return outcomes

    assert [outcome.failure for outcome in asyncio.run(with_a_killer())] == [None] * 6
    assert list(place.iterdir()) == []
