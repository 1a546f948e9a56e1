"""nbci as its users start it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import coverage

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]


class Console:
    """Runs nbci's commands, measured for coverage when the tests are."""

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd

    def __call__(
        self,
        *args: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_seconds: float = 240,
    ) -> subprocess.CompletedProcess[str]:
        """Run to its end; `env` is added to the environment. A timeout is an error of the test."""
        return subprocess.run(
            self._command(args),
            cwd=cwd or self.cwd,
            env=self._environment(env),
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_seconds,
            check=False,
        )

    def start(
        self, *args: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start it and go on, its output in pipes, in a process group of its own: for signals and
        kills.
        """
        return subprocess.Popen(
            self._command(args),
            cwd=cwd or self.cwd,
            env=self._environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    def _command(self, args: tuple[str | Path, ...]) -> list[str]:
        # -P: like the console script, and unlike plain -m, the project's folder is not where
        # modules come from
        command = [sys.executable, "-P"]
        if coverage.Coverage.current() is not None:
            # not by coverage's own subprocess patch: its variable would reach the kernels and be
            # measured there too
            command += [
                "-m",
                "coverage",
                "run",
                "--parallel-mode",
                f"--data-file={ROOT / '.coverage'}",
            ]
            command += [f"--rcfile={ROOT / 'pyproject.toml'}"]
        return [*command, "-m", "nbci", *map(str, args)]

    def _environment(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        environment = {**os.environ, **(extra or {})}
        if not _INSTALLED:
            environment.setdefault("PYTHONPATH", str(ROOT))
        return environment


def _is_installed() -> bool:
    try:
        version("nbci")
    except PackageNotFoundError:
        return False
    return True


_INSTALLED = _is_installed()
