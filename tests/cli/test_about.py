"""`nbci about` says what is here; what cannot be used is left out."""

from __future__ import annotations

import json
import os
import platform
from typing import TYPE_CHECKING

import nbci as package

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.console import Console


def install_kernel(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(text, encoding="utf-8")


def test_a_program_reads_versions_kernels_and_gpus(
    nbci: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = tmp_path / "jupyter/kernels"
    named = {"argv": ["R", "{connection_file}"], "display_name": "R für alle", "language": "R"}
    install_kernel(kernels / "my-r", json.dumps(named))
    install_kernel(kernels / "broken", "{")
    smi = tmp_path / "bin/nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\nprintf 'NVIDIA H200\\nNVIDIA A100\\n'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("PATH", str(smi.parent), prepend=os.pathsep)

    done = nbci("about", "--json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ["nbci", "python", "platform", "kernels", "gpus"]
    assert (found["nbci"], found["python"]) == (package.__version__, platform.python_version())
    assert found["gpus"] == [{"name": "NVIDIA H200"}, {"name": "NVIDIA A100"}]
    by_name = {kernel["name"]: kernel for kernel in found["kernels"]}
    assert by_name["my-r"] == {"name": "my-r", "display_name": "R für alle", "language": "r"}
    assert by_name["python3"]["language"] == "python"
    assert "broken" not in by_name


def test_people_read_a_line_for_each(nbci: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    # No nvidia-smi is found there.
    monkeypatch.setenv("PATH", "/nowhere")
    lines = nbci("about").stdout.splitlines()
    assert lines[0].startswith(f"nbci {package.__version__}, Python {platform.python_version()}, ")
    assert any(line.startswith("kernel python3: ") for line in lines)
    assert lines[-1] == "no GPU"
