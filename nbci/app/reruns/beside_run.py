"""What is carried out beside a run for its verdict: models of baselines, and other seeds.

Imported with every run, so that what does the work is imported only where there is some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.app.request import RunRequest
    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.app.reruns.reseed import Seeding
    from nbci.config import Project
    from nbci.gates.baseline import Baseline
    from nbci.gates.remeasuring import Wanted
    from nbci.plan.model import Plan
    from nbci.records.chosen import Chosen
    from nbci.records.run_record import Remeasured, RunRecord
    from nbci.records.seeds import BaselineSeeds, SeedRuns
    from nbci.runs.folder import RunFolder
    from nbci.store.cache import Cache


def check_seeds(plan: Plan, chosen: Chosen | None) -> None:
    """UsageError where there will be several seeds, and what compares them is not installed."""
    is_confirmed = chosen is not None and chosen.confirm_seeds is not None
    if is_confirmed or (plan.seeds is not None and not plan.leaves_out):
        from nbci.behaviour.seed_noise import check_statistics

        check_statistics()


class BesideRun:
    """Carries steps out beside a run whose folder this process holds.

    `cache` has what the run's steps gave. `tell` is called with what is carried out.
    """

    def __init__(
        self,
        project: Project,
        plan: Plan,
        folder: RunFolder,
        *,
        cache: Cache,
        request: RunRequest,
        tell: Callable[[str], None],
    ) -> None:
        self._project = project
        self._plan = plan
        self._folder = folder
        self._cache = cache
        self._request = request
        self._tell = tell

    def remeasure(self, record: RunRecord, wanted: Wanted) -> Remeasured:
        """The baseline's model on the data of the run, or why it cannot be measured."""
        from nbci.app.reruns.remeasure import Remeasuring

        measuring = Remeasuring(
            run=self._run(record),
            cache=self._cache,
            tell=self._tell,
            command=self._request.command,
        )
        return measuring.measure(wanted)

    def run_seeds(self, record: RunRecord) -> SeedRuns:
        """The run with each of its seeds, or why there is its own only."""
        return self._seeding(record).run_seeds()

    def baseline_seeds(self, record: RunRecord, baseline: Baseline) -> BaselineSeeds:
        """The baseline with the seeds of the run, on its data, or why that cannot be."""
        return self._seeding(record).baseline_seeds(baseline)

    def confirm(self, record: RunRecord) -> RunRecord:
        """The record of a chosen trial with what it gives where no trial has looked."""
        from nbci.app.reruns.confirm import confirm

        return confirm(self._run(record), self._seeding(record))

    def _seeding(self, record: RunRecord) -> Seeding:
        from nbci.app.reruns.reseed import Seeding

        return Seeding(
            run=self._run(record), cache=self._cache, request=self._request, tell=self._tell
        )

    def _run(self, record: RunRecord) -> EarlierRun:
        from nbci.app.reruns.earlier_run import EarlierRun

        # Its code is what is checked out, in a commit or not.
        return EarlierRun(
            project=self._project, folder=self._folder, record=record, plan=self._plan, commit=None
        )
