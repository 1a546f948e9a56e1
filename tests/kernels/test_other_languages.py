"""A kernel that is not Python: bash."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from nbci.kernels.channels import StoppingChannel
from nbci.kernels.specs import installed_kernels, kernel_language
from tests.kernels.real_kernels import Recorder, printed, run, run_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.kernels.job import JobOutcome, KernelJob

    MakeJob = Callable[..., KernelJob]


@pytest.fixture
def bash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """bash_kernel's specification, installed for this test only."""
    pytest.importorskip("bash_kernel")
    folder = tmp_path / "jupyter" / "kernels" / "bash"
    folder.mkdir(parents=True)
    argv = f'["{sys.executable}", "-m", "bash_kernel", "-f", "{{connection_file}}"]'
    (folder / "kernel.json").write_text(
        f'{{"argv": {argv}, "display_name": "Bash", "language": "bash"}}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return {"kernel_name": "bash", "language": "bash"}


def test_bash_runs_fails_dies_and_times_out(make_job: MakeJob, bash: dict[str, Any]) -> None:
    fine, fails, dies, slow = run_all(
        make_job("X=3\necho one", "echo $X", "! false", **bash),
        make_job("echo before\n(exit 3)", "echo never", **bash),
        make_job("echo before", "kill -9 $PPID; sleep 5", **bash),
        make_job("echo before; sleep 60", cell_timeout_seconds=1, **bash),
    )

    assert kernel_language("bash") == "bash"
    assert "bash" in installed_kernels()
    assert fine.failure is None
    assert printed(fine, 1).strip() == "3"
    assert fails.failure is not None
    assert (fails.failure.kind, fails.failure.exit_code) == ("exception", 3)
    assert fails.failure.message == "the cell's last command ended with status 3"
    assert printed(fails, 0).strip() == "before"
    assert dies.failure is not None
    assert (dies.failure.kind, dies.failure.signal, dies.failure.cell) == (
        "kernel-died",
        "SIGKILL",
        2,
    )
    assert slow.failure is not None
    assert (slow.failure.kind, slow.failure.cell) == ("timeout", 1)
    for outcome in (fine, fails, dies, slow):
        nbformat.validate(outcome.notebook)


def test_a_kernel_that_would_drop_its_outputs_is_stopped_meanwhile(
    make_job: MakeJob, bash: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It prints into a queue; while much waits there, its process stands still."""
    stops: list[bool] = []
    begin = StoppingChannel.begin

    def observed(self: StoppingChannel, stop_kernel: Callable[[bool], object]) -> None:
        def stop_and_note(stopped: bool) -> None:
            stops.append(stopped)
            stop_kernel(stopped)

        begin(self, stop_and_note)

    monkeypatch.setattr(StoppingChannel, "begin", observed)
    monkeypatch.setattr("nbci.kernels.channels.MOST_WAITING_BYTES", 2000)
    lines = [f"line {n}" for n in range(1, 1001)]
    counted, endless = run_all(
        make_job("for n in $(seq 1000); do echo line $n; done", **bash),
        make_job("yes", cell_timeout_seconds=2, **bash),
    )

    assert stops[:2] == [True, False]
    assert counted.failure is None
    assert printed(counted, 0).splitlines() == lines or any(
        "may be lost" in text for text in counted.warnings
    )
    assert endless.failure is not None
    assert endless.failure.kind == "timeout"


@pytest.fixture
def fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """`fast_kernel`, installed for this test only."""
    folder = tmp_path / "jupyter" / "kernels" / "fast"
    folder.mkdir(parents=True)
    program = Path(__file__).with_name("fast_kernel.py")
    argv = json.dumps([sys.executable, str(program), "{connection_file}"])
    (folder / "kernel.json").write_text(
        f'{{"argv": {argv}, "display_name": "Fast", "language": "fast"}}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return {"kernel_name": "fast", "language": "fast"}


def numbers(outcome: JobOutcome, index: int, folder: Path) -> list[int]:
    """Which lines came."""
    spilled = outcome.cells[index].spilled
    text = (folder / spilled).read_text() if spilled else printed(outcome, index)
    return [int(line.split()[0]) for line in text.splitlines()]


def test_what_a_kernel_of_another_language_drops_is_told(
    make_job: MakeJob, fast: dict[str, Any]
) -> None:
    """The second cell floods its socket.

    It gives it 3,000 messages in the time in which some hundred can be sent.
    """
    job = make_job("200 10 20 5", "3000 3000 0 50000", "200 10 20 5", **fast)
    outcome = run(job)

    assert outcome.failure is None
    folder = job.spill_folder.parent
    first, second, third = (numbers(outcome, index, folder) for index in range(3))
    assert first == list(range(200))
    assert third == list(range(200))
    assert len(second) < 3000
    assert all(warning.startswith("cell 2: ") for warning in outcome.warnings)
    assert any(
        "it printed faster than its kernel could send" in warning for warning in outcome.warnings
    )


def test_what_a_kernel_of_another_language_prints_quickly_comes_whole_or_is_told(
    make_job: MakeJob, fast: dict[str, Any]
) -> None:
    """Below what nbci holds, and while nbci itself is busy."""

    class Busy(Recorder):
        def text_printed(self, *said: Any) -> None:
            time.sleep(0.0005)

    job = make_job("10000 100 1 20", **fast)
    outcome = run(job, Busy(), limit_seconds=120)

    assert outcome.failure is None
    came = numbers(outcome, 0, job.spill_folder.parent)
    assert came == list(range(10_000)) or outcome.warnings
