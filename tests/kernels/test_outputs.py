"""What cells print and show: live, masked, capped, cleared, updated."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from hypothesis import given
from hypothesis import strategies as st

from nbci.formatting.text import as_printed
from nbci.kernels.journal import Journal
from nbci.kernels.outputs import CellOutputs
from nbci.records.journal import ExecutedNotebook, replay
from nbci.records.run_record import CellRun
from nbci.secrets import Mask
from tests.kernels.real_kernels import Recorder, printed, run, run_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.kernels.job import KernelJob, OutputWatch

    MakeJob = Callable[..., KernelJob]

SECRET = "hunter2-and-more"


def test_outputs_over_the_cap_go_to_files(make_job: MakeJob) -> None:
    text = "print('head')\nfor n in range(3000): print('x' * 99)"
    shown = (
        "from IPython.display import display, HTML\n"
        "for n in range(30): display(HTML('<b>' + 'y' * 1000))"
    )
    heard = Recorder()
    job = make_job(text, shown, "print('small')", output_cap_bytes=10_000)
    outcome = run(job, heard)

    assert outcome.failure is None
    kept = printed(outcome, 0)
    assert len(kept) < 10_500
    assert kept.startswith("head\nxxx")
    spilled = outcome.cells[0].spilled
    assert spilled is not None
    assert spilled == f"{job.spill_folder.name}/cell-001-output.txt"
    assert spilled in kept
    whole = (job.spill_folder.parent / spilled).read_text()
    assert whole.splitlines() == ["head"] + ["x" * 99] * 3000
    lines = (job.spill_folder.parent / (outcome.cells[1].spilled or "")).read_text().splitlines()
    outputs = outcome.notebook["cells"][1]["outputs"]
    assert len(lines) + len(outputs) - 1 == 30
    assert json.loads(lines[0])["data"]["text/html"].startswith("<b>yyy")
    assert outcome.cells[2].spilled is None
    nbformat.validate(outcome.notebook)


def test_a_flood_costs_neither_memory_nor_time(make_job: MakeJob) -> None:
    # flushed: what comes in one message, jupyter_client holds ten times over
    floods = (
        "line = 'x' * 99 + '\\n'\nimport sys\n"
        "for n in range(100): sys.stdout.write(line * 10_000); sys.stdout.flush()"
    )
    job = make_job(floods)
    tracemalloc.start()
    began = time.monotonic()
    outcome = run(job)
    took, (_, peak) = time.monotonic() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert outcome.failure is None
    assert (
        job.spill_folder.parent / (outcome.cells[0].spilled or "")
    ).stat().st_size == 100_000_000
    assert len(json.dumps(outcome.notebook)) < 1_200_000
    assert took < 30
    assert peak < 400_000_000


def test_clearing_and_updating_work_as_in_jupyter(make_job: MakeJob) -> None:
    clears = (
        "from IPython.display import clear_output, display\nimport time\n"
        "for n in range(5):\n    clear_output(wait=True); print('step', n)"
    )
    now = "print('gone'); clear_output(); print('kept')"
    shows = "handle = display('one', display_id=True)"
    updates = "handle.update('two')\nprint('between')\nx = 'result'; x"
    bar = "import sys\nfor n in range(100): sys.stderr.write(f'\\r{n}%'); sys.stderr.flush()"
    outcome = run(make_job(clears, now, shows, updates, bar))

    assert outcome.failure is None
    assert printed(outcome, 0) == "step 4\n"
    assert printed(outcome, 1) == "kept\n"
    assert outcome.notebook["cells"][2]["outputs"][0]["data"]["text/plain"] == "'two'"
    assert [output["output_type"] for output in outcome.notebook["cells"][3]["outputs"]] == [
        "stream",
        "execute_result",
    ]
    assert printed(outcome, 4) == "99%"


def test_secrets_reach_nothing(make_job: MakeJob) -> None:
    secrets = {"TOKEN": SECRET}
    half = len(SECRET) // 2
    prints = (
        "import os, sys, time\nt = os.environ['TOKEN']\nprint(t)\n"
        f"sys.stdout.write(t[:{half}]); sys.stdout.flush(); time.sleep(.3); "
        f"sys.stdout.write(t[{half}:] + '\\n')\n"
        "os.write(2, (t + '\\n').encode())\n"
        "from IPython.display import display, HTML\ndisplay(HTML('<p>' + t), metadata={'m': t})\nt"
    )
    raises = f"password = '{SECRET}'; raise ValueError(password)"
    dies = "import sys\nos.write(sys.stderr._original_stdstream_copy, t.encode())\nos._exit(1)"
    heard = Recorder()
    job = make_job(prints, dies, secrets=secrets, env=secrets)
    died = run(job, heard)
    (raised,) = run_all(make_job("1", raises, secrets=secrets, env=secrets))

    assert died.failure is not None
    assert died.failure.log == "***"  # what the cell's output has is not there a second time
    assert printed(died, 0).count("***") == 3
    assert raised.failure is not None
    assert raised.failure.message == "ValueError: ***"
    everything = heard.text + str(died) + str(raised) + job.log_path.read_text()
    assert SECRET not in everything
    assert SECRET[half:] not in everything


def outputs_of(
    chunks: list[tuple[str, str]],
    folder: Path,
    cap_bytes: int,
    watch: OutputWatch | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """What a cell's outputs become; the journal makes the same of them."""

    async def feed() -> tuple[list[dict[str, Any]], str | None]:
        run = CellRun(role="step", number=1, first_line="", result="not run")
        notebook: dict[str, Any] = {
            "cells": [{"outputs": [], "metadata": {}, "execution_count": None}]
        }
        executed = ExecutedNotebook(notebook, [run])
        journal = Journal(folder / "outputs.jsonl", executed)
        journal.open()
        journal.add({"do": "start", "cell": 0, "started_utc": "2026-01-01T00:00:00.000Z"})
        spill = folder / "files" / "cell-001-output"
        capture = CellOutputs(
            Mask(()), cap_bytes, spill, journal, lambda text, stream: None, index=0, watch=watch
        )
        for name, text in chunks:
            capture.text(name, text)
        capture.finish()
        journal.close()
        again = replay((folder / "outputs.jsonl").read_bytes().splitlines())
        assert again is not None
        assert again.outputs == executed.outputs
        assert again.runs == executed.runs
        return executed.outputs, executed.runs[0].spilled

    return asyncio.run(feed())


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=30)


@given(
    st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), texts), max_size=30),
    st.integers(1, 200),
)
def test_what_is_printed_is_kept_or_spilled(chunks: list[tuple[str, str]], cap_bytes: int) -> None:
    import tempfile

    whole = "".join(text for _, text in chunks)
    with tempfile.TemporaryDirectory() as folder:
        outputs, spilled = outputs_of(chunks, Path(folder), cap_bytes)
        if spilled is None:
            assert "".join(output["text"] for output in outputs) == whole
        else:
            assert (Path(folder) / spilled).read_bytes().decode() == whole
            kept = "".join(output["text"] for output in outputs[:-1])
            assert len(kept.encode()) <= cap_bytes
            assert whole.startswith(kept)


def test_carriage_returns_leave_what_a_terminal_would_show() -> None:
    assert as_printed("1%\r50%\r100%\ndone\n") == "100%\ndone\n"
    assert as_printed("a\r\nb\r\n") == "a\nb\n"
    assert as_printed("half\r") == "half"


class Heard:
    """Notes what it reads along."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def printed(self, text: str, stream: str) -> None:
        self.texts.append((stream, text))

    def shown(self, output: object) -> None:
        raise AssertionError


def test_who_reads_along_hears_what_is_over_the_cap_too(tmp_path: Path) -> None:
    heard = Heard()
    outputs_of([("stdout", "a" * 90), ("stderr", "b"), ("stdout", "c" * 90)], tmp_path, 100, heard)
    assert heard.texts == [("stdout", "a" * 90), ("stderr", "b"), ("stdout", "c" * 90)]
