"""Call the programs that places are worked by: docker, kubectl, systemctl."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from nbci.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def run_program(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    seconds: float,
    absent_hint: str | None = None,
    slow_hint: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """What a program answered, whatever its exit code; it gets no input.

    InfrastructureError where it is not installed (with `absent_hint`), or does not end within that
    time (with `slow_hint`).
    """
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            # What a program prints need not be UTF-8, and is for people only.
            errors="replace",
            check=False,
            env=dict(environ),
            timeout=seconds,
        )
    except FileNotFoundError as error:
        raise InfrastructureError(
            f"{command[0]} is not on this machine", hint=absent_hint
        ) from error
    except subprocess.TimeoutExpired as error:
        # The first words say what was asked; the others may be long.
        asked = " ".join(command[:2])
        raise InfrastructureError(
            f"{asked} did not end within {seconds:g} s", hint=slow_hint
        ) from error


def last_lines(text: str, most: int) -> str:
    """The last lines of what a program said, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-most:]) or "it said nothing"
