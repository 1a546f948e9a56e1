"""The command that carries a trial of a sweep out as a run of its own."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from nbci.sweeps.study_record import FROM_FIDELITY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.records.run_record import ParameterValue
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

_GIVEN = ("-p", "-f", "environment ", FROM_FIDELITY)


def run_command(sweep: SweepRecord, trial: TrialRecord, target: str | None = None) -> str:
    """The command for a shell; its run reuses all that the trial computed."""
    words = ["nbci", "run", target or sweep.target]
    values = {param.name: param.value for param in given_params(sweep)}
    for name, value in {**values, **trial.params}.items():
        text = value if isinstance(value, str) else json.dumps(value)
        words += ["-p", f"{name}={text}"]
    return shlex.join(words)


def given_params(sweep: SweepRecord) -> Iterator[ParameterValue]:
    """The parameters that the sweep was given: what the target says by itself needs no saying."""
    for param in sweep.params:
        if param.source.startswith(_GIVEN):
            yield param
