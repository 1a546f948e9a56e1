"""Carry out hybrids of two runs, in a workspace of their own, as runs that belong to the later."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.app.exit_codes import exit_code
from nbci.app.reruns.hybrid_plans import HybridPlanner, PlannedHybrid
from nbci.app.reruns.rerun import Rerun, RerunOptions
from nbci.engine.caching.decide import is_kept
from nbci.engine.caching.forecast import foresee
from nbci.engine.listener import Aside
from nbci.engine.observed.kinds import WRITTEN
from nbci.errors import ExitCode, InfrastructureError, IntegrityError, NbciError, UsageError
from nbci.runs.project_runs import new_belonging_run
from nbci.runs.run_file import new_run_id
from nbci.store.file_index import project_index
from nbci.workspaces.workspace import Contents, open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nbci.app.reruns.mixture import Side
    from nbci.blame.factors import Mixture
    from nbci.blame.subsets import Subset
    from nbci.records.run_record import RunRecord, StepRecord
    from nbci.store.cache import Cache
    from nbci.workspaces.workspace import Workspace


class HybridOptions(Struct, frozen=True, kw_only=True):
    """`metrics` are the full names of the metric in both runs, `limit` is how many step runs.

    `tell` is called with what is done.
    """

    metrics: tuple[str, ...]
    limit: int | None
    jobs: int | None
    command: tuple[str, ...]
    tell: Callable[[str], None]


class Outcome(Struct, frozen=True, kw_only=True):
    """What a hybrid gave: the metric, or why there is none; `run` is where it was carried out."""

    value: float | None = None
    problem: str = ""
    run: str | None = None


class _Waiting(Struct, frozen=True):
    """A hybrid that is to be carried out, and its steps that have to run."""

    hybrid: PlannedHybrid
    steps: tuple[str, ...]


class OverLimitError(UsageError):
    """More step runs are needed than were allowed."""


class Hybrids:
    """Measures hybrids, each once; what has been measured is kept in the user's cache."""

    def __init__(
        self,
        sides: tuple[Side, Side],
        mixture: Mixture,
        cache: Cache,
        workspace: Workspace,
        options: HybridOptions,
    ) -> None:
        self._after = sides[1].run
        self._factors = mixture.factors
        self._cache = cache
        self._workspace = workspace
        self._options = options
        self._by_signature: dict[str, Outcome] = {}
        self._not_kept = _not_kept(sides)
        self._counts: dict[Subset, int] = {}
        self.planner = HybridPlanner(
            sides, mixture, workspace.project, cache, metrics=options.metrics
        )
        self.outcomes: dict[Subset, Outcome] = {}
        self.ends: dict[Subset, Side] = {}
        """Hybrids that are one of the two runs: they have to work."""
        self.idle: Subset = frozenset()
        """Parts that change nothing, and need not be named."""
        self.step_runs = 0

    def measure(self, subsets: Sequence[Subset]) -> dict[Subset, float | None]:
        """The metric of each hybrid; OverLimitError before more steps run than are allowed."""
        waiting = []
        # Without the ends there is no use in the others.
        for subset in sorted(dict.fromkeys(subsets), key=lambda each: each not in self.ends):
            if subset not in self.outcomes:
                waiting += self._look(subset)
        self._refuse_broken_ends()
        self._allow(waiting, subsets)
        for number, each in enumerate(waiting, start=1):
            hybrid = each.hybrid
            if hybrid.signature not in self._by_signature:
                place = f" {number} of {len(waiting)}" if len(waiting) > 1 else ""
                self.tell(f"hybrid{place}: {self._title(hybrid.new)}")
                self._by_signature[hybrid.signature] = self._carry_out(hybrid)
            self.outcomes[hybrid.new] = self._by_signature[hybrid.signature]
            self._refuse_broken_ends()
        return {subset: self.outcomes[subset].value for subset in subsets}

    def signature(self, new: Subset) -> str | None:
        """What the metric depends on in a hybrid; None where it cannot be planned."""
        try:
            hybrid = self.planner.plan(new)
        except NbciError:
            return None
        return hybrid.signature

    def tell(self, text: str) -> None:
        """Tell what is done."""
        self._options.tell(text)

    def names(self, new: Subset) -> tuple[str, ...]:
        """The names of the parts in their order, without those that change nothing."""
        return tuple(self._factors[number].name for number in sorted(new - self.idle))

    def _refuse_broken_ends(self) -> None:
        for end, side in self.ends.items():
            outcome = self.outcomes.get(end)
            if outcome is not None and outcome.problem:
                error = UsageError(f"it does not run as it did: {outcome.problem}")
                raise side.run.refusal(error, "blamed")

    def _title(self, new: Subset) -> str:
        names = self.names(new)
        if not names:
            return "all parts old"
        return f"new {', '.join(names)}"

    def _look(self, new: Subset) -> list[_Waiting]:
        """Plan a hybrid; nothing where its outcome is known without running any step."""
        try:
            hybrid = self.planner.plan(new)
        except NbciError as error:
            self.outcomes[new] = Outcome(problem=str(error))
            return []
        self._counts[new] = len(hybrid.signatures)
        known = self._by_signature.get(hybrid.signature)
        if known is not None:
            self.outcomes[new] = known
            return []
        project = self._workspace.project
        plan, results = foresee(
            hybrid.plan, project, self._cache, project_index(project), lambda _: None
        )
        record = results.get(hybrid.step)
        if record is not None:
            self.outcomes[new] = self._by_signature[hybrid.signature] = self._outcome(record, None)
            return []
        runs = tuple(step.name for step in plan.steps if step.action in ("run", "depends"))
        return [_Waiting(hybrid, runs)]

    def _allow(self, waiting: Sequence[_Waiting], subsets: Sequence[Subset]) -> None:
        """Say how many steps have to run; OverLimitError where these are too many."""
        if not waiting:
            return
        once: set[tuple[str, str]] = set()
        again = 0
        for each in waiting:
            for name in each.steps:
                if name in self._not_kept:
                    again += 1
                else:
                    once.add((name, each.hybrid.signatures[name]))
        needed = again + len(once)
        total = sum(self._counts.get(subset, 0) for subset in subsets)
        so_far = f", after {self.step_runs} that ran" if self.step_runs else ""
        text = f"{needed} of {total} step runs are needed{so_far}, the rest is kept"
        count = len(subsets)
        if count > 1:
            text = f"{count} hybrids: at most {text}"
        limit = self._options.limit
        if limit is not None and self.step_runs + needed > limit:
            raise OverLimitError(
                f"{text}; without --yes, {limit} may run",
                hint="let them run with --yes, or allow so many: --limit N; "
                "what was computed is kept",
            )
        if count > 1:
            self.tell(text)

    def _carry_out(self, hybrid: PlannedHybrid) -> Outcome:
        """Run a hybrid; what failed in it is its outcome, what failed around it is raised."""
        self.planner.place(hybrid.new)
        folder = new_belonging_run(self._after.folder)
        rerun = Rerun(
            before=self._after, plan=hybrid.plan, workspace=self._workspace, folder=folder
        )
        options = RerunOptions(
            role="hybrid", command=self._options.command, jobs=self._options.jobs
        )
        try:
            ready = rerun.make_ready(hybrid.notebooks, self._cache)
            display = Aside(self._options.tell, "hybrid")
            _, record = rerun.run(ready, options, display)
            ready.save()
        except UsageError as error:
            # The lock file of one side may name what is not to be had on this machine.
            return Outcome(problem=str(error))
        finally:
            folder.release()
            if not folder.has_begun:
                folder.discard()
        self.step_runs += sum(step.result == "passed" for step in record.steps)
        self.planner.files.clear(hybrid.plan, record)
        _raise_trouble(record)
        done = record.step(hybrid.step)
        if done is None or not done.ended_well:
            reasons = [failure.message for failure in record.failures]
            problem = reasons[0] if reasons else f"it is {record.result}"
            return Outcome(problem=problem, run=record.run)
        return self._outcome(done, record.run)

    def _outcome(self, record: StepRecord, run: str | None) -> Outcome:
        """What the step that measures the metric gave."""
        for name, value in record.full_metrics.items():
            if name not in self._options.metrics:
                continue
            if not math.isfinite(value):
                return Outcome(problem=f"its {name} is {value}", run=run)
            return Outcome(value=value, run=run)
        return Outcome(problem=f"it gives no {self._options.metrics[0]}", run=run)


@contextlib.contextmanager
def open_hybrids(
    sides: tuple[Side, Side], mixture: Mixture, cache: Cache, options: HybridOptions
) -> Iterator[Hybrids]:
    """A workspace in which hybrids are carried out; the later run's folder is held meanwhile.

    UsageError where a file that both runs used is gone, and not the same any more.
    """
    after = sides[1].run
    also: dict[str, None] = {}
    folders: dict[str, None] = {}
    without: dict[str, None] = {}
    for side in sides:
        contents = side.run.contents(side.run.plan)
        also.update(dict.fromkeys(contents.also))
        folders.update(dict.fromkeys(contents.folders))
        without.update(dict.fromkeys(contents.without))
    contents = Contents(
        commit=after.commit, also=tuple(also), folders=tuple(folders), without=tuple(without)
    )
    with open_workspace(after.project, new_run_id(time.time()), contents) as workspace:
        hybrids = Hybrids(sides, mixture, cache, workspace, options)
        hybrids.planner.restore_unchanged()
        yield hybrids


def _not_kept(sides: tuple[Side, Side]) -> set[str]:
    """The steps that run in every hybrid, since nothing may stand for their result."""
    names = set()
    for side in sides:
        for record in side.run.record.steps:
            writes = any(part.kind == WRITTEN for part in record.observed)
            if writes or not is_kept(side.run.plan.step(record.name), record):
                names.add(record.name)
    return names


def _raise_trouble(record: RunRecord) -> None:
    """Raise what ended a hybrid and says nothing of its parts."""
    match exit_code(record):
        case ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        case ExitCode.INFRASTRUCTURE:
            raise InfrastructureError(record.failures[0].message, hint=record.failures[0].hint)
        case ExitCode.INTEGRITY:
            raise IntegrityError(record.failures[0].message, hint=record.failures[0].hint)
