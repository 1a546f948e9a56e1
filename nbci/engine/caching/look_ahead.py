"""Find steps whose earlier results stand, before a CI looks for a machine to run them on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.engine.caching.decide import decide
from nbci.engine.steps.aliases import Ended
from nbci.engine.steps.inputs import inputs_for
from nbci.errors import NbciError
from nbci.plan.stages import stages
from nbci.records.run_record import StepRecord
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from nbci.audit_draw import Draw
    from nbci.engine.caching.decide import Decision
    from nbci.plan.model import Plan, PlannedStep
    from nbci.runs.folder import RunFolder
    from nbci.store.cache import Cache
    from nbci.store.file_index import FileIndex

DECIDED = "decided.txt"
_MANY = 8
_FORMAT = "nbci-decided 1"


@dataclass(frozen=True, slots=True)
class LookAhead:
    """Looks for earlier results in a plan that is carried out in pieces.

    Only a shared cache can have results that this run does not have. Nothing is put back or brought
    here: a part takes what earlier steps made when it needs it. Steps that are drawn for an audit
    are left to their part.
    """

    root: Path
    plan: Plan
    store: RunFolder
    cache: Cache
    index: FileIndex
    draw: Draw | None = None

    def settle(self, among: Collection[str]) -> tuple[PlannedStep, ...]:
        """Those of the steps whose result stands and that come after no step still to run.

        Their records are written.
        """
        if self.cache.elsewhere is None or self.cache.elsewhere.trouble is not None:
            return ()
        settled = Ended(self.plan, ended_records(self.plan, self.store))
        waiting = []
        for step in self.plan.steps:
            if step.action == "run" and step.name in among and step.name not in settled:
                waiting.append(step)

        found: list[PlannedStep] = []
        # In waves, since a step's key is known only once all steps before it are settled.
        while True:
            wave, waiting = _next_wave(waiting, settled)
            if not wave:
                return tuple(found)
            for step, decision in zip(wave, self._decisions(wave, settled), strict=True):
                if decision is None or decision.record is None:
                    continue
                if self.draw is not None and self.draw.takes(decision.key):
                    continue
                record = replace(decision.record, result="reused", reason=decision.reason)
                settled[step.name] = record
                self.store.write_step(record)
                self.cache.mark_used(decision.record)
                found.append(step)

    def next_keys(self) -> dict[str, str]:
        """The keys of the steps that come next, by their names: what is before them has ended."""
        settled = Ended(self.plan, ended_records(self.plan, self.store))
        waiting = []
        for step in self.plan.steps:
            if step.action == "run" and step.name not in settled:
                waiting.append(step)
        wave, _ = _next_wave(waiting, settled)
        keys = {}
        for step, decision in zip(wave, self._decisions(wave, settled), strict=True):
            if decision is not None:
                keys[step.name] = decision.key
        return keys

    def _decisions(self, wave: Sequence[PlannedStep], settled: Ended) -> list[Decision | None]:
        """What is known of each; side by side, since a remote takes its time for every answer."""
        # For a few steps, threads would cost more than they save.
        if len(wave) < _MANY:
            return [self._decision(step, settled) for step in wave]
        with ThreadPoolExecutor(_MANY) as pool:
            return list(pool.map(lambda step: self._decision(step, settled), wave))

    def name_stages(self, settled: Iterable[PlannedStep], handover: Path) -> None:
        """Name in a file the stages that need no machine.

        All of their steps have ended, and some are among `settled`.

        The file has the format's version, then lines with a stage's number, a tab, and the reason
        in words. It is written wherever there is a remote: where there is none after planning, a CI
        need not look for it after each stage.
        """
        lines = [_FORMAT, *self._stage_lines({step.name for step in settled})]
        if len(lines) > 1 or self.cache.elsewhere is not None:
            write_atomic(handover / DECIDED, "\n".join(lines) + "\n")

    def _stage_lines(self, settled: set[str]) -> Iterator[str]:
        # Without a result there is no stage to name, and no record of the store to read.
        if not settled:
            return
        ended = Ended(self.plan, ended_records(self.plan, self.store))
        for stage in stages(self.plan):
            # What a step gave with the run's files says nothing of what it gives with others.
            if stage.is_beside:
                continue
            names = [step.name for step in stage.steps]
            if settled.isdisjoint(names) or not all(map(ended.lets_followers_run, names)):
                continue
            runs = dict.fromkeys(ended[name].run or "" for name in names)
            yield f"{stage.number}\tits results stand, of run {', '.join(runs)}"

    def _decision(self, step: PlannedStep, settled: Ended) -> Decision | None:
        """What is known of the step; None where something prevents a decision.

        The problem is then met, and reported, where the step is run.
        """
        try:
            inputs = inputs_for(step, self.plan, settled)
            return decide(self.root, step, inputs, self.cache, self.index, made=settled.outs)
        except NbciError:
            return None


def _next_wave(
    waiting: Sequence[PlannedStep], settled: Ended
) -> tuple[list[PlannedStep], list[PlannedStep]]:
    """The waiting steps that come after settled ones only, and those that wait on."""
    wave: list[PlannedStep] = []
    rest: list[PlannedStep] = []
    for step in waiting:
        if all(map(settled.lets_followers_run, step.after)):
            wave.append(step)
        else:
            rest.append(step)
    return wave, rest


def ended_records(plan: Plan, store: RunFolder) -> tuple[StepRecord, ...]:
    """What the store has of the plan's steps; those that the plan skips have ended, too."""
    found = []
    for step in plan.steps:
        record = store.read_step(step.name)
        if record is None and step.action == "skip":
            record = skipped_record(step)
        if record is not None:
            found.append(record)
    return tuple(found)


def skipped_record(step: PlannedStep) -> StepRecord:
    """The record of a step that did not run."""
    reason = "it was not run"
    if step.action == "skip":
        reason = step.reason
    return StepRecord(name=step.name, result="skipped", reason=reason)
