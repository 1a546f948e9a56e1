"""A run that is carried out in parts, as what is carried out beside it sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.reruns.earlier_run import EarlierRun
from nbci.engine.caching.look_ahead import ended_records
from nbci.engine.distributed.run_parts import cache_of_store
from nbci.engine.prepare import header, mask_for
from nbci.gates.baselines import Search, find_baseline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbci.config import Project
    from nbci.gates.baseline import Baseline, NoBaseline
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder
    from nbci.store.cache import Cache


class Parts(Struct, frozen=True, kw_only=True):
    """A plan whose steps are carried out in parts, which leave what they give in the store.

    `command` is what carries out this part. `tell` is called with what is carried out.
    """

    project: Project
    plan: Plan
    store: RunFolder
    environ: Mapping[str, str]
    command: tuple[str, ...]
    tell: Callable[[str], None]

    def open_cache(self) -> Cache:
        """The store's cache, which asks the remote for what it lacks."""
        return cache_of_store(self.project, self.store, self.environ)

    def run_so_far(self) -> EarlierRun:
        """The run as far as it has come in this store."""
        # Reasons and notices of what is carried out go into logs.
        mask = mask_for(self.project, self.plan, self.environ)
        begun = header(self.store.run, self.plan, self.project.root, self.command, mask)
        record = replace(begun, steps=ended_records(self.plan, self.store))
        return self.run_in(self.store, record)

    def run_in(self, folder: RunFolder, record: RunRecord) -> EarlierRun:
        """The run with its records in that folder; its code is what is checked out."""
        return EarlierRun(
            project=self.project, folder=folder, record=record, plan=self.plan, commit=None
        )

    def baselines(self) -> dict[str, Baseline | NoBaseline]:
        """What the gates compare with, by the names that they have for it."""
        search = Search(
            project=self.project, plan=self.plan, run=self.store.run, environ=self.environ
        )
        asked = dict.fromkeys(gate.baseline for gate in self.plan.gates if gate.baseline)
        return {name: find_baseline(name, search).baseline for name in asked}
