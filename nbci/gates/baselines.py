"""Finding what gates compare with: the promoted model, another run, a git revision, a file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.errors import NbciError
from nbci.gates.baseline import Baseline, NoBaseline
from nbci.gates.champions import promoted_model
from nbci.gates.revisions import commit_of, metrics_in_tree
from nbci.git.branches import built_branch, champions_branch
from nbci.git.process import Git
from nbci.records.metrics import of_json
from nbci.runs.folder import all_runs, find_run
from nbci.trust.target_branch import file_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.runs.folder import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Where to look: the project, the plan whose gates ask, the run that is judged."""

    project: Project
    plan: Plan
    run: str
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found. `files` change when it does, as far as this machine can tell; None: that
    cannot be told.

    `remote`: the answer also depends on what the remote says of these tags.
    """

    baseline: Baseline | NoBaseline
    files: tuple[str, ...] | None = ()
    remote: tuple[str, ...] = ()


def find_baseline(asked: str, search: Search) -> Found:
    """What `baseline:` names. Nothing raises: what went wrong is the reason why there is none."""
    kind, _, rest = asked.partition(":")
    try:
        match kind:
            case "champion":
                return _champion(asked, rest, search)
            case "run":
                return _run(asked, rest, search)
            case "rev":
                return _revision(asked, rest, search)
            case _:
                return _file(asked, rest, search)
    except NbciError as error:
        return Found(baseline=NoBaseline(asked=asked, reason=str(error), certain=False), files=None)


def _champion(asked: str, model: str, search: Search) -> Found:
    models = search.plan.models or {}
    name = model or (
        search.plan.pipeline if search.plan.pipeline in models or not models else next(iter(models))
    )
    declared = models.get(name, {})
    branch = target_branch(search, tuple(declared.get("branches", ())))
    root = search.project.root
    baseline, tags = promoted_model(asked, root, name, branch=branch, stage=declared.get("stage"))
    return Found(baseline=baseline, files=tuple(_refs(root)), remote=tags)


def target_branch(search: Search, branches: tuple[str, ...]) -> str | None:
    """The branch that the work goes to: a pull request's target, this one where it promotes, else
    the first that does.

    CI checks out commits, not branches; Jenkins says in its environment which branch that was.
    """
    environ = search.environ
    target = environ.get("CHANGE_TARGET")
    if target:
        return target
    head = Git(search.project.root).get("symbolic-ref", "--short", "-q", "HEAD")
    return champions_branch(branches, built_branch(head, environ))


def _refs(root: Path) -> Iterator[str]:
    """The files and folders that change when a branch, a tag or what is checked out does."""
    folder = Git(root).get("rev-parse", "--path-format=absolute", "--git-common-dir")
    own = Git(root).get("rev-parse", "--absolute-git-dir")
    if folder is None or own is None:
        yield str(root / ".git")
        return
    yield from (
        str(Path(own) / "HEAD"),
        *(str(Path(folder) / name) for name in ("config", "packed-refs", "shallow")),
    )
    yield str(Path(folder) / "reftable" / "tables.list")
    for place, _, _ in os.walk(Path(folder) / "refs"):
        yield place
    head = Git(root).get("symbolic-ref", "-q", "HEAD")
    if head is not None:
        yield str(Path(folder) / head)


def _run(asked: str, run: str, search: Search) -> Found:
    if search.plan.fork is not None:
        reason = "what lies with the code of a fork is nothing to compare with"
        return Found(baseline=NoBaseline(asked=asked, reason=reason, certain=False), files=None)
    if run == "latest":
        folder = _last_run(search)
        if folder is None:
            reason = f"no earlier run of {search.plan.pipeline} passed"
            return Found(baseline=NoBaseline(asked=asked, reason=reason), files=None)
    else:
        folder = find_run(search.project, run)
    if folder.run == search.run:
        return Found(
            baseline=NoBaseline(asked=asked, reason="it is the run that is judged", certain=False),
            files=None,
        )
    files = folder.record_files()
    return Found(
        baseline=_of_run(asked, folder), files=None if run == "latest" else tuple(map(str, files))
    )


def _of_run(asked: str, folder: RunFolder) -> Baseline:
    return Baseline(
        asked=asked,
        source=f"run {folder.run}",
        identity=folder.run,
        metrics=folder.read().metrics,
        declared=folder.read_plan().metrics or {},
    )


def _last_run(search: Search, commit: str | None = None) -> RunFolder | None:
    """The newest run of the pipeline, of that very commit, that passed before the one that is
    judged.
    """
    for folder in all_runs(search.project):
        if folder.run >= search.run:
            continue
        header = folder.read_header()
        clean = header.git is not None and not header.git.dirty and header.git.commit == commit
        if (
            header.pipeline == search.plan.pipeline
            and header.result == "passed"
            and (clean or commit is None)
        ):
            return folder
    return None


def _revision(asked: str, revision: str, search: Search) -> Found:
    git = Git(search.project.root)
    commit = commit_of(git, revision)
    if commit is None:
        cut = (
            " of this shallow clone"
            if git.get("rev-parse", "--is-shallow-repository") == "true"
            else ""
        )
        reason = f"{revision} is no commit{cut}"
        return Found(baseline=NoBaseline(asked=asked, reason=reason, certain=False), files=None)
    shown = revision if commit.startswith(revision) else f"{revision} ({commit[:10]})"
    metrics = metrics_in_tree(git, commit, search.plan)
    if metrics:
        baseline = Baseline(asked=asked, source=shown, identity=commit, metrics=metrics)
        return Found(baseline=baseline, files=tuple(_refs(search.project.root)))
    folder = _last_run(search, commit) if search.plan.fork is None else None
    if folder is None:
        reason = f"{shown} has no metrics file, and no run of it is here"
        return Found(baseline=NoBaseline(asked=asked, reason=reason), files=None)
    return Found(baseline=_of_run(asked, folder), files=None)


def _file(asked: str, path: str, search: Search) -> Found:
    place = search.project.root / path
    try:
        text = file_for(search.project, search.plan, path)
    except OSError as error:
        reason = f"{path} cannot be read: {error.strerror}"
        return Found(baseline=NoBaseline(asked=asked, reason=reason, certain=False), files=None)
    if text is None:
        return Found(
            baseline=NoBaseline(asked=asked, reason=f"there is no file {path}"), files=(str(place),)
        )
    metrics = {metric.name: metric.value for metric in of_json(text, path)}
    digest = hashlib.blake2b(text, digest_size=16).hexdigest()
    return Found(
        baseline=Baseline(asked=asked, source=path, identity=digest, metrics=metrics),
        files=(str(place),),
    )
