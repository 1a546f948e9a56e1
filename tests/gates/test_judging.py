"""What is refused before a run is judged."""

from __future__ import annotations

from typing import Any

import pytest

from nbci.behaviour import predictions_file
from nbci.errors import UsageError
from nbci.gates.judging import check_readers
from nbci.pipeline.rules import Gate
from nbci.plan.model import NOT_ASKED_FOR, Plan, PlannedStep

_FLIPS = Gate(name="no flips", flips=True, at_most=0.0, baseline="champion", step="test")


def _plan(gate: Gate, **more: Any) -> Plan:
    step = PlannedStep(
        name="test", notebook="n.ipynb", kernel="python3", language="python", cells=(), **more
    )
    return Plan(pipeline="p", target="p.yaml", steps=(step,), gates=(gate,))


def test_a_gate_over_predictions_needs_what_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    check_readers(_plan(_FLIPS))
    monkeypatch.setattr(predictions_file, "LIBRARIES", ("no_such_library",))

    with pytest.raises(UsageError, match="gate 'no flips': predictions need no_such_library"):
        check_readers(_plan(_FLIPS))

    check_readers(_plan(Gate(name="rows", metric="rows", at_least=1.0)))
    # A run of a part is not judged.
    check_readers(_plan(_FLIPS, action="skip", reason=NOT_ASKED_FOR))
