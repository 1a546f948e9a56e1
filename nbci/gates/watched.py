"""Rules that a step of a run has judged itself: its monitor's answers count in the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.errors import NbciError
from nbci.gates.case import with_answer
from nbci.records.codec import from_json
from nbci.records.monitoring import MonitorResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.gates.case import Case
    from nbci.gates.predictions import KeptOuts
    from nbci.pipeline.rules import Gate
    from nbci.records.run_record import RunRecord, StepRecord
    from nbci.records.verdict import GateResult

RESULT = "monitor.json"
"""What a monitor leaves for others."""
_MOST_BYTES = 256 << 20
"""More than the profiles of 100,000 columns: a larger file is none that a monitor wrote."""


def read_monitors(
    gates: Iterable[Gate], record: RunRecord, outs: KeptOuts
) -> dict[str, MonitorResult | str]:
    """What the monitors of a run found, by step; in words why that is not known."""
    found: dict[str, MonitorResult | str] = {}
    for gate in gates:
        step = str(gate.step)
        if gate.watched is None or step in found:
            continue
        made = record.step(step)
        # A plan of an earlier nbci may name the step otherwise.
        if made is None:
            found[step] = f"the run has no step {step}"
        elif made.result != "skipped":
            found[step] = _read(made, outs)
    return found


def _read(made: StepRecord, outs: KeptOuts) -> MonitorResult | str:
    for ref in made.outs:
        if ref.path.rpartition("/")[2] != RESULT:
            continue
        # By its digest, so what stands there by now under that name does not count.
        place = outs.place(ref)
        if place is None:
            return f"{ref.path} of step {made.name} is kept neither here nor at the remote"
        try:
            if place.stat().st_size > _MOST_BYTES:
                return f"{ref.path} is too large for what a monitor finds"
            return from_json(place.read_bytes(), MonitorResult, ref.path)
        except (NbciError, OSError) as error:
            return str(error)
    return f"step {made.name} left no {RESULT}"


def judge_watched(gate: Gate, case: Case, result: GateResult) -> GateResult:
    """The answer that the step gave; one that is not known refuses, unless the step was skipped."""
    assert gate.watched is not None
    found = case.monitors.get(str(gate.step))
    if found is None:
        return replace(result, result="left out", reason=f"step {gate.step} was skipped")
    if isinstance(found, str):
        return with_answer(result, gate, "fail", found)
    for answer in found.gates:
        # Another rule of the same name would be one of another plan.
        if answer.gate == gate.watched.rule and answer.asked == gate.asked:
            return replace(answer, gate=gate.name, severity=gate.severity, override=None)
    return with_answer(result, gate, "fail", f"step {gate.step} has not judged this rule")
