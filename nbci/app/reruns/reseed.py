"""Carry a run, and its baselines, out with several seeds: how far metrics move by chance."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.reruns.rerun import (
    Rerun,
    RerunOptions,
    begin_belonging,
    clear_written,
    why_failed,
)
from nbci.behaviour.seed_noise import bands_of, differences_of
from nbci.engine.caching.forecast import foresee
from nbci.engine.listener import Aside
from nbci.engine.prepare import plan_again
from nbci.errors import IntegrityError, NbciError, UsageError
from nbci.gates.baselines import commit_of
from nbci.git.process import Git
from nbci.graph import by_name, followers_of, reachable
from nbci.pipeline.paths import overlaps_any
from nbci.plan.planned_seeds import steps_with_seed
from nbci.plan.select import with_time_limits
from nbci.project.sources import Target, read_notebooks, read_pipeline, read_target
from nbci.records.git_state import GitState
from nbci.records.seeds import BaselineSeeds, SeedRun, SeedRuns
from nbci.runs.project_runs import find_run
from nbci.store.file_index import project_index
from nbci.trust.target_branch import file_at
from nbci.workspaces.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nbci.app.request import RunRequest
    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.config import Project
    from nbci.gates.baseline import Baseline, BaselineCode
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan, PlannedSeeds
    from nbci.records.run_record import ParameterValue, RunRecord
    from nbci.store.cache import Cache

_CODE = (".py", ".ipynb", ".md", ".r", ".jl")


class Seeding(Struct, frozen=True, kw_only=True):
    """Carries pipelines out with other seeds beside a run, whose folder this process holds.

    `cache` has what the run's steps gave, `request` is how it was asked for. `tell` is called with
    what is carried out. With `only_kept` nothing is, and kept results alone count.
    """

    run: EarlierRun
    cache: Cache
    request: RunRequest
    tell: Callable[[str], None]
    only_kept: bool = False

    @property
    def seeds(self) -> PlannedSeeds:
        """Those of the run's plan; who asks for them has looked whether there are any."""
        assert self.run.plan.seeds is not None
        return self.run.plan.seeds

    def run_seeds(self) -> SeedRuns:
        """The run with each of its seeds, or why there is its own only."""
        record, parameter = self.run.record, self.seeds.parameter
        own = SeedRun(value=self.seeds.values[0], run=record.run, metrics=record.metrics)
        try:
            others = self._own_runs()
        except NbciError as error:
            return SeedRuns(parameter=parameter, runs=(own,), reason=error.message)
        runs = (own, *others)
        return SeedRuns(parameter=parameter, runs=runs, bands=bands_of(runs))

    def baseline_seeds(self, baseline: Baseline) -> BaselineSeeds:
        """The baseline with the same seeds on the run's data, or why that cannot be."""
        found = BaselineSeeds(asked=baseline.asked, identity=baseline.identity)
        if baseline.code is not None:
            found = replace(found, commit=baseline.code.commit)
        runs = self._recorded(baseline)
        try:
            if runs is None:
                before, plans = self._plans_of(baseline)
                runs = self._carry_out_baseline(before, plans, baseline.source)
                found = replace(found, other_files=tuple(self._other_files(str(before.commit))))
        except NbciError as error:
            return replace(found, reason=error.message)
        own = self.run.record.seeds
        assert own is not None
        return replace(found, runs=runs, differences=differences_of(own.runs, runs))

    def _recorded(self, baseline: Baseline) -> tuple[SeedRun, ...] | None:
        """What the baseline's own run had, where it was with the same seeds and the same data.

        Its code may be in no commit then.
        """
        # The checkout of a fork could bring records of runs that never happened.
        if baseline.run is None or self.run.plan.fork is not None:
            return None
        try:
            folder = find_run(self.run.project, baseline.run)
            folder.check_seal()
            record = folder.read()
        except (UsageError, IntegrityError):
            return None
        known = {}
        if record.seeds is not None and record.seeds.parameter == self.seeds.parameter:
            known = {run.value: run for run in record.seeds.runs}
        if not _had_the_same_data(record, self.run.record):
            return None
        if not known.keys() >= {*self.seeds.values}:
            return None
        return tuple(known[value] for value in self.seeds.values)

    def _carry_out_baseline(
        self, before: EarlierRun, plans: Sequence[Plan], title: str
    ) -> tuple[SeedRun, ...]:
        as_now = []
        for path in _data_of(self.run.record):
            # DVC's note of which version it is goes with it.
            as_now += [path, f"{path}.dvc"]
        return self._carry_out(before, plans, title, as_now=tuple(as_now))

    def _other_files(self, commit: str) -> Iterator[str]:
        """Files that may be data, were read undeclared, and that the commit has otherwise."""
        git, root = Git(self.run.project.root), self.run.project.root
        for path in _seen_data(self.run.record):
            # Paths of other files are absolute, and the same for both.
            if path.startswith("/"):
                continue
            before = file_at(git, commit, path)
            # What git does not have is in both workspaces as it is.
            if before is None or not (root / path).is_file():
                continue
            if before != (root / path).read_bytes():
                yield path

    def _own_runs(self) -> tuple[SeedRun, ...]:
        """The run with each further seed; a workspace is made only if something has to run."""
        plans = self._own_plans()
        kept = [self._kept(self.run.project, plan) for plan in plans]
        missing = []
        for plan, found in zip(plans, kept, strict=True):
            if found is None:
                missing.append(plan)
        carried_out: Iterator[SeedRun] = iter(())
        if missing:
            carried_out = iter(self._carry_out(self.run, missing, "this run", as_now=()))
        return tuple(found or next(carried_out) for found in kept)

    def _own_plans(self) -> list[Plan]:
        """The plan of the run with each further seed; UsageError where that would be no use."""
        plan, name = self.run.plan, self.seeds.parameter
        target = read_target(str(self.run.project.root / plan.target))
        if target.sources != plan.sources:
            raise UsageError("its sources have changed since it began")
        again = self._plan(target, plan.params, None)
        if [step.parts for step in again.steps] != [step.parts for step in plan.steps]:
            raise UsageError("it cannot be planned again as it was")

        plans = []
        is_used = False
        for value in self.seeds.values[1:]:
            other = self._plan(target, plan.params, value)
            if other.names != plan.names:
                raise UsageError(f"with {name} {value} the pipeline has other steps")
            changed = frozenset(steps_with_seed(plan, other, name))
            is_used = is_used or bool(changed)
            plans.append(self._with_taken_over(other, changed))
        if not is_used:
            raise UsageError(f"nothing uses the parameter {name}, so nothing would change")
        return plans

    def _with_taken_over(self, plan: Plan, changed: frozenset[str]) -> Plan:
        """The plan in which steps that the seed does not reach are as in the run.

        Those whose results are kept are found by their keys; the others, which may ask a database,
        would give something else than they gave the run.
        """
        reached = reachable(changed, followers_of(plan.edges()))
        steps = []
        for step in plan.steps:
            if step.name not in reached and self._gave_what_is_not_kept(step.name):
                steps.append(replace(step, action="reuse", reason="no seed changes it"))
            else:
                steps.append(step)
        return replace(plan, steps=tuple(steps))

    def _gave_what_is_not_kept(self, step: str) -> bool:
        record = self.run.record.step(step)
        return record is not None and record.ended_well and record.run is None

    def _plans_of(self, baseline: Baseline) -> tuple[EarlierRun, list[Plan]]:
        """The baseline's pipeline as its commit has it, and its plan with each of the seeds."""
        if self.run.plan.fork is not None:
            # Its data would reach trusted code, which may have secrets.
            raise UsageError("this is a build of a change from a fork")
        code, commit = self._code_of(baseline)
        target = self._target_at(commit, code.target or self.run.plan.target)
        if self.seeds.parameter not in by_name(target.pipeline.params):
            raise UsageError(f"its pipeline has no parameter {self.seeds.parameter}")
        plans = [self._plan(target, code.params or (), value) for value in self.seeds.values]
        state = GitState(commit=commit, branch=None, dirty=False)
        # What was run there was not this run, but its data is to be.
        record = replace(self.run.record, git=state)
        return replace(self.run, record=record, plan=plans[0], commit=commit), plans

    def _code_of(self, baseline: Baseline) -> tuple[BaselineCode, str]:
        """Where the baseline's code is, in a commit that is here."""
        code = baseline.code
        if code is None or code.commit is None:
            raise UsageError("its code is in no commit")
        commit = commit_of(Git(self.run.project.root), code.commit)
        if commit is None:
            raise UsageError(f"its commit {code.commit[:10]} is not in this repository")
        return code, commit

    def _target_at(self, commit: str, path: str) -> Target:
        git = Git(self.run.project.root)
        pipeline, sources = read_pipeline(path, lambda file: file_at(git, commit, file))
        return Target(project=self.run.project, pipeline=pipeline, sources=sources)

    def _plan(self, target: Target, params: Sequence[ParameterValue], seed: float | None) -> Plan:
        changed = {}
        if seed is not None:
            changed[self.seeds.parameter] = seed
        request = self.request
        plan = plan_again(
            target,
            params,
            changed,
            environ=os.environ,
            kernel=request.kernel,
            lock=self.run.plan.environment,
        )
        return with_time_limits(plan, request.run_timeout_seconds, request.cell_timeout_seconds)

    def _carry_out(
        self, before: EarlierRun, plans: Sequence[Plan], title: str, *, as_now: tuple[str, ...]
    ) -> tuple[SeedRun, ...]:
        """Each plan in one workspace, one after another, each with the same files."""
        contents = replace(before.contents(plans[0]), as_now=as_now)
        for plan in plans:
            # A seed may be part of the name of an out.
            contents = replace(contents, without=(*contents.without, *plan.writes))
        runs = []
        place = f"{before.folder.run}-{before.commit or 'seeds'}"
        with open_workspace(before.project, place, contents) as workspace:
            for plan in plans:
                with begin_belonging(before.folder) as folder:
                    rerun = Rerun(before=before, plan=plan, workspace=workspace, folder=folder)
                    rerun.bring_data(self.cache)
                    found = self._kept(workspace.project, plan)
                    runs.append(found or self._run_seed(rerun, title))
        return tuple(runs)

    def _kept(self, project: Project, plan: Plan) -> SeedRun | None:
        """What earlier results of all steps come to; None where a step has to run."""
        if self.request.force:
            return None
        index = project_index(project)
        ours = by_name(self.run.record.steps)
        planned, records = foresee(
            plan, project, self.cache, index, lambda _: None, taken_over=ours
        )
        if not all(step.action in ("reuse", "skip") for step in planned.steps):
            return None
        run = None
        metrics: dict[str, float] = {}
        for record in records.values():
            metrics |= record.full_metrics
            if record.metrics:
                run = record.run
        return SeedRun(value=self._seed_of(plan), run=run, metrics=metrics)

    def _seed_of(self, plan: Plan) -> int | float:
        value: int | float = by_name(plan.params)[self.seeds.parameter].value
        return value

    def _run_seed(self, rerun: Rerun, title: str) -> SeedRun:
        value = self._seed_of(rerun.plan)
        named = f"{title} with {self.seeds.parameter} {value}"
        if self.only_kept:
            raise UsageError(f"no stage has left the results of {named}")
        self.tell(named)
        ready = rerun.make_ready(self._notebooks(rerun), self.cache)
        request = self.request
        options = RerunOptions(
            role="seed",
            command=request.command,
            jobs=request.jobs,
            forced=self._forced(rerun).__contains__,
        )
        _, record = rerun.run(ready, options, Aside(self.tell, named))
        ready.save()
        clear_written(rerun.workspace, rerun.plan, record)
        if record.result != "passed":
            return SeedRun(value=value, run=record.run, reason=why_failed(record))
        return SeedRun(value=value, run=record.run, metrics=record.metrics)

    def _forced(self, rerun: Rerun) -> frozenset[str]:
        """The steps that run whatever is kept: what the seed does not reach, the run itself ran."""
        is_own = rerun.before.commit is None
        if not (self.request.force and is_own):
            return frozenset()
        return frozenset(steps_with_seed(self.run.plan, rerun.plan, self.seeds.parameter))

    def _notebooks(self, rerun: Rerun) -> Mapping[str, TaggedNotebook]:
        if rerun.before.commit is None:
            return rerun.read_code()
        return read_notebooks(rerun.workspace.project, rerun.plan.sources or {})


def _data_of(record: RunRecord) -> dict[str, str]:
    """The data that a run read and did not make, with its digests: to compare, both need the same.

    Code among the dependencies is what is compared, and so no data.
    """
    found = {}
    made = list(record.outs)
    for step in record.steps:
        for ref in step.deps:
            if not (ref.path.lower().endswith(_CODE) or overlaps_any(ref.path, made)):
                found[ref.path] = ref.digest
    return found


def _seen_data(record: RunRecord) -> dict[str, str]:
    """Files that a run was seen to read, that it neither declares nor made, and that are no code.

    Their digests are in the form of observations.
    """
    known = list(record.outs)
    for step in record.steps:
        known += [ref.path for ref in step.deps]
    found = {}
    for step in record.steps:
        for part in step.observed:
            is_code = part.label.lower().endswith(_CODE)
            if part.kind == "file" and not (is_code or overlaps_any(part.label, known)):
                found[part.label] = part.digest
    return found


def data_read(record: RunRecord) -> dict[str, str]:
    """The data that the steps of a record read, declared or not, and that none of them made."""
    return {**_data_of(record), **_seen_data(record)}


def _had_the_same_data(before: RunRecord, now: RunRecord) -> bool:
    """Whether no data that both read is another; what only one of them reads is its own choice."""
    for data_of in (_data_of, _seen_data):
        ours = data_of(now)
        for path, digest in data_of(before).items():
            if ours.get(path, digest) != digest:
                return False
    return True
