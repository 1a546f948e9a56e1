"""Find why a step of a proof differs, by running it alone with one thing held, then another."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.reruns.compare_proof import StepComparison
from nbci.app.reruns.earlier_run import plan_steps_again
from nbci.app.reruns.rerun import Rerun, RerunOptions
from nbci.engine.listener import Aside
from nbci.errors import NbciError
from nbci.formatting.durations import duration
from nbci.kernels.held import Held
from nbci.plan.select import with_time_limits
from nbci.proofs.cause import SearchEnded, find_cause
from nbci.proofs.compare_steps import Both
from nbci.proofs.conditions import trials_for
from nbci.proofs.sentences import first_item
from nbci.runs.project_runs import new_belonging_run
from nbci.workspaces.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbci.engine.context import RunContext
    from nbci.plan.model import Plan
    from nbci.proofs.tolerance import Tolerance
    from nbci.records.proof import Cause, Proof
    from nbci.records.run_record import StepRecord
    from nbci.store.cache import Cache

_MOST_RUNS = 40
_NEW_INTERPRETER = Held(variables={"NBCI_ZYGOTE": "off"})
"""Kernels that are forked from one process have what it drew when it was started in common."""


class CauseSearch(Struct, frozen=True, kw_only=True):
    """A proof whose workspace is still there, to look for the cause of its first difference.

    `known` has what the run that is proved gave. No run of the step begins after `within_seconds`.
    """

    rerun: Rerun
    context: RunContext
    known: Cache
    tolerance: Tolerance
    within_seconds: float
    tell: Callable[[str], None]


def add_cause(search: CauseSearch, proof: Proof) -> Proof:
    """The proof with the cause of its first difference; as it is where there is none to find."""
    found = first_item(proof.steps, "different")
    if found is None:
        return proof
    name = found[0].step
    now = search.context.records[name]
    planned = search.context.plan.step(name)
    # A step that fails has said why, and conditions are held in kernels of Python only.
    if now.result != "passed" or planned.language != "python":
        return proof
    began = time.monotonic()
    cause = _look_for_cause(search, now, proof.surroundings)
    cause = replace(cause, seconds=round(time.monotonic() - began, 3))
    return replace(proof, cause=cause, sentence=f"{proof.sentence}: {cause.sentence}")


def _look_for_cause(
    search: CauseSearch, record: StepRecord, surroundings: tuple[str, ...]
) -> Cause:
    planned = search.context.plan.step(record.name)
    trials = trials_for(record, search.context.kernel_variables(planned))
    runs = _StepRuns(search, record)
    return find_cause(record.name, runs, trials, surroundings)


class _StepRuns:
    """Runs of one step, each in a workspace of its own in the same place, one after another."""

    def __init__(self, search: CauseSearch, now: StepRecord) -> None:
        self._search = search
        self._rerun = search.rerun
        self._step = now.name
        self._seconds = now.seconds or 0.0
        self._deadline = time.monotonic() + search.within_seconds
        self._ran = 0
        self._place = ""

    def run(self, held: Held, title: str) -> StepRecord:
        """One run of the step; SearchEnded where it is over or cannot be carried out."""
        limit = duration(self._search.within_seconds)
        left = self._deadline - time.monotonic()
        if left < self._seconds:
            raise SearchEnded(
                f"the next run would take {duration(self._seconds)}, and all may take {limit} "
                "(--cause-within)"
            )
        if self._ran == _MOST_RUNS:
            raise SearchEnded(f"it was run {self._ran} times")
        self._ran += 1
        self._search.tell(f"why does {self._step} differ? run {self._ran} alone: {title}")
        began = time.monotonic()
        try:
            return self._run(_NEW_INTERPRETER.with_too(held), left)
        except NbciError as error:
            raise SearchEnded(f"it could not be run alone: {error.message}") from error
        finally:
            # With its workspace, whose files are copied each time.
            self._seconds = max(self._seconds, time.monotonic() - began)

    def _run(self, held: Held, left_seconds: float) -> StepRecord:
        plan = plan_steps_again(self._rerun.before, (self._step,), "to find why it differs")
        plan = with_time_limits(plan, left_seconds, None)
        # Where results of the first run and of these come from: one for all.
        cache = self._search.context.cache
        with self._open(plan) as trial:
            self._place = str(trial.workspace.project.root)
            for record in trial.taken_over.values():
                for ref in record.gives:
                    cache.take_value(self._search.known, ref.object)
            trial.bring_data(cache)
            ready = trial.make_ready(trial.read_code(), cache)
            options = RerunOptions(
                role="proof", command=(), jobs=1, forced=lambda _: True, held=held
            )
            aside = Aside(self._search.tell, f"step {self._step} alone")
            context, run = trial.run(ready, options, aside)
        if run.result == "interrupted":
            raise SearchEnded("it was interrupted")
        if context.stop.reason is not None:
            raise SearchEnded(
                f"all runs may take {duration(self._search.within_seconds)} (--cause-within)"
            )
        return context.records[self._step]

    @contextlib.contextmanager
    def _open(self, plan: Plan) -> Iterator[Rerun]:
        """A workspace for one run; all have one path, since values may hold it."""
        before, proof = self._rerun.before, self._rerun.folder
        folder = new_belonging_run(proof)
        try:
            with open_workspace(
                before.project, f"{proof.run}-why", before.contents(plan)
            ) as workspace:
                yield Rerun(before=before, plan=plan, workspace=workspace, folder=folder)
        finally:
            folder.release()
            folder.discard()

    def agree(self, one: StepRecord, other: StepRecord) -> bool:
        """Whether two of these runs gave the same, within the tolerance."""
        return self._are_same(one, other, self._search.context.cache, self._place)

    def gave_before(self, record: StepRecord) -> bool:
        """Whether one of these runs gave what the run that is proved gave."""
        before = self._rerun.before.record.step(self._step)
        checkout = str(self._rerun.before.project.root)
        return before is not None and self._are_same(before, record, self._search.known, checkout)

    def _are_same(self, one: StepRecord, other: StepRecord, known: Cache, place: str) -> bool:
        search = self._search
        comparison = StepComparison(search.context, known, place, search.tolerance)
        planned = search.context.plan.step(self._step)
        found = asyncio.run(comparison.compare(planned, Both(before=one, now=other)))
        search.context.environments.release()
        return found.agreement != "different"
