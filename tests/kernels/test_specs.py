from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from nbci.errors import UsageError
from nbci.kernels.specs import find_spec, is_installed, program_of, specification_places

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which Jupyter looks for kernels first."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return tmp_path / "kernels"


def put(kernels: Path, name: str, content: str) -> None:
    (kernels / name).mkdir(parents=True)
    (kernels / name / "kernel.json").write_text(content, encoding="utf-8")


_SPEC = {"argv": ["python", "{connection_file}"], "display_name": "Mine", "language": "python"}


@pytest.mark.parametrize("asked", ["mine", "MINE"])
def test_a_kernel_that_is_there_is_told_at_once_and_found(kernels: Path, asked: str) -> None:
    put(kernels, "Mine", json.dumps(_SPEC))
    assert is_installed(asked)
    assert find_spec(asked).display_name == "Mine"


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"argv": null}',
        "{}",
        json.dumps({**_SPEC, "metadata": {"kernel_provisioner": {"name": "none"}}}),
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_jupyter(kernels: Path, content: str) -> None:
    put(kernels, "odd", content)
    assert not is_installed("odd")


def test_the_first_place_counts_as_for_jupyter(kernels: Path) -> None:
    put(kernels, "python3", "{")
    assert not is_installed("python3")
    with pytest.raises((UsageError, ValueError)):
        find_spec("python3")


def test_a_kernel_that_is_nowhere_is_refused_by_name(kernels: Path) -> None:
    assert not is_installed("pyton3")
    with pytest.raises(UsageError, match="no kernel named `pyton3`") as refused:
        find_spec("pyton3")
    assert refused.value.hint is not None
    assert refused.value.hint.startswith(
        "did you mean `python3`? `-k python3` runs every step in that one"
    )


def _specification(folder: Path, name: str, program: str) -> None:
    place = folder / "kernels" / name / "kernel.json"
    place.parent.mkdir(parents=True)
    place.write_text(
        json.dumps({"argv": [program, "-m", "x"], "display_name": "X", "language": "python"})
    )


def test_the_program_of_a_kernel_is_that_of_the_first_specification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program_of.cache_clear()
    _specification(tmp_path / "first", "mine", "/opt/first/bin/python")
    _specification(tmp_path / "second", "mine", "/opt/second/bin/python")
    _specification(tmp_path / "second", "plain", "python")
    monkeypatch.setenv("JUPYTER_PATH", f"{tmp_path / 'first'}{os.pathsep}{tmp_path / 'second'}")

    assert program_of("mine") == "/opt/first/bin/python"
    assert program_of("plain") == sys.executable
    assert program_of("none-such") is None
    program_of.cache_clear()


def test_the_program_is_that_of_the_kernel_that_jupyter_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program_of.cache_clear()
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "of-ipython"))
    _specification(tmp_path / "of-ipython", "Mine-Only", "/opt/mine/bin/python")

    assert is_installed("mine-only")
    assert find_spec("mine-only").argv[0] == "/opt/mine/bin/python"
    assert program_of("mine-only") == "/opt/mine/bin/python"
    assert str(
        tmp_path / "of-ipython" / "kernels" / "Mine-Only" / "kernel.json"
    ) in specification_places("mine-only")
    program_of.cache_clear()
