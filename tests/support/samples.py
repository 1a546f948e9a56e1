"""The samples, each run once for all the tests that look at it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.console import ROOT, Console

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRun:
    """A finished run of a sample: the project it ran in, its folder, and `nbci show RUN --json`."""

    project: Path
    folder: Path
    shown: dict[str, Any]


def copy_samples(folder: Path) -> Path:
    """A checkout of the samples: a git repository without history."""
    for name in ("notebooks", "pipelines"):
        shutil.copytree(
            ROOT / name,
            folder / name,
            ignore=shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__"),
        )
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a checkout of the samples."""
    return lambda name: copy_samples(tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def wine_database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the wine database, which is a secret."""
    path = tmp_path_factory.mktemp("cellar") / "wine.sqlite"
    subprocess.run(
        [sys.executable, ROOT / "notebooks/wine/make_database.py", path],
        check=True,
        capture_output=True,
    )
    return str(path)


def run_sample(
    project: Path, target: str, env: dict[str, str] | None = None, options: Sequence[str] = ()
) -> SampleRun:
    """Run a sample to its end, whatever other tests of this session have run."""
    done = Console(project)("run", target, "--json", "--force", *options, env=env)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    return SampleRun(project=project, folder=project / ".nbci" / "runs" / shown["run"], shown=shown)


@pytest.fixture(scope="session")
def digits(checkout: Callable[[str], Path]) -> SampleRun:
    """`nbci run pipelines/digits.yaml`."""
    return run_sample(checkout("digits"), "pipelines/digits.yaml")


@pytest.fixture(scope="session")
def wine(checkout: Callable[[str], Path], wine_database: str) -> SampleRun:
    """`nbci run pipelines/wine.yaml`."""
    return run_sample(checkout("wine"), "pipelines/wine.yaml", {"WINE_DATABASE": wine_database})
