"""Docker by its command line, and what it says of images and containers."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from nbci.commands import checked_operand
from nbci.deployment.programs import last_lines, run_program
from nbci.errors import InfrastructureError

if TYPE_CHECKING:
    import subprocess
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
        return last_lines(done.stdout + done.stderr, _LAST_LINES)

    def do(self, words: Sequence[str], operands: Sequence[str] = ()) -> str:
        """What a command prints; InfrastructureError, with what it said, where it fails.

        `words` are nbci's own; `operands` come from files, and cannot be taken for options.
        """
        done = self._run(words, operands, _WORK_SECONDS)
        if done.returncode != 0:
            said = last_lines(done.stderr or done.stdout, _LAST_LINES)
            raise InfrastructureError(f"docker {words[0]} failed: {said}")
        return done.stdout

    def _run(
        self, words: Sequence[str], operands: Sequence[str], seconds: float
    ) -> subprocess.CompletedProcess[str]:
        command = ["docker", *words, *map(checked_operand, operands)]
        return run_program(
            command,
            self._environ,
            seconds=seconds,
            slow_hint="look at the daemon: docker info",
        )
