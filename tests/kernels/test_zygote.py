"""Forked kernels: what they share with started ones, who ends them, and what is never forked."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nbci.kernels.execute import run_job
from nbci.kernels.zygote import home, warm
from nbci.kernels.zygote.imports import imports_of
from nbci.kernels.zygote.key import import_time_environment, ipykernel_command, key_of
from tests.kernels.real_kernels import Recorder, printed, zygotes
from tests.support.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbci.kernels.job import JobOutcome, KernelJob

    MakeJob = Callable[..., KernelJob]

WHO = "import os; print(os.getpid(), os.getppid())"
SEEN = """
import os, random, sys
import numpy as np
print(np.random.rand(), random.random(), os.getcwd() == sys.argv[-1], 'pandas' in sys.modules, \
os.environ.get('MINE'))
print(sorted(n for n in globals() if not n.startswith('_')))
"""


def one_after_another(*jobs: KernelJob) -> tuple[list[JobOutcome], list[str]]:
    """Run jobs in kernels of the same zygotes.

    Returns their outcomes, and why kernels were started instead.
    """

    async def series() -> tuple[list[JobOutcome], list[str]]:
        with zygotes() as own:
            return [await run_job(job, Recorder(), own) for job in jobs], own.reasons

    return asyncio.run(series())


def parents(outcomes: list[JobOutcome]) -> set[int]:
    return {int(printed(outcome, 0).split()[1]) for outcome in outcomes}


def test_kernels_have_one_parent_that_is_not_this_process(make_job: MakeJob) -> None:
    outcomes, reasons = one_after_another(make_job(WHO), make_job(WHO), make_job(WHO))

    assert reasons == []
    assert [outcome.failure for outcome in outcomes] == [None] * 3
    assert len(parents(outcomes)) == 1
    assert parents(outcomes) != {os.getpid()}
    assert not any(is_alive(pid) for pid in parents(outcomes))


def test_each_kernel_is_as_if_started_for_itself(make_job: MakeJob) -> None:
    jobs = [
        make_job("import pandas"),
        *(make_job(SEEN, env={"MINE": str(number)}) for number in range(3)),
    ]
    (_, *outcomes), reasons = one_after_another(*jobs)

    assert reasons == []
    said = [printed(outcome, 0).splitlines() for outcome in outcomes]
    assert len({line.split()[0] for line, _ in said}) == 3, "numpy's generator is seeded anew"
    assert len({line.split()[1] for line, _ in said}) == 3, (
        "the generator of `random` is seeded anew"
    )
    assert [line.split()[3:] for line, _ in said] == [["False", str(number)] for number in range(3)]
    assert {names for _, names in said} == {said[0][1]}


def test_the_distributions_of_a_step_are_what_it_imported_itself(make_job: MakeJob) -> None:
    jobs = [
        make_job("import pandas"),
        make_job("import numpy"),
        make_job("import pandas"),
        make_job("1"),
    ]
    (*outcomes, empty), _ = one_after_another(*jobs)

    seen = [set(outcome.distributions or ()) for outcome in outcomes]
    assert seen[0] == seen[2] > {"pandas", "numpy"}
    assert seen[1] == {"numpy"}
    assert empty.distributions == {}


def test_what_compiled_modules_import_comes_back_with_them_alone(make_job: MakeJob) -> None:
    (drawn, read), _ = one_after_another(
        make_job("import matplotlib.pyplot"), make_job("import sklearn.svm")
    )
    assert {"matplotlib", "kiwisolver"} <= set(drawn.distributions or ())
    assert {"matplotlib", "kiwisolver"} & set(read.distributions or ()) == set()


def test_code_of_the_project_is_never_imported_ahead(make_job: MakeJob) -> None:
    jobs = [
        make_job("import mine; print(mine.x)"),
        make_job("import mine; print(mine.x)"),
        make_job("import threadpoolctl"),
    ]
    for number, job in enumerate(jobs):
        (job.cwd / "mine.py").write_text(f"x = {number}")
    shadowed = make_job("import threadpoolctl; print(threadpoolctl.x)")
    (shadowed.cwd / "threadpoolctl.py").write_text("x = 'own'")

    (first, second, _, own), _ = one_after_another(*jobs, shadowed)

    assert [printed(outcome, 0) for outcome in (first, second, own)] == ["0\n", "1\n", "own\n"]


def test_plots_and_progress_know_that_they_are_in_a_kernel(make_job: MakeJob) -> None:
    source = (
        "import matplotlib.pyplot as plt, pandas\nplt.plot([1, 2])\n"
        "print(pandas.get_option('display.max_columns'))"
    )
    (_, outcome), reasons = one_after_another(make_job(source), make_job(source))

    assert reasons == []
    shown = [list(output.get("data", ())) for output in outcome.notebook["cells"][0]["outputs"]]
    assert any("image/png" in kinds for kinds in shown)
    assert printed(outcome, 0) == "20\n"


def test_what_a_kernel_leaves_open_is_written_at_its_end(make_job: MakeJob) -> None:
    job = make_job(
        "f = open('left.txt', 'w'); f.write('all of it')\nclass D:\n"
        "  def __del__(self): open('d','w')\nd = D()"
    )
    one_after_another(job)

    assert (job.cwd / "left.txt").read_text() == "all of it"
    assert (job.cwd / "d").exists()


def test_other_kernels_and_those_who_decline_are_started(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "jupyter" / "kernels" / "other"
    folder.mkdir(parents=True)
    start = "from ipykernel.kernelapp import launch_new_instance as go; go()"
    argv = [sys.executable, "-c", start, "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "o", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    outcomes, reasons = one_after_another(
        make_job(WHO, kernel_name="other"), make_job(WHO, env={"NBCI_ZYGOTE": "off"})
    )

    assert reasons == []
    assert parents(outcomes) == {os.getpid()}


def test_killing_the_zygote_is_survived(make_job: MakeJob) -> None:
    async def killed_between() -> list[JobOutcome]:
        with zygotes() as own:
            first = await run_job(make_job(WHO), Recorder(), own)
            os.kill(next(iter(parents([first]))), signal.SIGKILL)
            second = await run_job(make_job(WHO), Recorder(), own)
            kill = "import os, signal, time; os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)"
            return [first, second, await run_job(make_job(kill), Recorder(), own)]

    first, second, third = asyncio.run(killed_between())

    assert second.failure is None
    assert parents([first]) != parents([second])
    assert third.failure is not None
    assert third.failure.kind == "infrastructure"
    assert "forked from ended" in third.failure.message
    assert third.failure.cell == 1


def test_many_kernels_leave_nothing(make_job: MakeJob, place: Path) -> None:
    leave_nothing(make_job, place, 20)


@pytest.mark.soak
def test_very_many_kernels_leave_nothing(make_job: MakeJob, place: Path) -> None:
    leave_nothing(make_job, place, 200)


def leave_nothing(make_job: MakeJob, place: Path, count: int) -> None:
    pids: list[int] = []

    async def many() -> list[tuple[int, int]]:
        seen = []
        with zygotes() as own:
            for _ in range(count):
                outcome = await run_job(make_job(WHO), Recorder(), own)
                pids.extend(map(int, printed(outcome, 0).split()))
                [zygote] = {int(printed(outcome, 0).split()[1])}
                seen.append(
                    (len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{zygote}/fd")))
                )
        return seen

    seen = asyncio.run(many())

    assert seen[-1][0] <= seen[2][0] + 1
    assert seen[-1][1] <= seen[2][1] + 3  # a spare more or less
    assert len(set(pids)) == count + 1
    assert [pid for pid in set(pids) if is_alive(pid)] == []
    assert list(place.iterdir()) == []


def test_runs_one_after_another_leave_nothing(make_job: MakeJob, place: Path) -> None:
    runs_leave_nothing(make_job, place, 4)


@pytest.mark.soak
def test_very_many_runs_leave_nothing(make_job: MakeJob, place: Path) -> None:
    runs_leave_nothing(make_job, place, 200)


def runs_leave_nothing(make_job: MakeJob, place: Path, count: int) -> None:
    descriptors: list[int] = []
    pids: list[int] = []
    for _ in range(count):
        [outcome], _ = one_after_another(make_job(WHO))
        pids.extend(map(int, printed(outcome, 0).split()))
        descriptors.append(len(os.listdir("/proc/self/fd")))

    assert descriptors[-1] <= descriptors[1]
    assert [pid for pid in pids if is_alive(pid)] == []
    assert list(place.iterdir()) == []


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(
        prefix="nbci-test-", dir="/tmp"
    ) as folder:  # sockets need short paths
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)
        warm.stop(now=True)


def launch(env: dict[str, str] | None = None, **options: float) -> dict[str, object]:
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"} | (
        env or {}
    )
    env["JUPYTER_PREFER_ENV_PATH"] = "1"  # as the jobs have it
    options = {"idle_seconds": 60.0, **options}
    return warm.start(
        [sys.executable, "-m", "ipykernel_launcher"],
        env,
        preloads=("threadpoolctl",),
        spares=1,
        **options,
    )


def test_a_warm_zygote_serves_its_user_and_goes(runtime: Path, make_job: MakeJob) -> None:
    said, again = launch(), launch()
    assert said["pid"] == again["pid"]
    assert [one["pid"] for one in warm.status()] == [said["pid"]]
    assert said["preloads"] == ["threadpoolctl"]

    outcomes, _ = one_after_another(make_job(WHO))

    assert parents(outcomes) == {said["pid"]}
    assert warm.stop(now=True) == 1
    assert warm.status() == []


def test_a_warm_zygote_that_was_spoilt_is_passed_by(
    runtime: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    installed = tmp_path / "lib" / "site-packages"
    installed.mkdir(parents=True)
    wait = "threading.Event().wait"
    (installed / "busy.py").write_text(
        f"import threading\nthreading.Thread(target={wait}, daemon=True).start()"
    )
    env = {"PYTHONPATH": str(installed)}
    said = launch(env)

    outcomes, reasons = one_after_another(
        make_job(WHO, env=env), make_job(WHO + "; import busy", env=env)
    )

    assert [outcome.failure for outcome in outcomes] == [None, None]
    assert int(printed(outcomes[0], 0).split()[1]) == said["pid"]
    assert int(printed(outcomes[1], 0).split()[1]) not in (said["pid"], os.getpid())
    assert reasons == []


def test_a_warm_zygote_goes_after_idling(runtime: Path) -> None:
    said = launch(idle_seconds=0.3)
    deadline = time.monotonic() + 10
    while is_alive(int(str(said["pid"]))) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert not is_alive(int(str(said["pid"])))
    assert warm.status() == []


def test_a_folder_that_others_can_enter_is_not_used(runtime: Path) -> None:
    (runtime / "nbci").mkdir()
    (runtime / "nbci").chmod(0o755)
    with pytest.raises(OSError, match="not a private folder"):
        home.warm_root(make=False)


def test_an_upgraded_package_ends_the_use_of_a_zygote(tmp_path: Path, make_job: MakeJob) -> None:
    installed = tmp_path / "lib" / "site-packages"
    (installed / "thing-1.dist-info").mkdir(parents=True)
    (installed / "thing.py").write_text("version = 1")
    env = {"PYTHONPATH": str(installed)}

    async def upgraded_between() -> list[JobOutcome]:
        with zygotes() as own:
            source = WHO + "\nimport thing; print(thing.version)"
            before = [await run_job(make_job(source, env=env), Recorder(), own) for _ in range(2)]
            (installed / "thing-1.dist-info").rename(installed / "thing-2.dist-info")
            (installed / "thing.py").write_text("version = 22")
            return [*before, await run_job(make_job(source, env=env), Recorder(), own)]

    first, second, third = asyncio.run(upgraded_between())

    assert [printed(outcome, 0).splitlines()[1] for outcome in (first, second, third)] == [
        "1",
        "1",
        "22",
    ]
    assert parents([first]) == parents([second]) != parents([third])


def test_an_upgraded_package_ends_the_use_of_a_warm_zygote(
    runtime: Path, tmp_path: Path, make_job: MakeJob
) -> None:
    installed = tmp_path / "lib" / "site-packages"
    (installed / "thing-1.dist-info").mkdir(parents=True)
    (installed / "thing.py").write_text("version = 1")
    env = {"PYTHONPATH": str(installed)}
    job = make_job(WHO + "\nimport thing; print(thing.version)", env=env)
    said = launch(env)
    before, _ = one_after_another(job, job)
    (installed / "thing-1.dist-info").rename(installed / "thing-2.dist-info")
    (installed / "thing.py").write_text("version = 22")
    [status] = warm.status()
    after, reasons = one_after_another(job)
    again = launch(env)
    anew, _ = one_after_another(job)

    assert [printed(outcome, 0).splitlines()[1] for outcome in (*before, *after, *anew)] == [
        "1",
        "1",
        "22",
        "22",
    ]
    assert parents(before) == {said["pid"]}
    assert (status["pid"], status["current"]) == (said["pid"], False)
    assert said["pid"] not in parents(after) | {again["pid"]}
    assert parents(anew) == {again["pid"]}
    assert reasons == []


def test_a_changed_pth_file_ends_the_use_of_a_zygote(tmp_path: Path, make_job: MakeJob) -> None:
    installed, start = tmp_path / "lib" / "site-packages", tmp_path / "start"
    for folder in (installed, start, tmp_path / "one", tmp_path / "two"):
        folder.mkdir(parents=True)
    (start / "sitecustomize.py").write_text(f"import site; site.addsitedir({str(installed)!r})")
    (tmp_path / "one" / "thing.py").write_text("version = 1")
    (tmp_path / "two" / "thing.py").write_text("version = 22")
    (installed / "editable.pth").write_text(str(tmp_path / "one"))
    job = make_job(WHO + "\nimport thing; print(thing.version)", env={"PYTHONPATH": str(start)})

    async def changed_between() -> list[JobOutcome]:
        with zygotes() as own:
            before = await run_job(job, Recorder(), own)
            (installed / "editable.pth").write_text(str(tmp_path / "two"))
            return [before, await run_job(job, Recorder(), own)]

    outcomes = asyncio.run(changed_between())

    assert [printed(outcome, 0).splitlines()[1] for outcome in outcomes] == ["1", "22"]
    assert len(parents(outcomes)) == 2


def test_the_key_is_what_imports_read() -> None:
    command = ipykernel_command([sys.executable, "-m", "ipykernel_launcher", "-f", "x"])
    assert command is not None
    plain = key_of(command, {"A": "1"}, "/c", debugger=False)

    assert key_of(command, {"A": "2", "PYTHONHASHSEED": "0"}, "/c", debugger=False) == plain
    assert key_of(command, {"OMP_NUM_THREADS": "1"}, "/c", debugger=False) != plain
    assert import_time_environment({"B": "1", "LC_ALL": "C"}, "/c") == {
        "LC_ALL": "C",
        "PYTHONHASHSEED": "0",
    }
    assert ipykernel_command(["bash", "-m", "ipykernel_launcher"]) is None
    assert ipykernel_command([sys.executable, "-m", "bash_kernel", "-f", "x"]) is None
    assert (
        ipykernel_command([sys.executable, "run.py", "-m", "ipykernel_launcher", "-f", "x"]) is None
    )


def test_imports_are_found_outside_functions() -> None:
    cells = [
        "import a.b, c\nfrom d import e\nif x:\n    import f\ndef g():\n    import h",
        "%magic\nimport i",
        "from . import j",
    ]

    assert imports_of(cells) == ("a.b", "c", "d", "d.e?", "f", "i")
