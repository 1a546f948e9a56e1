"""Measure models of baselines again where a run is carried out in parts: a part of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.earlier_run import EarlierRun
from nbci.app.remeasure import Remeasuring
from nbci.engine.caching.look_ahead import ended_records
from nbci.engine.distributed.handover import hand_over, hand_over_outs
from nbci.engine.distributed.run_parts import cache_of_store
from nbci.engine.prepare import header, mask_for
from nbci.gates.baselines import Search, find_baseline
from nbci.gates.remeasuring import find_wanted_of
from nbci.plan.evaluation import remeasured_steps
from nbci.records.codec import from_json, to_json
from nbci.records.run_record import Remeasured
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.gates.baseline import Baseline, NoBaseline
    from nbci.gates.remeasuring import Wanted
    from nbci.plan.model import Plan, PlannedStep
    from nbci.runs.folder import RunFolder

_FOLDER = "remeasured"
_FILE = "remeasured.json"


class _Found(Struct, frozen=True, kw_only=True):
    """What a part has measured of one step."""

    remeasured: tuple[Remeasured, ...]


class PartWithBaselines(Struct, frozen=True, kw_only=True):
    """A part of a plan that is carried out with the files of the baselines of its gates."""

    project: Project
    plan: Plan
    store: RunFolder
    environ: Mapping[str, str]
    command: tuple[str, ...]
    tell: Callable[[str], None]

    def run(self, step: PlannedStep, handover: Path | None = None) -> tuple[Remeasured, ...]:
        """Measure with the step, and keep in the store, and in the handover, what came of it."""
        cache = cache_of_store(self.project, self.store, self.environ)
        measuring = Remeasuring(run=self._run(), cache=cache, tell=self.tell, command=self.command)
        wanted = find_wanted_of(self.plan, step, self._baselines())
        found = tuple(map(measuring.measure, wanted))
        cache.save()
        place = _place(self.store, step)
        write_atomic(place, to_json(_Found(remeasured=found)))
        if handover is not None:
            # Emptied first: it holds what this part has made, and nothing else.
            hand_over(self.store, cache, (), handover)
            root = self.store.path.parent
            write_atomic(handover / place.relative_to(root), place.read_text(encoding="utf-8"))
            for each in found:
                hand_over_outs(self.store, cache, each.outs, handover)
        return found

    def _baselines(self) -> dict[str, Baseline | NoBaseline]:
        search = Search(
            project=self.project, plan=self.plan, run=self.store.run, environ=self.environ
        )
        asked = dict.fromkeys(gate.baseline for gate in self.plan.gates if gate.baseline)
        return {name: find_baseline(name, search).baseline for name in asked}

    def _run(self) -> EarlierRun:
        """The run as far as it has come in this store."""
        mask = mask_for(self.project, self.plan, self.environ)
        begun = header(self.store.run, self.plan, self.project.root, self.command, mask)
        return EarlierRun(
            project=self.project,
            folder=self.store,
            record=replace(begun, steps=ended_records(self.plan, self.store)),
            plan=self.plan,
            commit=None,
        )


def _place(store: RunFolder, step: PlannedStep) -> Path:
    return store.path / _FOLDER / step.name / _FILE


class FinishedBaselines:
    """What the parts of a run have measured of baselines, for the gates that judge the whole."""

    def __init__(self, part: PartWithBaselines) -> None:
        self._part = part
        self._found = {(each.asked, each.identity, each.step): each for each in _read(part)}

    def measure(self, wanted: Wanted, run: EarlierRun) -> Remeasured:
        """What a part has left; without it, the step is carried out here, if that can be."""
        baseline, step = wanted.baseline, wanted.step
        found = self._found.get((baseline.asked, baseline.identity, step.name))
        if found is not None:
            return found
        needs = _needs_of_machine(step)
        if needs is not None:
            return Remeasured(
                asked=baseline.asked,
                identity=baseline.identity,
                step=step.name,
                reason=f"step {step.name}, which measures it, needs {needs}, "
                "and no stage has measured it there",
            )
        part = self._part
        cache = cache_of_store(part.project, part.store, part.environ)
        measuring = Remeasuring(run=run, cache=cache, tell=part.tell, command=part.command)
        return measuring.measure(wanted)


def _read(part: PartWithBaselines) -> Iterator[Remeasured]:
    for step in remeasured_steps(part.plan):
        place = _place(part.store, step)
        # A stage that was stopped has left none.
        if place.is_file():
            yield from from_json(place.read_bytes(), _Found, str(place)).remeasured


def _needs_of_machine(step: PlannedStep) -> str | None:
    """What only the step's own agent has; None where any machine will do."""
    if step.agent:
        return f"an agent with the label {step.agent}"
    if step.gpu:
        return "a GPU"
    if step.container:
        return f"the container {step.container}"
    if step.secrets:
        return f"the secret {step.secrets[0]}"
    return None
