"""The fixture that makes jobs for real kernels."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nbci.kernels.job import KernelJob, ProgramCell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., KernelJob]:
    """Makes a job of cell sources, everything else under tmp_path."""
    made = 0

    def make(*sources: str | ProgramCell, **changes: Any) -> KernelJob:
        nonlocal made
        made += 1
        folder = tmp_path / f"job-{made}"
        folder.mkdir()
        program = tuple(
            cell
            if isinstance(cell, ProgramCell)
            else ProgramCell(role="step", number=number, source=cell)
            for number, cell in enumerate(sources, 1)
        )
        env = {
            **os.environ,
            "PYTHONHASHSEED": "0",
            "JUPYTER_PREFER_ENV_PATH": "1",
            **changes.pop("env", {}),
        }
        env.pop(
            "PYTEST_CURRENT_TEST", None
        )  # ipykernel does not capture file descriptors when it sees it
        settings: dict[str, Any] = {
            "step": "train",
            "kernel_name": "python3",
            "language": "python",
            "notebook_metadata": {},
            "cells": program,
            "project": folder,
            "cwd": folder,
            "env": env,
            "values_folder": tmp_path / "values",
            "spill_folder": folder / "spill",
            "log_path": folder / "kernel.log",
        }
        return KernelJob(**{**settings, **changes})

    return make


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made: short enough for sockets, and empty."""
    with tempfile.TemporaryDirectory(prefix="nbci-test-", dir="/tmp") as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)
