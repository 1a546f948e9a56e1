"""The command that carries a trial of a sweep out as a run of its own."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

_GIVEN = ("-p", "-f", "environment ")


def run_command(sweep: SweepRecord, trial: TrialRecord, target: str | None = None) -> str:
    """The command for a shell; its run reuses all that the trial computed."""
    words = ["nbci", "run", target or sweep.target]
    values = {}
    for param in sweep.params:
        # What the target says by itself need not be said again.
        if param.source.startswith(_GIVEN):
            values[param.name] = param.value
    for name, value in {**values, **trial.params}.items():
        text = value if isinstance(value, str) else json.dumps(value)
        words += ["-p", f"{name}={text}"]
    return shlex.join(words)
