"""Real DVC repositories for tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def dvc(folder: Path, *words: str) -> str:
    """Run DVC's own command line there; its output."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dvc")), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_repository(folder: Path, **settings: str) -> Path:
    """A git repository with DVC in it, as `dvc init` leaves it; settings such as `cache_type` for
    `cache.type`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / ".dvc").mkdir()
    lines: dict[str, list[str]] = {}
    for name, value in settings.items():
        section, _, key = name.partition("_")
        lines.setdefault(section, []).append(f"    {key} = {value}\n")
    text = "".join(f"[{section}]\n{''.join(keys)}" for section, keys in lines.items())
    (folder / ".dvc/config").write_text(text, encoding="utf-8")
    (folder / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n", encoding="utf-8")
    return folder
