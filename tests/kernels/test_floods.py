"""Output that comes faster than it is read, after its cell, or from a child.

None is lost or shown twice.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from nbci.kernels.execute import run_job
from tests.kernels.real_kernels import Recorder, printed, run, zygotes

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.kernels.job import JobOutcome, KernelJob

    MakeJob = Callable[..., KernelJob]

MEGABYTE = 1 << 20
LIMIT_SECONDS = 2.0

ENDLESS = {
    "flushed": "while True: print('x' * 1000, flush=True)",
    "printed": "while True: print('x' * 1000)",
    "child": (
        "import subprocess\nsubprocess.run('while :; do echo eeeeeeeeee >&2; done', shell=True)"
    ),
    "shell": "!yes",
    "thread": "import threading, time\n"
    "threading.Thread(target=lambda: [print('t') for _ in iter(int, 1)], daemon=True)"
    ".start()\ntime.sleep(600)",
    "shown": "from IPython.display import HTML, display\nwhile True: display(HTML('h' * 100_000))",
    "cleared": (
        "from IPython.display import clear_output\n"
        "while True: clear_output(wait=True); print('x' * 1000)"
    ),
    "widget": (
        "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    while True: print('x' * 1000)"
    ),
}
BURSTS = {
    "text": "print('x' * 100_000_000)",
    "wide": "print('\U0001f600' * 25_000_000)",
    "escaped": "print('\\x01' * 50_000_000)",
}


def observed(*jobs: KernelJob) -> tuple[list[JobOutcome], float, int]:
    """Run jobs side by side.

    Returns their outcomes, the longest time for which the loop stood still, and memory gained.
    """
    process = psutil.Process(os.getpid())
    before = process.memory_info().rss
    most, longest = before, 0.0

    async def look() -> None:
        nonlocal most, longest
        while True:
            slept = time.monotonic()
            await asyncio.sleep(0.05)
            longest = max(longest, time.monotonic() - slept)
            most = max(most, process.memory_info().rss)

    async def together() -> list[JobOutcome]:
        looking = asyncio.ensure_future(look())
        with zygotes() as own:
            outcomes = await asyncio.gather(*(run_job(job, Recorder(), own) for job in jobs))
        looking.cancel()
        return list(outcomes)

    return asyncio.run(together()), longest, most - before


@pytest.mark.parametrize("way", ENDLESS)
def test_a_time_limit_ends_a_cell_that_prints_without_end(make_job: MakeJob, way: str) -> None:
    jobs = [make_job("1", ENDLESS[way], cell_timeout_seconds=LIMIT_SECONDS) for _ in range(2)]
    outcomes, stood_still_seconds, gained_bytes = observed(*jobs)

    assert [outcome.failure.kind for outcome in outcomes if outcome.failure] == [
        "timeout",
        "timeout",
    ]
    assert (
        stood_still_seconds < 10
    )  # it was for ever, and is 20 ms on a machine that does nothing else
    assert gained_bytes < 200 * MEGABYTE


@pytest.mark.parametrize("kind", BURSTS)
def test_a_burst_is_kept_in_little_memory(make_job: MakeJob, kind: str) -> None:
    job = make_job(BURSTS[kind] + "; print('end')")
    (outcome,), stood_still_seconds, gained_bytes = observed(job)

    assert outcome.failure is None
    with (job.spill_folder.parent / (outcome.cells[0].spilled or "")).open("rb") as spilled:
        spilled.seek(-5, os.SEEK_END)
        assert spilled.read() == b"\nend\n"
        expected = len(eval(BURSTS[kind].removeprefix("print")).encode())
        assert spilled.tell() == expected + 5
    assert stood_still_seconds < 10
    assert gained_bytes < 200 * MEGABYTE


class Sluggish(Recorder):
    """Takes longer to hear of a text than a kernel takes to print it."""

    def text_printed(self, *said: object) -> None:
        time.sleep(0.002)
        super().text_printed(*said)  # type: ignore[arg-type]  # passed on as they came


def test_a_fast_printer_waits_for_a_slow_reader(make_job: MakeJob) -> None:
    prints = "import sys\nfor n in range(3000): sys.stdout.write(f'{n:05}'); sys.stdout.flush()"
    outcome = run(make_job(prints), Sluggish(), limit_seconds=120)

    assert outcome.failure is None
    assert printed(outcome, 0) == "".join(f"{n:05}" for n in range(3000))


LOSES_ITS_END = """
thread = get_ipython().kernel.iopub_thread
send = thread.send_multipart
def lose(parts, *args, **kwargs):
    if any(b'"idle"' in bytes(part) for part in parts):
        thread.send_multipart = send
    else:
        send(parts, *args, **kwargs)
thread.send_multipart = lose
print("said")
"""


def test_a_cell_whose_end_was_lost_is_found_out(make_job: MakeJob) -> None:
    outcome = run(make_job("1", LOSES_ITS_END, "print('next')"))

    assert outcome.failure is None
    assert printed(outcome, 1) == "said\n"
    assert printed(outcome, 2) == "next\n"
    assert [
        warning
        for warning in outcome.warnings
        if warning.startswith("cell 2: ") and "lost" in warning
    ]


def later(seconds: float, *statements: str) -> str:
    """A cell that starts a thread which waits, then runs `statements`."""
    body = "".join(f"    {statement}\n" for statement in statements)
    function = f"import threading, time\ndef f():\n    time.sleep({seconds})\n{body}"
    return function + "threading.Thread(target=f, name='T').start()"


def test_what_a_thread_says_after_the_last_cell_is_kept_and_told(make_job: MakeJob) -> None:
    heard = Recorder()
    outcome = run(
        make_job(
            "print('first')", later(0.7, "print('late line')", "raise ValueError('late error')")
        ),
        heard,
    )

    assert outcome.failure is None
    assert "late line\n" in printed(outcome, 1)
    assert "late line\n" in heard.text
    assert "ValueError: late error" in printed(outcome, 1)
    assert outcome.warnings == ("cell 2: an exception ended the thread T: ValueError: late error",)


def test_work_in_a_pool_is_waited_for_and_idle_pools_are_not(make_job: MakeJob) -> None:
    pool = (
        "from concurrent.futures import ThreadPoolExecutor\nimport time\n"
        "pool = ThreadPoolExecutor()\n"
    )
    busy = pool + "def f():\n    time.sleep(0.7)\n    print('late')\npool.submit(f);"
    began = time.monotonic()
    outcome = run(make_job(busy))
    idle = run(make_job(pool + "pool.submit(int).result();"))

    assert printed(outcome, 0) == "late\n"
    assert outcome.warnings == idle.warnings == ()
    assert time.monotonic() - began < 30


def test_a_thread_that_does_not_end_is_named(make_job: MakeJob) -> None:
    outcome = run(make_job(later(600, "print('never')")))

    assert outcome.failure is None
    (warning,) = outcome.warnings
    assert warning.startswith("the thread T was still running 5 seconds after the last cell")


def test_a_thread_prints_into_its_own_cell(make_job: MakeJob) -> None:
    outcome = run(
        make_job(
            later(0.5, "print('of the first')"),
            "time.sleep(1.5)\nprint('of the second')",
            "print(3)",
        )
    )

    texts = [printed(outcome, n) for n in range(3)]
    assert "".join(texts).count("of the first\n") == 1
    assert texts[1].endswith("of the second\n")
    assert texts[2] == "3\n"


CHILDREN = {
    "os.system": "import os\nos.system('echo said')",
    "subprocess": "import subprocess\nsubprocess.run(['echo', 'said'])",
    "stderr": "import subprocess\nsubprocess.run('echo said >&2', shell=True)",
    "descriptor": "import os\nos.write(1, b'said\\n')",
    "libc": "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.puts(b'said'); libc.fflush(None)",
    "fork": (
        "import os\npid = os.fork()\nif pid == 0:\n    os.write(1, b'said\\n'); os._exit(0)\n"
        "os.waitpid(pid, 0)"
    ),
}


@pytest.mark.parametrize("way", CHILDREN)
def test_what_a_child_prints_is_told_once(make_job: MakeJob, way: str) -> None:
    heard = Recorder()
    job = make_job("print('before')", CHILDREN[way] + ";", "print('after')")
    outcome = run(job, heard)

    assert outcome.failure is None
    assert printed(outcome, 1) == "said\n"
    assert heard.text.count("said\n") == 1
    assert job.log_path.read_text() == ""


def test_characters_of_children_stay_whole(make_job: MakeJob) -> None:
    outcome = run(
        make_job("import subprocess\nsubprocess.run(['sh', '-c', 'printf %s ' + 'äö€' * 10_000]);")
    )

    assert printed(outcome, 0) == "äö€" * 10_000


def test_the_order_of_children_and_prints_is_kept(make_job: MakeJob) -> None:
    outcome = run(
        make_job(
            "import os\nfor n in range(20):\n"
            "    print('p', n, flush=True); os.write(1, f'c {n}\\n'.encode())"
        )
    )

    assert printed(outcome, 0) == "".join(f"p {n}\nc {n}\n" for n in range(20))
