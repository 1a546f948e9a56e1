"""Plan hybrids of two runs, in a workspace that has their files."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.reruns.hybrid_files import HybridFiles, content_digest
from nbci.engine.prepare import plan_target
from nbci.errors import NbciError, UsageError
from nbci.graph import by_name
from nbci.params import Assignment
from nbci.pipeline.metric_names import step_of
from nbci.pipeline.paths import overlaps_any
from nbci.plan.parts import key_of
from nbci.plan.select import Selection, select
from nbci.project.sources import Target, project_reader, read_pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.app.reruns.mixture import Side
    from nbci.blame.factors import Content, Mixture
    from nbci.blame.subsets import Subset
    from nbci.config import Project
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan, PlannedStep
    from nbci.store.cache import Cache

_SOURCE = "an earlier run"
_USED = frozenset(("file", "module", "link", "stat", "environment"))
"""The kinds of observations whose results change with a file's content."""


class PlannedHybrid(Struct, frozen=True, kw_only=True):
    """A hybrid, planned as far as `step`, which measures the metric.

    `signatures` stand, for each step, for all that its result depends on; `signature` for all that
    the metric does.
    """

    new: Subset
    plan: Plan
    notebooks: Mapping[str, TaggedNotebook]
    step: str
    signatures: Mapping[str, str]
    signature: str


class HybridPlanner:
    """Plans hybrids; `metrics` are the full names of the metric in both runs.

    The workspace has the files of the hybrid that was placed or planned last.
    """

    def __init__(
        self,
        sides: tuple[Side, Side],
        mixture: Mixture,
        project: Project,
        cache: Cache,
        metrics: tuple[str, ...],
    ) -> None:
        self._sides = sides
        self._mixture = mixture
        self._project = project
        self._metrics = metrics
        self._uses = _uses(sides)
        self._kernel = _common_kernel(sides)
        self.files = HybridFiles(project, mixture, cache)

    def restore_unchanged(self) -> None:
        """Have the files that no hybrid changes as the runs used them; UsageError for one gone."""
        for side in reversed(self._sides):
            for path in side.files:
                if not self.files.restore(side, path) and path in side.needed:
                    error = UsageError(f"{path} is not as it was")
                    raise side.run.refusal(error, "blamed")

    def plan(self, new: Subset) -> PlannedHybrid:
        """Place the files of a hybrid, and plan it."""
        contents = self.place(new)
        project = self._project
        path = self._sides[1].run.plan.target
        pipeline, sources = read_pipeline(path, project_reader(project))
        declared = {parameter.name for parameter in pipeline.params}
        assignments = []
        for name, value in self._mixture.values(new).items():
            if name in declared:
                assignments.append(Assignment(name=name, value=value, source=_SOURCE))
        target = Target(project=project, pipeline=pipeline, sources=sources)
        plan = plan_target(
            target,
            environ=os.environ,
            exported=assignments,
            kernel=self._kernel,
            lock=self._sides[1].run.plan.environment,
        )
        step = self._measuring_step(plan)
        plan = select(replace(plan, gates=(), metrics=None), Selection(until=(step,)))
        if plan.step(step).action == "skip":
            raise UsageError(f"step {step} is skipped: {plan.step(step).reason}")
        signatures = self._signatures(plan, contents)
        # Any step may come to use what another was seen to use.
        used = []
        for path, content in contents.items():
            if any(self._is_used(each, path) for each in plan.steps if each.action == "run"):
                used.append([path, content_digest(content)])
        return PlannedHybrid(
            new=new,
            plan=plan,
            notebooks=pipeline.notebooks,
            step=step,
            signatures=signatures,
            signature=_digest([signatures[step], used]),
        )

    def place(self, new: Subset) -> dict[str, Content]:
        """Have the hybrid's files in the workspace; those that are exchanged."""
        contents = dict(self._mixture.contents(new))
        self.files.place({**self._mixture.same, **contents})
        return contents

    def _measuring_step(self, plan: Plan) -> str:
        for metric in self._metrics:
            step = step_of(metric)
            if step in plan.names:
                return step
        raise UsageError(f"no step of it measures {self._metrics[0]}")

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
            signatures[step.name] = _digest([step.name, key_of(step.parts), files, above])
        return signatures

    def _is_used(self, step: PlannedStep, path: str) -> bool:
        declared = (*step.deps, *filter(None, (step.environment,)))
        return overlaps_any(path, (*declared, *self._uses.get(step.name, ())))

    def changed_steps(self, end: Subset, side: Side) -> list[str]:
        """Steps of a hybrid that is one of the runs which are no longer planned as they were.

        UsageError where it cannot be planned at all.
        """
        try:
            plan = self.plan(end).plan
        except NbciError as error:
            raise side.run.refusal(UsageError(str(error)), "blamed") from error
        then = by_name(side.run.plan.steps)
        names = []
        for step in plan.steps:
            before = then.get(step.name)
            if step.action == "run" and before and key_of(step.parts) != key_of(before.parts):
                names.append(step.name)
        return names


def _digest(found: list[object]) -> str:
    return hashlib.blake2b(json.dumps(found).encode(), digest_size=16).hexdigest()


def _common_kernel(sides: tuple[Side, Side]) -> str | None:
    """The kernel of all steps of both runs, which `--kernel` may have asked for."""
    kernels = {step.kernel for side in sides for step in side.run.plan.steps}
    if len(kernels) > 1:
        return None
    return kernels.pop()


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
