"""Docker by its command line, and what it says of images and containers."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from nbci.commands import checked_operand
from nbci.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LAST_LINES = 12
_ASK_SECONDS = 20.0
_WORK_SECONDS = 3600.0


class Docker:
    """Calls `docker` with the variables of the command."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._answers: bool | None = None

    def answers(self) -> bool:
        """Whether Docker is installed, and its daemon answers; asked once."""
        if self._answers is None:
            self._answers = self._asked()
        return self._answers

    def _asked(self) -> bool:
        if shutil.which("docker", path=self._environ.get("PATH")) is None:
            return False
        try:
            done = self._run(["version", "--format", "{{.Server.Version}}"], (), _ASK_SECONDS)
        except InfrastructureError:
            return False
        return done.returncode == 0

    def container(self, name: str) -> dict[str, Any] | None:
        """What Docker knows of a container; None where there is none."""
        done = self._run(["container", "inspect"], [name], _ASK_SECONDS)
        if done.returncode != 0:
            return None
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found[0]

    def logs(self, name: str) -> str:
        """The last lines that a container wrote."""
        done = self._run(["logs", "--tail", str(_LAST_LINES)], [name], _ASK_SECONDS)
        return _last_lines(done.stdout + done.stderr)

    def do(self, words: Sequence[str], operands: Sequence[str] = ()) -> str:
        """What a command prints; InfrastructureError, with what it said, where it fails.

        `words` are nbci's own; `operands` come from files, and cannot be taken for options.
        """
        done = self._run(words, operands, _WORK_SECONDS)
        if done.returncode != 0:
            said = _last_lines(done.stderr or done.stdout)
            raise InfrastructureError(f"docker {words[0]} failed: {said}")
        return done.stdout

    def _run(
        self, words: Sequence[str], operands: Sequence[str], seconds: float
    ) -> subprocess.CompletedProcess[str]:
        command = ["docker", *words, *map(checked_operand, operands)]
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                env=dict(self._environ),
                timeout=seconds,
            )
        except FileNotFoundError as error:
            raise InfrastructureError("docker is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise InfrastructureError(
                f"docker {words[0]} did not end within {seconds:g} s",
                hint="look at the daemon: docker info",
            ) from error


def _last_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-_LAST_LINES:]) or "it said nothing"
