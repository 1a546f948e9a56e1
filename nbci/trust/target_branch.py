"""Builds of changes from forks: the policy of the branch that they go to, read from git, not from
the working tree.

What the change says of gates, models, secrets, agents, the store and DVC's remotes counts for
nothing.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.config import dvc_folder, project_of
from nbci.errors import Location, UsageError
from nbci.git.process import REMOTE, Git, GitFailed
from nbci.pipeline.fork_policy import under_policy
from nbci.plan.model import Fork
from nbci.project.sources import Target, read_pipeline
from nbci.trust.change import change_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.trust.change import Change


def target_of_change(target: Target, environ: Mapping[str, str]) -> tuple[Target, Fork | None]:
    """What to plan: in a build of a fork, the target under its branch's policy; else as it is."""
    change = change_of(environ)
    if change is None:
        return target, None
    if target.linked:
        raise UsageError(
            "a change from a fork has a link in the place of its pipeline",
            where=Location(target.pipeline.target),
        )
    git = Git(target.project.root)
    fork = _fork(git, change)
    project = _project(target.project, git, fork)
    path = target.pipeline.target
    _refuse_other_root(git, fork, path)
    if all(_at(git, commit, path) is None for commit in ("HEAD", fork.commit)):
        # the job made it, as its Jenkinsfile says, which is none of the change's
        policy = replace(target.pipeline, fork_secrets=())
        return replace(
            target, project=project, pipeline=under_policy(target.pipeline, policy)
        ), fork
    try:
        policy, _ = read_pipeline(target.pipeline.target, lambda path: _at(git, fork.commit, path))
    except UsageError as error:
        raise UsageError(
            f"{fork.branch}, where the change goes to, has no pipeline to take the rules from: {error.message}",
            hint="a pipeline that is new comes with a change from the repository itself",
            where=error.where,
        ) from error
    pipeline = under_policy(target.pipeline, policy)
    asked = (
        name for step in policy.steps for name in step.secrets if name not in policy.fork_secrets
    )
    fork = replace(fork, hidden=tuple(dict.fromkeys(asked)))
    said = f"a change from a fork: its gates, models and agents are those of {fork.branch} ({fork.commit[:10]})"
    return replace(
        target, project=project, pipeline=replace(pipeline, warnings=(*pipeline.warnings, said))
    ), fork


def project_for(project: Project, plan: Plan, environ: Mapping[str, str]) -> Project:
    """The project as the plan's builds have it.

    UsageError when a trusted plan is carried out for a fork.
    """
    change = change_of(environ)
    if change is not None and (plan.fork is None or plan.fork.prefix != change.prefix):
        raise UsageError(
            f"this is a build of {change.prefix}, and the plan is not",
            hint="plan in the build that runs the steps",
        )
    return project if plan.fork is None else _project(project, Git(project.root), plan.fork)


def file_for(project: Project, plan: Plan, path: str) -> bytes | None:
    """A file that decides over a build: of the branch's commit in a build of a fork; None where
    there is none.
    """
    if plan.fork is not None:
        return _at(Git(project.root), plan.fork.commit, path)
    try:
        return (project.root / path).read_bytes()
    except FileNotFoundError:
        return None


def _project(project: Project, git: Git, fork: Fork) -> Project:
    """With the settings of the branch.

    UsageError where DVC would go to other remotes: it has passwords for its own.
    """
    folder = dvc_folder(project.root)
    if folder is not None:
        prefix = Git(folder)("rev-parse", "--show-prefix")
        for name in ("config", "config.local"):
            if _blob(git, "HEAD", prefix + name) != _blob(git, fork.commit, prefix + name):
                raise UsageError(
                    f"the change has another configuration of DVC than {fork.branch}",
                    hint=f"merge {fork.branch} into the change; the remotes are changed from the repository itself",
                    where=Location(str(folder / name)),
                )
    data = _at(git, fork.commit, "pyproject.toml")
    settings = data.decode("utf-8", "replace") if data is not None else None
    return replace(project_of(project.root, settings), prefix=fork.prefix)


def _refuse_other_root(git: Git, fork: Fork, path: str) -> None:
    """UsageError where the pipeline is another project's than in the branch, with none or others of
    its settings.
    """
    whole = PurePosixPath(git.prefix + path)
    roots = (f"{folder}/" if str(folder) != "." else "" for folder in whole.parents)
    root = next(
        (
            root
            for root in roots
            if b"[tool.nbci" in (_blob(git, fork.commit, f"{root}pyproject.toml") or b"")
        ),
        "",
    )
    if root != git.prefix:
        raise UsageError(
            f"in {fork.branch}, {whole} is part of the project in {root or '/'}, here of one in {git.prefix or '/'}",
            hint="settings are changed from the repository itself",
            where=Location(path),
        )


def _fork(git: Git, change: Change) -> Fork:
    if change.branch is None:
        raise UsageError(
            f"where does {change.prefix} go to? Its rules are those of that branch",
            hint="CHANGE_TARGET=main says it; Jenkins does so by itself",
        )
    ref = f"refs/remotes/{REMOTE}/{change.branch}"
    depth = ["--depth=1"] if git.get("rev-parse", "--is-shallow-repository") == "true" else []
    said = ""
    try:
        git("fetch", "--no-tags", *depth, operands=[REMOTE, f"+refs/heads/{change.branch}:{ref}"])
    except (
        GitFailed
    ) as error:  # the checkout may have brought it, with credentials that are gone by now
        said = f" ({error.message})"
    commit = git.get("rev-parse", "--verify", "--quiet", operands=[f"{ref}^{{commit}}"])
    if commit is None:
        raise UsageError(
            f"{change.branch}, where {change.prefix} goes to, is not in this clone{said}",
            hint=f"its rules count: git fetch {REMOTE} +refs/heads/{change.branch}:{ref}",
        )
    return Fork(prefix=change.prefix, branch=change.branch, commit=commit)


def _at(git: Git, commit: str, path: str) -> bytes | None:
    """A file of the commit; its path is relative to the project's root."""
    return _blob(git, commit, f"{git.prefix}{path}")


def _blob(git: Git, commit: str, path: str) -> bytes | None:
    try:
        return git.bytes("cat-file", "blob", operands=[f"{commit}:{path}"])
    except GitFailed:
        return None
