"""A kernel that is not Python: bash."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from real_kernels import printed, run_all

from nbci.kernels.specs import installed_kernels, kernel_language

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbci.kernels.job import KernelJob

    MakeJob = Callable[..., KernelJob]


@pytest.fixture
def bash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """bash_kernel's specification, installed for this test only."""
    pytest.importorskip("bash_kernel")
    folder = tmp_path / "jupyter" / "kernels" / "bash"
    folder.mkdir(parents=True)
    argv = f'["{sys.executable}", "-m", "bash_kernel", "-f", "{{connection_file}}"]'
    (folder / "kernel.json").write_text(f'{{"argv": {argv}, "display_name": "Bash", "language": "bash"}}')
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
    assert (dies.failure.kind, dies.failure.signal, dies.failure.cell) == ("kernel-died", "SIGKILL", 2)
    assert slow.failure is not None
    assert (slow.failure.kind, slow.failure.cell) == ("timeout", 1)
    for outcome in (fine, fails, dies, slow):
        nbformat.validate(outcome.notebook)
