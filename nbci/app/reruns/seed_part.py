"""Other seeds where a run is carried out in parts: a part for each seed, and what they come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.request import RunRequest
from nbci.app.reruns.reseed import Seeding
from nbci.engine.distributed.handover import hand_over, hand_over_results
from nbci.gates.baseline import Baseline
from nbci.plan.stages import SEVERAL_PLACES, is_in_one_place, needs_of_machine
from nbci.records.seeds import SeedRuns
from nbci.runs.project_runs import belonging_runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.app.reruns.parts import Parts
    from nbci.plan.model import Plan, PlannedSeeds
    from nbci.records.run_record import RunRecord, StepRecord
    from nbci.records.seeds import BaselineSeeds
    from nbci.runs.folder import RunFolder
    from nbci.store.cache import Cache


def seed_in_part(parts: Parts, value: int | float, handover: Path | None = None) -> None:
    """Carry the run, and the baselines of gates, out with that seed.

    What comes of it is kept by its keys: who puts the run together finds it in the cache.
    """
    cache, seeds = parts.open_cache(), _seeds_of(parts.plan)
    run = parts.run_so_far()
    # Its own seed is that of the other stages, whose results are found by their keys.
    own, first, *_ = seeds.values
    found = _seeding(parts, run, cache, (own, value)).run_seeds()
    _tell(parts, found.reason, "the run")

    run = replace(run, record=replace(run.record, seeds=found))
    # One of the parts carries the baselines out with the run's own seed, too.
    values = (own, value) if value == first else (value,)
    for baseline in _baselines_beyond_noise(parts):
        again = _seeding(parts, run, cache, values).baseline_seeds(baseline)
        _tell(parts, again.reason, baseline.source)
    cache.save()
    if handover is not None:
        hand_over(parts.store, cache, (), handover)
        hand_over_results(parts.store, cache, _made(parts.store), handover)


def _tell(parts: Parts, reason: str | None, what: str) -> None:
    if reason is not None:
        parts.tell(f"{what} is not carried out with another seed: {reason}")


def _baselines_beyond_noise(parts: Parts) -> Iterator[Baseline]:
    """Those that gates tell from noise."""
    wanted = {gate.baseline for gate in parts.plan.gates if gate.beyond_noise}
    for asked, baseline in parts.baselines().items():
        if asked in wanted and isinstance(baseline, Baseline):
            yield baseline


def _made(store: RunFolder) -> Iterator[StepRecord]:
    """What was carried out in this store beside the run, not taken from earlier results."""
    for folder in belonging_runs(store):
        for record in folder.read().steps:
            if record.result == "passed" and record.run is not None:
                yield record


def _seeding(
    parts: Parts, run: EarlierRun, cache: Cache, values: tuple[int | float, ...]
) -> Seeding:
    """Carries the run out with these values of the seed, the first its own."""
    seeds = replace(_seeds_of(run.plan), values=values)
    return Seeding(
        run=replace(run, plan=replace(run.plan, seeds=seeds)),
        cache=cache,
        request=RunRequest(target=run.plan.target, resume=None, command=parts.command),
        tell=parts.tell,
    )


class FinishedSeeds(Struct, frozen=True, kw_only=True):
    """The run and its baselines with other seeds, from what the parts have left."""

    parts: Parts
    folder: RunFolder

    def run_seeds(self, record: RunRecord) -> SeedRuns:
        """The run with each of its seeds, or why there is its own only."""
        plan = self.parts.plan
        if not is_in_one_place(plan):
            return SeedRuns(parameter=_seeds_of(plan).parameter, reason=SEVERAL_PLACES)
        return self._seeding(record).run_seeds()

    def baseline_seeds(self, record: RunRecord, baseline: Baseline) -> BaselineSeeds:
        """The baseline with the seeds of the run, on its data, or why that cannot be."""
        return self._seeding(record).baseline_seeds(baseline)

    def _seeding(self, record: RunRecord) -> Seeding:
        parts = self.parts
        run = parts.run_in(self.folder, record)
        seeding = _seeding(parts, run, parts.open_cache(), _seeds_of(parts.plan).values)
        # Where a stage was stopped, another machine may not be able to do its work.
        return replace(seeding, only_kept=any(map(needs_of_machine, parts.plan.steps)))


def _seeds_of(plan: Plan) -> PlannedSeeds:
    # There are such parts only where the plan has seeds.
    assert plan.seeds is not None
    return plan.seeds
