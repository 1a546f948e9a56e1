"""Find the commit that this nbci was built from, for `nbci --version` and for bug reports."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

_LENGTH = 10


def build_commit() -> str | None:
    """The commit, shortened, or None where it is not known.

    A wheel has it in a file, in a checkout git knows it. `+` at its end stands for files that were
    changed since.
    """
    noted = resources.files("nbci").joinpath("commit.txt")
    if noted.is_file():
        return noted.read_text(encoding="utf-8").strip() or None
    root = Path(__file__).parents[1]
    # A copy of nbci inside another project's repository is not that repository's commit.
    if not (root / ".git").exists():
        return None
    commit = _git(root, "rev-parse", f"--short={_LENGTH}", "HEAD")
    if commit is None:
        return None
    if _git(root, "status", "--porcelain", "--", "nbci"):
        return f"{commit}+"
    return commit


def _git(root: Path, *words: str) -> str | None:
    # Not with `nbci.git`, which lies above: it masks secrets, for which `--version` has no need.
    try:
        ended = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    if ended.returncode != 0:
        return None
    return ended.stdout.strip()
