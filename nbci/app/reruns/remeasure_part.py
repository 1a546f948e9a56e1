"""Measure models of baselines again where a run is carried out in parts: a part of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.app.reruns.remeasure import Remeasuring
from nbci.engine.distributed.handover import hand_over, hand_over_outs
from nbci.gates.remeasuring import find_wanted_of
from nbci.plan.stages import needs_of_machine
from nbci.records.codec import from_json, to_json
from nbci.records.run_record import Remeasured
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.app.reruns.parts import Parts
    from nbci.gates.remeasuring import Wanted
    from nbci.plan.model import PlannedStep
    from nbci.runs.folder import RunFolder

_FOLDER = "remeasured"
_FILE = "remeasured.json"


class _Found(Struct, frozen=True, kw_only=True):
    """What a part has measured of one step."""

    remeasured: tuple[Remeasured, ...]


def measure_in_part(
    parts: Parts, step: PlannedStep, handover: Path | None = None
) -> tuple[Remeasured, ...]:
    """Measure baselines with the step, and keep in the store, and hand over, what came of it."""
    cache = parts.open_cache()
    measuring = Remeasuring(
        run=parts.run_so_far(), cache=cache, tell=parts.tell, command=parts.command
    )
    wanted = find_wanted_of(parts.plan, step, parts.baselines())
    found = tuple(map(measuring.measure, wanted))
    cache.save()
    place = _place(parts.store, step)
    write_atomic(place, to_json(_Found(remeasured=found)))
    if handover is not None:
        # Emptied first: it holds what this part has made, and nothing else.
        hand_over(parts.store, cache, (), handover)
        root = parts.store.path.parent
        write_atomic(handover / place.relative_to(root), place.read_text(encoding="utf-8"))
        for each in found:
            hand_over_outs(parts.store, cache, each.outs, handover)
    return found


def _place(store: RunFolder, step: PlannedStep) -> Path:
    return store.path / _FOLDER / step.name / _FILE


def measure_finished(parts: Parts, run: EarlierRun, wanted: Wanted) -> Remeasured:
    """What a part has left of a baseline; without it, the step is carried out here, if it can."""
    baseline, step = wanted.baseline, wanted.step
    for found in _read(parts.store, step):
        if (found.asked, found.identity) == (baseline.asked, baseline.identity):
            return found
    needs = needs_of_machine(step)
    if needs is not None:
        return Remeasured(
            asked=baseline.asked,
            identity=baseline.identity,
            step=step.name,
            reason=f"step {step.name}, which measures it, needs {needs}, "
            "and no stage has measured it there",
        )
    measuring = Remeasuring(
        run=run, cache=parts.open_cache(), tell=parts.tell, command=parts.command
    )
    return measuring.measure(wanted)


def _read(store: RunFolder, step: PlannedStep) -> tuple[Remeasured, ...]:
    place = _place(store, step)
    # A stage that was stopped has left none.
    if not place.is_file():
        return ()
    return from_json(place.read_bytes(), _Found, str(place)).remeasured
