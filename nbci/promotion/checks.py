"""Check a run before a model of it is promoted; each check raises where it does not hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nbci.errors import ExitCode, Location, NbciError, UsageError, nearest, spelling_hint
from nbci.git.branches import champions_branch
from nbci.git.process import paths_without
from nbci.graph import by_name
from nbci.pipeline.models import models_of
from nbci.pipeline.paths import overlap
from nbci.registry.champion import champion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nbci.git.process import Git
    from nbci.pipeline.models import Model
    from nbci.plan.model import Plan
    from nbci.records.git_state import GitState
    from nbci.records.run_record import FileRef, RunRecord
    from nbci.records.verdict import BaselineUsed

    Look = Callable[[str], tuple[str, str | None]]
    """What a `baseline:` names now: its source, or why there is none, and its identity."""


class Refused(NbciError):
    """The gates did not let the run pass, or their verdict no longer stands."""

    exit_code = ExitCode.GATE_REFUSED


def _possible_name(plan: Plan) -> str:
    """Return a name that a model of the pipeline could have, for a hint."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", plan.pipeline).strip("-_") or "NAME"


def _possible_file(plan: Plan) -> str:
    """Return a file that a step makes, for a hint, preferably of the last step.

    Where none is declared, it is a placeholder.
    """
    for step in reversed(plan.steps):
        for path in step.outs:
            # a step may declare its metrics files as outs, too
            if path not in step.metrics:
                return path
    return "OUT_OF_A_STEP"


def pick_model(plan: Plan, name: str | None) -> Model:
    """The model of that name; without one, the only one there is."""
    models = by_name(models_of(plan.models))
    if name is None and len(models) == 1:
        name = next(iter(models))
    if name is not None and name in models:
        return models[name]
    known = ", ".join(models)
    if not models:
        settings = f"{{path: {_possible_file(plan)}, stage: production}}"
        raise UsageError(
            f"the pipeline {plan.pipeline} declares no model",
            hint=f"in the pipeline file: models: {{{_possible_name(plan)}: {settings}}}",
            where=Location(plan.target),
        )
    if name is None:
        raise UsageError(f"the pipeline has several models: {known}", hint="name one with --model")
    raise UsageError(
        f"the pipeline has no model {name!r}",
        hint=spelling_hint(name, models, f"its models are: {known}"),
    )


def check_passed(plan: Plan, record: RunRecord) -> None:
    """Refused when the run did not pass, or its gates did not let it."""
    if record.result != "passed":
        raise Refused(
            f"run {record.run} is {record.result}, and only runs that passed are promoted"
        )
    if plan.leaves_out:
        raise Refused(
            f"run {record.run} was of a part of the pipeline",
            hint=f"run it whole: nbci run {record.target}",
        )
    verdict = record.verdict
    if verdict is None:
        if plan.gates:
            raise Refused(
                f"run {record.run} was not judged by its gates", hint=f"nbci gate {record.run}"
            )
        return
    if verdict.refuses:
        failed = []
        for gate in verdict.gates:
            # a gate that was overridden does not refuse any more
            if gate.result == "failed" and gate.override is None:
                failed.append(gate.gate)
        raise Refused(
            f"the gates refuse run {record.run}: {', '.join(failed)}",
            hint=f"nbci gate {record.run}",
        )


def check_baselines(
    git: Git, plan: Plan, record: RunRecord, *, branch: str | None, look: Look
) -> None:
    """Raise Refused when a baseline of the verdict has changed since.

    `look` finds all baselines but champions, which are read from the tags that are here.
    """
    if record.verdict is None:
        return
    for used in record.verdict.baselines:
        if used.asked.partition(":")[0] == "champion":
            now = _champion(git, plan, used, branch)
            before, found = _champion_name(used.identity), _champion_name(now)
            change = f"the verdict compares with {before}, and now {found} is to be beaten"
        else:
            source, now = look(used.asked)
            before, found = _baseline_text(used.source, used.identity), _baseline_text(source, now)
            change = (
                f"the baseline {used.asked} has changed since the verdict: "
                f"it was {before}, and now is {found}"
            )
        # the source is for people; what was compared with is known by its identity
        if now != used.identity:
            raise Refused(change, hint=f"judge the run anew: nbci gate {record.run}")


def _champion(git: Git, plan: Plan, used: BaselineUsed, branch: str | None) -> str | None:
    """What is the champion now, as `MODEL@VERSION COMMIT`; None without one."""
    models = by_name(models_of(plan.models))
    name = used.asked.partition(":")[2]
    if not name:
        # `champion` alone is of the model named like the pipeline, else of the first
        name = plan.pipeline
        if name not in models:
            name = next(iter(models))

    model = models.get(name)
    # a model of another pipeline: its branches and its stage are not in this plan
    if model is None:
        return used.identity
    target = champions_branch(model.branches, branch)
    # `promote` has fetched the tags already if it pushes
    found = champion(git.folder, model.name, branch=target, stage=model.stage, refresh=False)
    if found is None:
        return None
    return f"{found.model}@{found.version} {found.commit}"


def _champion_name(identity: str | None) -> str:
    """The `MODEL@VERSION` of a champion's identity, which ends with its commit."""
    return (identity or "nothing").partition(" ")[0]


def _baseline_text(source: str, identity: str | None) -> str:
    """Describe a baseline so that it differs from another of the same name.

    Without an identity, the text says why there is none.
    """
    if identity is None:
        return f"none ({source})"
    # a source may end with the identity already; it is not shown twice
    if identity[:10] in source:
        return source
    return f"{source} ({identity[:10]})"


def check_clean(git: Git, record: RunRecord, made: Iterable[str]) -> GitState:
    """Return the commit that was built.

    UsageError when there is none, or when the files were not those of the commit. Files that steps
    make do not count, nor do files that git does not track now.
    """
    state = record.git
    if state is None or state.commit is None:
        raise UsageError(
            f"run {record.run} was not of a commit, and a release is a child of one",
            hint="commit the project, and run again",
        )
    if state.dirty:
        raise UsageError(
            f"run {record.run} was of a dirty tree: files differed from commit {state.commit[:10]}",
            hint="commit or remove what `git status` shows, and run again",
        )
    if git.get("cat-file", "-e", operands=[f"{state.commit}^{{commit}}"]) is None:
        raise UsageError(
            f"commit {state.commit[:10]}, which run {record.run} was of, is not in this clone",
            hint=f"git fetch origin {state.commit}",
        )
    listed = git("status", "--porcelain", "--untracked-files=no", paths=paths_without(made))
    # `XY PATH`: https://git-scm.com/docs/git-status#_short_format
    changed = [line[3:] for line in listed.splitlines()]
    if changed:
        raise UsageError(
            f"the working tree is dirty: {', '.join(changed[:5])}",
            hint="commit the changes and run again, or undo them",
        )
    return state


def model_outs(spec: Model, record: RunRecord) -> tuple[FileRef, ...]:
    """Return what the run recorded of the model's files.

    These are outs that are one of its paths, contain one, or lie in one.
    """
    outs = record.outs
    found: dict[str, FileRef] = {}
    for path in spec.paths:
        # a folder may be written with a slash at its end
        owning = {name: ref for name, ref in outs.items() if overlap(path.rstrip("/"), name)}
        if not owning:
            close = nearest(path, outs)
            hint = f"declare it as an out; the outs are: {', '.join(outs)}"
            if close:
                hint = f"did you mean {close}?"
            raise UsageError(
                f"no step of run {record.run} made {path}, a file of the model {spec.name}",
                hint=hint,
            )
        found |= owning
    return tuple(found.values())
