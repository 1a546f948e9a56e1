"""Carry out hybrids of two runs, in a workspace of their own, as runs that belong to the later."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import time
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.exit_codes import exit_code
from nbci.app.hybrid_files import HybridFiles, content_digest
from nbci.app.rerun import Rerun, RerunOptions
from nbci.engine.caching.forecast import foresee
from nbci.engine.caching.reuse import is_kept
from nbci.engine.listener import Aside
from nbci.engine.observed.kinds import WRITTEN
from nbci.engine.prepare import plan_target
from nbci.errors import ExitCode, InfrastructureError, IntegrityError, NbciError, UsageError
from nbci.graph import by_name
from nbci.params import Assignment
from nbci.pipeline.metric_names import step_of
from nbci.pipeline.paths import overlaps_any
from nbci.plan.parts import key_of
from nbci.plan.select import Selection, select
from nbci.project.sources import Target, project_reader, read_pipeline
from nbci.runs.project_runs import new_belonging_run
from nbci.runs.run_file import new_run_id
from nbci.store.file_index import project_index
from nbci.workspaces.workspace import Contents, open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nbci.app.mixture import Side
    from nbci.blame.factors import Content, Mixture
    from nbci.blame.subsets import Subset
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import RunRecord, StepRecord
    from nbci.store.cache import Cache
    from nbci.workspaces.workspace import Workspace

_SOURCE = "an earlier run"
_USED = frozenset(("file", "module", "link", "stat", "environment"))
"""The kinds of observations whose results change with a file's content."""


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


class _Planned(Struct, frozen=True, kw_only=True):
    """A hybrid that is to be measured.

    `signatures` stand for all that a step's result depends on; `steps` are those that have to run.
    """

    new: Subset
    plan: Plan
    notebooks: Mapping[str, TaggedNotebook]
    signatures: Mapping[str, str]
    step: str
    steps: tuple[str, ...] = ()


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
        self._sides = sides
        self._mixture = mixture
        self._cache = cache
        self._workspace = workspace
        self._options = options
        self._files = HybridFiles(workspace.project, mixture, cache)
        self._by_signature: dict[str, Outcome] = {}
        self._uses = _uses(sides)
        self._not_kept = _not_kept(sides)
        self.outcomes: dict[Subset, Outcome] = {}
        self.ends: dict[Subset, Side] = {}
        """Hybrids that are one of the two runs: they have to work."""
        self.idle: Subset = frozenset()
        """Parts that change nothing, and need not be named."""
        self.step_runs = 0

    def measure(self, subsets: Sequence[Subset]) -> dict[Subset, float | None]:
        """The metric of each hybrid; OverLimitError before more steps run than are allowed."""
        planned = []
        # Without the ends there is no use in the others.
        for subset in sorted(dict.fromkeys(subsets), key=lambda each: each not in self.ends):
            if subset not in self.outcomes:
                hybrid = self._look(subset)
                if hybrid is not None:
                    planned.append(hybrid)
        self._refuse_broken_ends()
        self._allow(planned, len(subsets))
        for number, hybrid in enumerate(planned, start=1):
            known = self._by_signature.get(hybrid.signatures[hybrid.step])
            if known is None:
                place = f" {number} of {len(planned)}" if len(planned) > 1 else ""
                self._options.tell(f"hybrid{place}: {self._title(hybrid.new)}")
                known = self._carry_out(hybrid)
                self._by_signature[hybrid.signatures[hybrid.step]] = known
            self.outcomes[hybrid.new] = known
            self._refuse_broken_ends()
        return {subset: self.outcomes[subset].value for subset in subsets}

    def restore_unchanged(self) -> None:
        """Have the files that no hybrid changes as the runs used them; UsageError for one gone."""
        for side in reversed(self._sides):
            for path in side.files:
                if not self._files.restore(side, path):
                    error = UsageError(f"{path} is not as it was")
                    raise side.run.refusal(error, "blamed")

    def signature(self, new: Subset) -> str | None:
        """What the metric depends on in a hybrid; None where it cannot be planned."""
        try:
            hybrid = self._plan(new)
        except NbciError:
            return None
        return hybrid.signatures[hybrid.step]

    def changed_steps(self, end: Subset, side: Side) -> list[str]:
        """Steps of a hybrid that is one of the runs which are no longer planned as they were."""
        then = by_name(side.run.plan.steps)
        names = []
        for step in self._plan(end).plan.steps:
            before = then.get(step.name)
            if step.action == "run" and before and key_of(step.parts) != key_of(before.parts):
                names.append(step.name)
        return names

    def names(self, new: Subset) -> tuple[str, ...]:
        """The names of the parts in their order, without those that change nothing."""
        return tuple(self._mixture.factors[number].name for number in sorted(new - self.idle))

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

    def _look(self, new: Subset) -> _Planned | None:
        """Plan a hybrid; None where its outcome is known without running any step."""
        try:
            hybrid = self._plan(new)
        except NbciError as error:
            self.outcomes[new] = Outcome(problem=str(error))
            return None
        known = self._by_signature.get(hybrid.signatures[hybrid.step])
        if known is not None:
            self.outcomes[new] = known
            return None
        project = self._workspace.project
        plan, results = foresee(
            hybrid.plan, project, self._cache, project_index(project), lambda _: None
        )
        record = results.get(hybrid.step)
        if record is not None:
            self.outcomes[new] = self._outcome(record, None)
            self._by_signature[hybrid.signatures[hybrid.step]] = self.outcomes[new]
            return None
        runs = tuple(step.name for step in plan.steps if step.action in ("run", "depends"))
        return replace(hybrid, steps=runs)

    def _allow(self, planned: Sequence[_Planned], count: int) -> None:
        """Say how many steps have to run; OverLimitError where these are too many."""
        if not planned:
            return
        once: set[tuple[str, str]] = set()
        again = 0
        for hybrid in planned:
            for name in hybrid.steps:
                if name in self._not_kept:
                    again += 1
                else:
                    once.add((name, hybrid.signatures[name]))
        needed = again + len(once)
        total = sum(len(hybrid.signatures) for hybrid in planned)
        so_far = f", after {self.step_runs} that ran" if self.step_runs else ""
        text = f"{needed} of {total} step runs are needed{so_far}, the rest is kept"
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
            self._options.tell(text)

    def _plan(self, new: Subset) -> _Planned:
        """Place the hybrid's files, and plan it as far as the step that measures the metric."""
        contents = self._place(new)
        project = self._workspace.project
        path = self._sides[1].run.plan.target
        pipeline, sources = read_pipeline(path, project_reader(project))
        declared = {parameter.name for parameter in pipeline.params}
        assignments = []
        for name, value in self._mixture.values(new).items():
            if name in declared:
                assignments.append(Assignment(name=name, value=value, source=_SOURCE))
        target = Target(project=project, pipeline=pipeline, sources=sources)
        plan = plan_target(target, environ=os.environ, exported=assignments)
        step = self._measuring_step(plan)
        plan = select(replace(plan, gates=(), metrics=None), Selection(until=(step,)))
        if plan.step(step).action == "skip":
            raise UsageError(f"step {step} is skipped: {plan.step(step).reason}")
        return _Planned(
            new=new,
            plan=plan,
            notebooks=pipeline.notebooks,
            signatures=self._signatures(plan, contents),
            step=step,
        )

    def _place(self, new: Subset) -> dict[str, Content]:
        """Have the hybrid's files in the workspace; those that are exchanged."""
        contents = dict(self._mixture.contents(new))
        self._files.place({**self._mixture.same, **contents})
        return contents

    def _measuring_step(self, plan: Plan) -> str:
        for metric in self._options.metrics:
            step = step_of(metric)
            if step in plan.names:
                return step
        raise UsageError(f"no step of it measures {self._options.metrics[0]}")

    def _signatures(self, plan: Plan, contents: Mapping[str, Content]) -> dict[str, str]:
        """For each step that runs, what stands for all that its result depends on."""
        signatures: dict[str, str] = {}
        for step in plan.steps:
            if step.action != "run":
                continue
            files = []
            for path, content in contents.items():
                if self._is_used(step, path):
                    files.append([path, content_digest(content)])
            above = [signatures.get(name, "") for name in step.after]
            text = json.dumps([step.name, key_of(step.parts), files, above])
            signatures[step.name] = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return signatures

    def _is_used(self, step: PlannedStep, path: str) -> bool:
        declared = (*step.deps, *filter(None, (step.environment,)))
        return overlaps_any(path, (*declared, *self._uses.get(step.name, ())))

    def _carry_out(self, hybrid: _Planned) -> Outcome:
        """Run a hybrid; what failed in it is its outcome, what failed around it is raised."""
        self._place(hybrid.new)
        after = self._sides[1].run
        folder = new_belonging_run(after.folder)
        rerun = Rerun(before=after, plan=hybrid.plan, workspace=self._workspace, folder=folder)
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
        self._files.clear(hybrid.plan, record)
        _raise_trouble(record)
        done = record.step(hybrid.step)
        if done is None or not done.ended_well:
            reasons = [failure.message for failure in record.failures]
            problem = reasons[0] if reasons else f"it is {record.result}"
            return Outcome(problem=problem, run=record.run)
        return self._outcome(done, record.run)

    def _outcome(self, record: StepRecord, run: str | None) -> Outcome:
        """What the step that measures the metric gave."""
        for metric in record.metrics:
            name = f"{record.name}:{metric.name}"
            if name not in self._options.metrics:
                continue
            if not math.isfinite(metric.value):
                return Outcome(problem=f"its {name} is {metric.value}", run=run)
            return Outcome(value=metric.value, run=run)
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
        hybrids.restore_unchanged()
        yield hybrids


def _uses(sides: tuple[Side, Side]) -> dict[str, tuple[str, ...]]:
    """The files that steps were seen to use, by the step's name."""
    uses: dict[str, dict[str, None]] = {}
    for side in sides:
        for record in side.run.record.steps:
            paths = uses.setdefault(record.name, {})
            paths.update(dict.fromkeys(ref.path for ref in record.deps))
            for part in record.observed:
                if part.kind in _USED:
                    paths[part.label] = None
    return {name: tuple(paths) for name, paths in uses.items()}


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
