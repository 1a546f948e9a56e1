"""Make a plan that can run from what a user asked for.

Everything that is refused is refused here, before anything is written.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

import nbci
from nbci.errors import Location, UsageError
from nbci.formatting.durations import now_utc
from nbci.git.branches import built_branch
from nbci.git.checkout import is_in_repository, read_checkout
from nbci.kernels.startup import brought_names
from nbci.params import (
    Assignment,
    assigned_in_environment,
    assigned_in_file,
    assigned_on_command_line,
    assigned_values,
    bind,
)
from nbci.pipeline.notebook_parameters import notebook_parameters
from nbci.pipeline.seeds import with_count
from nbci.plan.build import build_plan
from nbci.records.git_state import GitState
from nbci.records.run_record import RunRecord
from nbci.records.seeds import FROM_SEEDS
from nbci.runs.run_file import user_name
from nbci.secrets import Mask, credentials
from nbci.trust.change import change_of
from nbci.web_pages import build_url, change_url, checked_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from nbci.config import Project
    from nbci.params import CodeName
    from nbci.pipeline.model import Pipeline
    from nbci.plan.model import Fork, Plan, PlannedStep
    from nbci.project.sources import Target
    from nbci.records.run_record import ParameterValue

_NO_MASK = Mask(())


def plan_target(
    target: Target,
    *,
    environ: Mapping[str, str],
    files: Sequence[str] = (),
    pairs: Sequence[str] = (),
    kernel: str | None = None,
    exported: Sequence[Assignment] = (),
    seeds: int | None = None,
    lock: str | None = None,
) -> Plan:
    """The plan of a target with its parameters.

    They come from the environment, `-f` files and `-p` pairs; the last is the strongest.

    `exported` come from DVC's params.yaml, before the files. `seeds` is how many values the seed
    gets, whatever the pipeline says. `lock` is the lock file of the steps that name no environment.
    In a build of a fork, the rules are those of its branch.
    """
    target, fork = _under_rules(target, environ)
    layers: list[Sequence[Assignment]] = [assigned_in_environment(environ), exported]
    for name in files:
        layers.append(assigned_in_file(name, _read_text(name)))
    layers.append(assigned_on_command_line(pairs))
    pipeline = target.pipeline
    if seeds is not None:
        asked = with_count(pipeline.seeds, seeds, pipeline.params)
        pipeline = replace(pipeline, seeds=asked)
    pipeline = _in_environment(pipeline, lock)
    code_names: Sequence[CodeName] = ()
    # Only where the target is a notebook, and no pipeline file of several.
    if pipeline.target in pipeline.notebooks:
        code_names = notebook_parameters(pipeline.notebooks[pipeline.target]).code_names
    bound = bind(pipeline.params, layers, code_names=code_names)
    brought = brought_names(target.project.names, environ)
    plan = build_plan(pipeline, bound, sources=target.sources, kernel=kernel, brought=brought)
    return replace(plan, fork=fork, environment=lock)


def lock_file(project: Project, name: str | None) -> str | None:
    """A lock file that was given, by its path in the project as pipeline files name it."""
    if name is None:
        return None
    path = Path(name)
    if not path.is_file():
        raise UsageError(
            "there is no such lock file",
            hint="name a file in the form of requirements.txt that has ipykernel and pins all, "
            "as `uv pip compile` writes it",
            where=Location(name),
        )
    return project.relative(path)


def _in_environment(pipeline: Pipeline, lock: str | None) -> Pipeline:
    """The pipeline, its steps in the environment of this lock file where they name none."""
    if lock is None:
        return pipeline
    steps = tuple(replace(step, environment=step.environment or lock) for step in pipeline.steps)
    return replace(pipeline, steps=steps)


def _under_rules(target: Target, environ: Mapping[str, str]) -> tuple[Target, Fork | None]:
    """The target under the rules that hold for it, and the fork that it is a change from."""
    if change_of(environ) is None:
        return target, None
    # Imported only in a build of a change: it reads the target's branch with git.
    from nbci.trust.target_branch import target_of_change

    return target_of_change(target, environ)


def plan_again(
    target: Target,
    params: Sequence[ParameterValue],
    changed: Mapping[str, Any],
    *,
    environ: Mapping[str, str],
    source: str = FROM_SEEDS,
    kernel: str | None = None,
    lock: str | None = None,
) -> Plan:
    """The plan of a target with the parameters of an earlier run, but for those `changed`.

    `source` is where the plan says that these come from. It only measures: no gate judges it, and
    it has no seeds of its own. `lock` is the lock file of the steps that name no environment.
    """
    target, fork = _under_rules(target, environ)
    pipeline = replace(target.pipeline, gates=(), gate_places=(), seeds=None)
    pipeline = _in_environment(pipeline, lock)
    given = []
    for param in params:
        given.append(Assignment(name=param.name, value=param.value, source=param.source))
    bound = bind(pipeline.params, (given, assigned_values(changed, source)))
    brought = brought_names(target.project.names, environ)
    plan = build_plan(pipeline, bound, sources=target.sources, kernel=kernel, brought=brought)
    return replace(plan, fork=fork, environment=lock, metrics=None)


def check_kernels(steps: Sequence[PlannedStep]) -> None:
    """UsageError when a step that will run asks for a kernel that is not installed here."""
    for error in missing_kernels([step for step in steps if step.action == "run"]):
        raise error


def missing_kernels(steps: Sequence[PlannedStep]) -> Iterator[UsageError]:
    """Each kernel that a step would start here and that is not there.

    Each comes with the notebook that names it.
    """
    from nbci.kernels.specs import why_missing

    # Reversed, so that of several steps with one kernel the first one's notebook is named.
    wanted: dict[str, str] = {}
    for step in reversed(steps):
        if step.environment is None:
            wanted[step.kernel] = step.notebook
    for kernel, notebook in wanted.items():
        error = why_missing(kernel)
        if error is not None:
            yield UsageError(error.message, hint=error.hint, where=Location(notebook))


def find_secrets(
    plan: Plan, always: Sequence[str], environ: Mapping[str, str], here: Sequence[PlannedStep]
) -> dict[str, str]:
    """The values of all the plan's secrets, as far as the environment has them.

    UsageError when one is missing that a step `here` needs.
    """
    found = known_secrets(plan, always, environ)
    for step in here:
        for name in step.secrets:
            if name not in found and step.action == "run":
                raise UsageError(
                    f"step {step.name} needs the secret {name}, which is not in the environment",
                    hint=f"set it for this command only, e.g. {name}=... nbci run {plan.target}",
                    where=Location(step.notebook),
                )
    return found


def known_secrets(plan: Plan, always: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The values of the secrets that the project or a step of the plan names.

    Only those that the environment has.
    """
    # Secrets that no step gets are known, too: they must be masked wherever they turn up.
    names = dict.fromkeys(always)
    for step in plan.steps:
        names.update(dict.fromkeys((*step.secrets, *step.withheld)))
    if plan.fork is not None:
        names.update(dict.fromkeys(plan.fork.hidden))
    return {name: environ[name] for name in names if name in environ}


def mask_of(secrets: Mapping[str, str], environ: Mapping[str, str]) -> Mask:
    """The mask that takes secrets out of texts.

    Secrets are the declared ones, and what else in the environment looks like a credential.
    """
    return Mask((*secrets.values(), *credentials(environ).values()))


def mask_for(project: Project, plan: Plan, environ: Mapping[str, str]) -> Mask:
    """The mask that takes out the secrets of the project or the plan, and other credentials.

    Of the secrets that these name, those that the environment has are taken out.
    """
    return mask_of(known_secrets(plan, project.secrets, environ), environ)


def refuse_written_secrets(plan: Plan, mask: Mask) -> None:
    """What a plan holds is written down, so no secret may stand in it: UsageError."""
    if not mask.longest:
        return
    for step in plan.steps:
        for name, value in (step.params or {}).items():
            if mask.json(value) != _NO_MASK.json(value):
                raise UsageError(
                    f"the parameter {name} of step {step.name} holds the value of a secret; "
                    "parameters are recorded",
                    hint="hand it over as a secret: declare it with `secrets:` "
                    "or the tag `secret:NAME`",
                    where=Location(step.notebook),
                )
        for cell in step.cells:
            if mask.text(cell.source) != cell.source:
                raise UsageError(
                    "the value of a secret stands in this cell's source",
                    hint="read it from os.environ in the cell, and change the secret: "
                    "it is in the notebook's history",
                    where=Location(step.notebook, cell=cell.number),
                )


def header(run: str, plan: Plan, root: Path, command: Sequence[str], mask: Mask) -> RunRecord:
    """The record of a run that begins now."""
    git, doubts = _checkout(root, plan)
    return RunRecord(
        run=run,
        pipeline=plan.pipeline,
        target=plan.target,
        result="running",
        nbci=nbci.__version__,
        command=tuple(map(mask.text, command)),
        started_utc=now_utc(),
        host=platform.node(),
        user=user_name(),
        by=_name_in_git(root),
        platform=platform.platform(),
        python=platform.python_version(),
        git=git,
        # Most controllers of Jenkins inside a company have no TLS.
        build=checked_page(build_url(os.environ), http_too=True),
        change=checked_page(change_url(os.environ)),
        params=plan.params,
        sources=plan.sources,
        because=plan.because,
        warnings=(*plan.warnings, *doubts),
    )


def _name_in_git(root: Path) -> str | None:
    """Who is at work as commits and releases name them; None where git does not know."""
    named = os.environ.get("GIT_COMMITTER_NAME")
    # Git is started only where there is a repository: a process costs time in every run.
    if named or not is_in_repository(root):
        return named
    from nbci.git.process import Git

    try:
        return Git(root).get("config", "--get", operands=["user.name"]) or None
    except UsageError:
        # Git is not installed.
        return None


def _checkout(root: Path, plan: Plan) -> tuple[GitState | None, tuple[str, ...]]:
    """What git has checked out, and a warning where git does not tell.

    The CI tells of which branch a commit is.
    """
    # What the run itself writes must not count as a change of the checkout.
    made = (*plan.writes, *(plan.imports or {}))
    found = read_checkout(root, tuple(plan.sources or {}), made)
    if found is None:
        return None, ()
    state = GitState(
        commit=found.commit, branch=built_branch(found.branch, os.environ), dirty=found.dirty
    )
    if found.problem is None:
        return state, ()
    warning = (
        "git does not say whether files differ from the commit, "
        f"so that they count as changed: {found.problem}"
    )
    # Mostly in containers, where the checkout belongs to another user:
    # https://git-scm.com/docs/git-config#Documentation/git-config.txt-safedirectory
    if "dubious ownership" in found.problem:
        warning += f" (git config --global --add safe.directory {root})"
    return state, (warning,)


def _read_text(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the parameters file cannot be read: {error}", where=Location(name)
        ) from error
