"""Describe the steps of a run in the form that releases keep and lineage reads."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nbci.errors import IntegrityError, UsageError
from nbci.git.checkout import is_in_repository
from nbci.git.process import open_git
from nbci.graph import by_name
from nbci.records.manifest import EvidenceStep
from nbci.registry.read import read_manifest, read_models

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from nbci.git.process import Git
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import RunRecord, StepRecord


def evidence_steps(plan: Plan, record: RunRecord) -> tuple[EvidenceStep, ...]:
    """The steps that have a result, in the plan's order."""
    planned = by_name(plan.steps)
    evidence = []
    for step in record.steps:
        if step.name in planned and step.ended_well:
            evidence.append(_evidence(planned[step.name], step, record.run))
    return tuple(evidence)


def promoted_runs(root: Path) -> frozenset[str]:
    """Return the runs that releases of the repository name.

    These are the runs that were promoted, and the runs that made steps of them.
    """
    try:
        git = open_git(root)
    except UsageError:
        # callers delete runs that are not promoted, so a wrong empty answer would lose evidence
        if is_in_repository(root):
            raise  # git is not installed, so what was promoted is not known
        return frozenset()
    found: set[str] = set()
    for model in read_models(git):
        # the tags name runs even where the manifest cannot be read
        for event in model.events:
            found.add(event.notes.get("Nbci-Run", ""))
        for version in model.versions:
            with contextlib.suppress(IntegrityError):
                found.update(_runs_of_release(git, version.commit))
    return frozenset(found - {""})


def _runs_of_release(git: Git, commit: str) -> Iterator[str]:
    manifest = read_manifest(git, commit)
    if manifest is not None:
        yield manifest.run
        for step in manifest.steps:
            yield step.run or ""


def _evidence(planned: PlannedStep, step: StepRecord, run: str) -> EvidenceStep:
    return EvidenceStep(
        name=step.name,
        notebook=planned.notebook,
        result=step.result,
        key=step.key,
        # a reused step names the run that made its result
        run=step.run or run,
        started_utc=step.started_utc,
        ended_utc=step.ended_utc,
        host=step.host,
        kernel=step.kernel,
        kernel_version=step.kernel_version,
        after=planned.after,
        params=_params(planned, step),
        takes=step.takes,
        gives=step.gives,
        deps=step.deps,
        outs=step.outs,
        metrics=step.metrics,
        distributions=step.distributions,
    )


def _params(planned: PlannedStep, step: StepRecord) -> Mapping[str, Any] | None:
    """As the step had them: values of earlier steps filled in."""
    if step.params is None:
        return planned.params
    return step.params
