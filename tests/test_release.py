"""`make release`: what it refuses, and what it makes, in a repository of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.console import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n## [0.1.0] - 2026-01-01\n"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the parts of nbci that a wheel is made of."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "nbci", folder / "nbci", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".ci", "schemas"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    source = folder / "nbci/__init__.py"
    lines = source.read_text(encoding="utf-8").splitlines()
    version = next(line for line in lines if line.startswith("__version__"))
    text = "\n".join(lines).replace(version, '__version__ = "0.1.0"')
    source.write_text(f"{text}\n", encoding="utf-8")
    (folder / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    git(tmp_path, "init", "--quiet", str(folder))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "nbci")
    return folder


def release(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ".ci/release", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("0.2", "is no version"),
        ("v0.2.0", "is no version"),
        ("0.1.0", "does not come after 0.1.0"),
        ("0.0.9", "does not come after 0.1.0"),
    ],
)
def test_a_version_that_is_none_or_old_is_refused(checkout: Path, version: str, why: str) -> None:
    done = release(checkout, "check", version)
    assert done.returncode == 2
    assert why in done.stderr


def test_what_would_go_wrong_later_is_refused_before(checkout: Path) -> None:
    assert release(checkout, "check", "0.2.0").returncode == 0
    git(checkout, "tag", "library-v0.2.0")
    assert "the tag library-v0.2.0 is there already" in release(checkout, "check", "0.2.0").stderr
    git(checkout, "tag", "--delete", "library-v0.2.0")

    (checkout / "more.txt").write_text("", encoding="utf-8")
    assert "more.txt" in release(checkout, "check", "0.2.0").stderr
    (checkout / "more.txt").unlink()

    (checkout / "CHANGELOG.md").write_text("## [Unreleased]\n\n## [0.1.0]\n- x\n", encoding="utf-8")
    git(checkout, "commit", "--quiet", "--all", "-m", "nothing to tell")
    assert "has nothing under ## [Unreleased]" in release(checkout, "check", "0.2.0").stderr


def test_a_release_is_a_commit_a_wheel_and_two_tags(checkout: Path) -> None:
    before = git(checkout, "rev-parse", "HEAD")
    done = release(checkout, "make", "0.2.0")
    assert done.returncode == 0, done.stderr
    assert git(checkout, "rev-parse", "HEAD^") == before
    assert git(checkout, "log", "-1", "--format=%s") == "Release 0.2.0"
    assert git(checkout, "tag").splitlines() == ["library-v0.2.0", "v0.2.0"]
    assert git(checkout, "status", "--porcelain") == ""
    changelog = (checkout / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changelog.index("## [Unreleased]") < changelog.index("## [0.2.0] - 20")
    assert changelog.index("## [0.2.0]") < changelog.index("- A thing.")
    assert [path.name for path in (checkout / "dist").iterdir()] == ["nbci-0.2.0-py3-none-any.whl"]


def test_a_wheel_that_cannot_be_built_leaves_everything_as_it_was(checkout: Path) -> None:
    (checkout / "README.md").unlink()
    git(checkout, "commit", "--quiet", "--all", "-m", "no readme")
    before = git(checkout, "rev-parse", "HEAD")
    done = release(checkout, "make", "0.2.0")
    assert done.returncode == 2
    assert git(checkout, "rev-parse", "HEAD") == before
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "tag") == ""
