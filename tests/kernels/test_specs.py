from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nbci.errors import UsageError
from nbci.kernels.specs import find_spec, is_installed

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
    ["{", "[]", '{"argv": null}', "{}", json.dumps({**_SPEC, "metadata": {"kernel_provisioner": {"name": "none"}}})],
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
    assert refused.value.hint.startswith("did you mean `python3`? `-k python3` runs every step in that one")
