"""Find what gates compare with: the promoted model, another run, a git revision, a file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.errors import NbciError
from nbci.gates.baseline import Baseline, BaselineCode, NoBaseline
from nbci.gates.champions import promoted_model
from nbci.git.branches import built_branch, champions_branch
from nbci.git.process import REMOTE, Git, GitFailed
from nbci.records.metrics import of_json
from nbci.runs.project_runs import all_runs, find_run
from nbci.trust.target_branch import file_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder

_METRICS_FILE = "metrics.json"
"""Where a commit's metrics are looked for when the plan declares no file of metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Where to look: the project, the plan with the gates, the run that is judged."""

    project: Project
    plan: Plan
    run: str
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBaseline:
    """A baseline, and what it depends on.

    `files` change when the baseline does, as far as this machine can tell; None where it cannot.
    `remote`: the answer also depends on what the remote has for these patterns of tags.
    """

    baseline: Baseline | NoBaseline
    files: tuple[str, ...] | None = ()
    remote: tuple[str, ...] = ()


def find_baseline(asked: str, search: Search) -> FoundBaseline:
    """What `baseline:` names. Nothing raises: an error becomes the reason why there is none."""
    kind, _, name = asked.partition(":")
    try:
        match kind:
            case "champion":
                return _find_champion(asked, name, search)
            case "run":
                return _find_run(asked, name, search)
            case "rev":
                return _find_revision(asked, name, search)
            case _:
                return _find_file(asked, name, search)
    except NbciError as error:
        return _unknown(asked, str(error))


def _unknown(asked: str, reason: str) -> FoundBaseline:
    """An answer that is not certain, and that may be another one the next time."""
    return FoundBaseline(baseline=NoBaseline(asked=asked, reason=reason, certain=False), files=None)


def _find_champion(asked: str, model: str, search: Search) -> FoundBaseline:
    name = model or _main_model(search.plan)
    declared = (search.plan.models or {}).get(name, {})
    branch = target_branch(search, tuple(declared.get("branches", ())))
    root = search.project.root
    baseline, tags = promoted_model(asked, root, name, branch=branch, stage=declared.get("stage"))
    return FoundBaseline(baseline=baseline, files=tuple(_ref_files(root)), remote=tags)


def _main_model(plan: Plan) -> str:
    """The model that has the pipeline's name, else the first that the plan declares."""
    models = plan.models or {}
    if plan.pipeline in models:
        return plan.pipeline
    return next(iter(models), plan.pipeline)


def target_branch(search: Search, branches: tuple[str, ...]) -> str | None:
    """The branch that the work goes to.

    That is a pull request's target; else this branch where it promotes; else the first that does.
    """
    environ = search.environ
    # CI checks out commits, not branches; Jenkins says in its environment which branch that was.
    target = environ.get("CHANGE_TARGET")
    if target:
        return target
    head = Git(search.project.root).get("symbolic-ref", "--short", "-q", "HEAD")
    return champions_branch(branches, built_branch(head, environ))


def _ref_files(root: Path) -> Iterator[str]:
    """The files and folders that change when a branch, a tag or what is checked out does."""
    git = Git(root)
    # A linked worktree has a HEAD of its own; branches and tags are in the common folder.
    common = git.get("rev-parse", "--path-format=absolute", "--git-common-dir")
    own = git.get("rev-parse", "--absolute-git-dir")
    if common is None or own is None:
        yield str(root / ".git")
        return
    folder = Path(common)
    yield str(Path(own) / "HEAD")
    for name in ("config", "packed-refs", "shallow"):
        yield str(folder / name)
    # Newer repositories may keep their refs in tables: https://git-scm.com/docs/reftable
    yield str(folder / "reftable" / "tables.list")
    for place, _, _ in os.walk(folder / "refs"):
        yield place
    # A commit rewrites the branch's file in place, which does not change the folder around it.
    head = git.get("symbolic-ref", "-q", "HEAD")
    if head is not None:
        yield str(folder / head)


def _find_run(asked: str, run: str, search: Search) -> FoundBaseline:
    # The fork's own checkout could bring records of runs that never happened.
    if search.plan.fork is not None:
        return _unknown(asked, "what lies with the code of a fork is nothing to compare with")
    if run == "latest":
        return _find_latest_run(asked, search)
    folder = find_run(search.project, run)
    if folder.run == search.run:
        return _unknown(asked, "it is the run that is judged")
    files = tuple(map(str, folder.record_files()))
    return FoundBaseline(baseline=_baseline_of_run(asked, folder), files=files)


def _find_latest_run(asked: str, search: Search) -> FoundBaseline:
    folder = last_passed_run(search)
    # Each run that passes is the latest then, so no file tells that the answer still holds.
    if folder is None:
        reason = f"no earlier run of {search.plan.pipeline} passed"
        return FoundBaseline(baseline=NoBaseline(asked=asked, reason=reason), files=None)
    return FoundBaseline(baseline=_baseline_of_run(asked, folder), files=None)


def _baseline_of_run(asked: str, folder: RunFolder) -> Baseline:
    record = folder.read()
    return Baseline(
        asked=asked,
        source=f"run {folder.run}",
        identity=folder.run,
        run=folder.run,
        metrics=record.metrics,
        declared=folder.read_plan().metrics or {},
        files=tuple(record.outs.values()),
        code=_code_of_run(record),
    )


def _code_of_run(record: RunRecord) -> BaselineCode:
    git = record.git
    commit = None
    if git is not None and not git.dirty:
        commit = git.commit
    return BaselineCode(commit=commit, target=record.target, params=record.params)


def last_passed_run(search: Search, commit: str | None = None) -> RunFolder | None:
    """The newest run of the pipeline that passed before the judged one, of the commit if given."""
    for folder in all_runs(search.project):
        # Ids of runs rise with time. A run that is judged again is not compared with later ones.
        if folder.run >= search.run:
            continue
        header = folder.read_header()
        if header.pipeline != search.plan.pipeline or header.result != "passed":
            continue
        if commit is None or _ran_commit(header, commit):
            return folder
    return None


def _ran_commit(header: RunRecord, commit: str) -> bool:
    """Whether the run's code was that commit's, without changes."""
    return header.git is not None and not header.git.dirty and header.git.commit == commit


def _find_revision(asked: str, revision: str, search: Search) -> FoundBaseline:
    git = Git(search.project.root)
    commit = commit_of(git, revision)
    if commit is None and git.get("rev-parse", "--is-shallow-repository") == "true":
        return _unknown(asked, f"{revision} is no commit of this shallow clone")
    if commit is None:
        return _unknown(asked, f"{revision} is no commit")

    source = revision
    if not commit.startswith(revision):
        source = f"{revision} ({commit[:10]})"
    metrics = metrics_in_tree(git, commit, search.plan)
    if metrics:
        code = BaselineCode(commit=commit)
        baseline = Baseline(asked=asked, source=source, identity=commit, metrics=metrics, code=code)
        return FoundBaseline(baseline=baseline, files=tuple(_ref_files(search.project.root)))

    folder = None
    if search.plan.fork is None:
        folder = last_passed_run(search, commit)
    if folder is None:
        reason = f"{source} has no metrics file, and no run of it is here"
        return FoundBaseline(baseline=NoBaseline(asked=asked, reason=reason), files=None)
    return FoundBaseline(baseline=_baseline_of_run(asked, folder), files=None)


def commit_of(git: Git, revision: str) -> str | None:
    """The revision's commit; None where there is none.

    A branch that is not checked out is the remote's, and is fetched where it is missing.
    """
    # `rev-parse --verify` and `fetch` would take it for an option.
    if revision.startswith("-"):
        return None
    for name in (revision, f"{REMOTE}/{revision}"):
        commit = git.get("rev-parse", "--verify", "--quiet", operands=[f"{name}^{{commit}}"])
        if commit is not None:
            return commit
    if not git.has_remote(REMOTE):
        return None

    options = ["--no-tags"]
    # Without a depth, the fetch would bring the history that the clone was made without.
    if git.is_shallow:
        options.append("--depth=1")
    branch = revision.removeprefix(f"{REMOTE}/")
    if git.get("fetch", *options, operands=[REMOTE, branch]) is None:
        return None
    return git.get("rev-parse", "--verify", "--quiet", "FETCH_HEAD^{commit}")


def metrics_in_tree(git: Git, commit: str, plan: Plan) -> dict[str, float]:
    """The metrics in that commit's files, by full names.

    The files are those that the plan's steps declare; without any it is `metrics.json`.
    """
    declared = [(f"{step.name}:", path) for step in plan.steps for path in step.metrics]
    metrics: dict[str, float] = {}
    for prefix, path in declared or [("", _METRICS_FILE)]:
        try:
            text = git.bytes("cat-file", "blob", operands=[f"{commit}:{git.prefix}{path}"])
        except GitFailed:
            # The step may have got its metrics file after that commit.
            continue
        for metric in of_json(text, f"{commit[:10]}:{path}"):
            metrics[f"{prefix}{metric.name}"] = metric.value
    return metrics


def _find_file(asked: str, path: str, search: Search) -> FoundBaseline:
    files = (str(search.project.root / path),)
    try:
        text = file_for(search.project, search.plan, path)
    except OSError as error:
        return _unknown(asked, f"{path} cannot be read: {error.strerror}")
    if text is None:
        missing = NoBaseline(asked=asked, reason=f"there is no file {path}")
        return FoundBaseline(baseline=missing, files=files)
    metrics = {metric.name: metric.value for metric in of_json(text, path)}
    digest = hashlib.blake2b(text, digest_size=16).hexdigest()
    baseline = Baseline(asked=asked, source=path, identity=digest, metrics=metrics)
    return FoundBaseline(baseline=baseline, files=files)
