"""What trials on agents have in common: on the project's remote, else in the sweep's folder."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from nbci.app.sweeps.lane import plan_trial
from nbci.data.remotes import open_folder
from nbci.data.sharing import Sharing
from nbci.engine.caching.look_ahead import LookAhead, ended_records
from nbci.engine.distributed.handover import hand_over
from nbci.engine.distributed.run_parts import cache_of_store, open_store
from nbci.graph import reachable
from nbci.pipeline.search_space import Range
from nbci.store.cache import Cache
from nbci.store.file_index import project_index

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nbci.app.sweeps.parts_folder import PartsFolder
    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.project.sources import Target
    from nbci.records.run_record import RunRecord, StepRecord
    from nbci.runs.folder import RunFolder
    from nbci.sweeps.space import Point
    from nbci.sweeps.study_record import SweepRecord


class KnownResults:
    """What is known of the steps of trials before they run; `store` is the folder of all plans."""

    def __init__(self, project: Project, folder: PartsFolder, store: str | None) -> None:
        self._project = project
        self._folder = folder
        self._store = store
        self._index = project_index(project)
        self.is_shared = project.shared_remote(os.environ) is not None

    def settle(self, plan: Plan) -> LookAhead:
        """Take over what stands of the plan's steps; its store then has their records."""
        return self._settle(plan, open_store(self._project, plan, self._store))

    def keys(self, plan: Plan) -> tuple[dict[str, str], frozenset[str]]:
        """The keys of the steps that come next, by name; and all that are known, with those."""
        with tempfile.TemporaryDirectory(prefix="nbci-sweep-") as place:
            # Of what another worker carries out, nothing may come into this store.
            ahead = self._settle(plan, open_store(self._project, plan, place))
            coming = ahead.next_keys()
            ended = {record.key for record in ended_records(plan, ahead.store)}
        return coming, frozenset(filter(None, {*ended, *coming.values()}))

    def hand_over(self, ahead: LookAhead, leave: Path) -> None:
        """Let the folder hold what stands of the plan's steps, for other machines."""
        names = {record.name for record in ended_records(ahead.plan, ahead.store)}
        steps = [step for step in ahead.plan.steps if step.name in names and step.action == "run"]
        cache = ahead.cache
        if not self.is_shared:
            self._bring(ahead)
            # Without the folder of the sweep, which other machines do not have: all of it travels.
            cache = Cache(ahead.store.path)
        hand_over(ahead.store, cache, steps, leave)
        ahead.name_stages(steps, leave)

    def save(self) -> None:
        """Keep the digests of files for the next process."""
        self._index.save()

    def keep(self, run: RunRecord, plan: Plan, steps: Iterable[str], folder: Path) -> None:
        """Put the results of these steps of a run into a folder, where they were kept at all."""
        if self.is_shared:
            return
        cache = Cache(open_store(self._project, plan, self._store).path)
        sharing = Sharing(cache, (), open_folder(folder))
        for name in steps:
            record = run.step(name)
            if record is not None and is_kept(cache, record):
                sharing.send(record)

    def unkept(self, run: RunRecord, plan: Plan) -> list[str]:
        """The keys of steps whose results were not kept, so that nobody can take them."""
        cache = Cache(open_store(self._project, plan, self._store).path)
        return [step.key for step in run.steps if step.key and not is_kept(cache, step)]

    def _settle(self, plan: Plan, store: RunFolder) -> LookAhead:
        if self.is_shared:
            cache = cache_of_store(self._project, store, os.environ)
        else:
            # Not with DVC's cache, as other stores: what is handed over must lie in this folder.
            cache = Cache(store.path)
            folders = (open_folder(self._folder.known), open_folder(self._folder.best))
            cache.share(Sharing(cache, folders, None))
        ahead = LookAhead(self._project.root, plan, store, cache, self._index)
        ahead.settle(frozenset(plan.names))
        return ahead

    @staticmethod
    def _bring(ahead: LookAhead) -> None:
        # To settle a step takes its record only; the machines need what it gave.
        sharing = ahead.cache.elsewhere
        assert isinstance(sharing, Sharing)
        for record in ended_records(ahead.plan, ahead.store):
            if record.key is not None:
                sharing.take(record)


def is_kept(cache: Cache, record: StepRecord) -> bool:
    """Whether the result may stand for others."""
    return record.key is not None and cache.entry(record).exists()


def steps_for_others(
    sweep: SweepRecord, target: Target, plan: Plan, point: Point, run: RunRecord
) -> list[str]:
    """The steps of a trial that another point may need: not all of its parameters reach them."""
    before = plan.edges()
    reached = []
    for name, value in point.items():
        other = {**point, name: other_value(sweep, name, value)}
        reached.append(_steps_reached(plan, plan_trial(sweep, target, other), run))
    found = []
    for step in plan.names:
        behind = reachable([step], before)
        # What all parameters reach is of this point alone, and would travel for nothing.
        if not all(behind & steps for steps in reached):
            found.append(step)
    return found


def _steps_reached(plan: Plan, other: Plan, run: RunRecord) -> set[str]:
    """The steps whose keys have a parameter that is another one in the other plan."""
    changed = {step.name: step.params or {} for step in other.steps}
    reached = set()
    for step in plan.steps:
        record = run.step(step.name)
        there = changed.get(step.name, {})
        names = {name for name, value in (step.params or {}).items() if there.get(name) != value}
        parts = record.parts if record is not None else ()
        if any(part.kind == "parameter" and part.label in names for part in parts):
            reached.add(step.name)
    return reached


def other_value(sweep: SweepRecord, dimension: str, value: object) -> object:
    """A value of a dimension that is not this one; this one where there is no other."""
    (found,) = [each for each in sweep.space if each.name == dimension]
    values = (found.low, found.high) if isinstance(found, Range) else found.values
    return next((each for each in values if each != value), value)
