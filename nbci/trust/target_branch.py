"""Builds of changes from forks: the policy of the branch that they go to.

It is read from git, not from the working tree: what the change says of gates, models, secrets,
agents, the store and DVC's remotes counts for nothing.
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
    from nbci.pipeline.model import Pipeline
    from nbci.plan.model import Plan
    from nbci.trust.change import Change


def target_of_change(target: Target, environ: Mapping[str, str]) -> tuple[Target, Fork | None]:
    """What to plan: in a build of a fork, the target under its branch's policy; else as it is."""
    change = change_of(environ)
    if change is None:
        return target, None
    path = target.pipeline.target
    # as the branch's policy, git would give the text of the link and no pipeline
    if target.linked:
        raise UsageError(
            "a change from a fork has a link in the place of its pipeline", where=Location(path)
        )
    git = Git(target.project.root)
    fork = _fork(git, change)
    target = replace(target, project=_project(target.project, git, fork))
    _refuse_other_root(git, fork, path)

    # HEAD, too: a pipeline that the change adds is no file that the job made
    in_commits = [file_at(git, commit, path) for commit in ("HEAD", fork.commit)]
    if in_commits == [None, None]:
        # No commit has the file: the job made it, as its Jenkinsfile says, which is the target's.
        policy = replace(target.pipeline, fork_secrets=())
        return replace(target, pipeline=under_policy(target.pipeline, policy)), fork
    policy = _policy_at(git, fork, path)
    fork = replace(fork, hidden=_hidden_secrets(policy))
    return replace(target, pipeline=_under(target.pipeline, policy, fork)), fork


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
    if plan.fork is None:
        return project
    return _project(project, Git(project.root), plan.fork)


def file_for(project: Project, plan: Plan, path: str) -> bytes | None:
    """A file that decides over a build, as the target branch has it; None where there is none."""
    if plan.fork is not None:
        return file_at(Git(project.root), plan.fork.commit, path)
    try:
        return (project.root / path).read_bytes()
    except FileNotFoundError:
        return None


def _policy_at(git: Git, fork: Fork, path: str) -> Pipeline:
    """The pipeline as the target branch has it."""
    try:
        policy, _ = read_pipeline(path, lambda path: file_at(git, fork.commit, path))
    except UsageError as error:
        raise UsageError(
            f"{fork.branch}, where the change goes to, has no pipeline to take the rules from: "
            f"{error.message}",
            hint="a pipeline that is new comes with a change from the repository itself",
            where=error.where,
        ) from error
    return policy


def _hidden_secrets(policy: Pipeline) -> tuple[str, ...]:
    """The secrets that the branch's steps ask for, and which builds of forks do not get."""
    asked = (name for step in policy.steps for name in step.secrets)
    return tuple(name for name in dict.fromkeys(asked) if name not in policy.fork_secrets)


def _under(pipeline: Pipeline, policy: Pipeline, fork: Fork) -> Pipeline:
    """The change's pipeline with the branch's rules, and a warning that says so."""
    warning = (
        "a change from a fork: its gates, models and agents are those of "
        f"{fork.branch} ({fork.commit[:10]})"
    )
    pipeline = under_policy(pipeline, policy)
    return replace(pipeline, warnings=(*pipeline.warnings, warning))


def _project(project: Project, git: Git, fork: Fork) -> Project:
    """The project with the settings of the branch.

    UsageError where DVC would go to other remotes: CI has passwords for those of the branch.
    """
    folder = dvc_folder(project.root)
    if folder is not None:
        prefix = Git(folder)("rev-parse", "--show-prefix")
        # git ignores config.local as DVC sets it up, but a change may commit one all the same
        for name in ("config", "config.local"):
            if _blob(git, "HEAD", prefix + name) != _blob(git, fork.commit, prefix + name):
                raise UsageError(
                    f"the change has another configuration of DVC than {fork.branch}",
                    hint=f"merge {fork.branch} into the change; "
                    "the remotes are changed from the repository itself",
                    where=Location(str(folder / name)),
                )
    data = file_at(git, fork.commit, "pyproject.toml")
    settings = None
    if data is not None:
        settings = data.decode("utf-8", "replace")
    return replace(project_of(project.root, settings), prefix=fork.prefix)


def _refuse_other_root(git: Git, fork: Fork, path: str) -> None:
    """UsageError where the pipeline is another project's than in the branch.

    A change that adds or removes a `[tool.nbci]` between the repository's root and the pipeline
    would else take its settings from a file of its own.
    """
    whole = PurePosixPath(git.prefix + path)
    root = _root_at(git, fork.commit, whole)
    if root != git.prefix:
        raise UsageError(
            f"in {fork.branch}, {whole} is part of the project in {root or '/'}, "
            f"here of one in {git.prefix or '/'}",
            hint="settings are changed from the repository itself",
            where=Location(path),
        )


def _root_at(git: Git, commit: str, path: PurePosixPath) -> str:
    """The folder of the project that a file belongs to in a commit, with `/` at its end."""
    for folder in path.parents:
        root = ""
        if str(folder) != ".":
            root = f"{folder}/"
        settings = _blob(git, commit, f"{root}pyproject.toml")
        if settings is not None and b"[tool.nbci" in settings:
            return root
    return ""


def _fork(git: Git, change: Change) -> Fork:
    """The branch that the change goes to and its newest commit, fetched where that is possible."""
    if change.branch is None:
        raise UsageError(
            f"where does {change.prefix} go to? Its rules are those of that branch",
            hint="CHANGE_TARGET=main says it; Jenkins does so by itself",
        )
    ref = f"refs/remotes/{REMOTE}/{change.branch}"
    refspec = f"+refs/heads/{change.branch}:{ref}"
    # with `+`: the branch may have been rewritten since the clone, and its rules now count
    depth = []
    # CI often clones with depth 1: a full fetch would bring the whole history of the branch.
    if git.get("rev-parse", "--is-shallow-repository") == "true":
        depth.append("--depth=1")
    why = ""
    try:
        git("fetch", "--no-tags", *depth, operands=[REMOTE, refspec])
    except GitFailed as error:
        # The checkout may have brought it, with credentials that are no longer there.
        why = f" ({error.message})"
    commit = git.get("rev-parse", "--verify", "--quiet", operands=[f"{ref}^{{commit}}"])
    if commit is None:
        raise UsageError(
            f"{change.branch}, where {change.prefix} goes to, is not in this clone{why}",
            hint=f"its rules count: git fetch {REMOTE} {refspec}",
        )
    return Fork(prefix=change.prefix, branch=change.branch, commit=commit)


def file_at(git: Git, commit: str, path: str) -> bytes | None:
    """A file of the commit; its path is relative to the project's root."""
    return _blob(git, commit, f"{git.prefix}{path}")


def _blob(git: Git, commit: str, path: str) -> bytes | None:
    try:
        return git.bytes("cat-file", "blob", operands=[f"{commit}:{path}"])
    except GitFailed:
        return None
