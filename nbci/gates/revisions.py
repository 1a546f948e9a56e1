"""A git revision as a baseline: its commit, fetched where a clone lacks it, and the metrics files
in its tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.git.process import REMOTE, Git, GitFailed
from nbci.records.metrics import of_json

if TYPE_CHECKING:
    from nbci.plan.model import Plan

_FILE = "metrics.json"


def commit_of(git: Git, revision: str) -> str | None:
    """The revision's commit; a branch that is not checked out is the remote's, and is fetched where
    it is missing.
    """
    if revision.startswith("-"):
        return None
    for name in (revision, f"{REMOTE}/{revision}"):
        commit = git.get("rev-parse", "--verify", "--quiet", operands=[f"{name}^{{commit}}"])
        if commit is not None:
            return commit
    if not git.has_remote(REMOTE):
        return None
    depth = ["--depth=1"] if git.is_shallow else []
    branch = revision.removeprefix(f"{REMOTE}/")
    if git.get("fetch", "--no-tags", *depth, operands=[REMOTE, branch]) is None:
        return None
    return git.get("rev-parse", "--verify", "--quiet", "FETCH_HEAD^{commit}")


def metrics_in_tree(git: Git, commit: str, plan: Plan) -> dict[str, float]:
    """The metrics in the files of that commit that the plan's steps declare, else in
    `metrics.json`.
    """
    declared = [(f"{step.name}:", path) for step in plan.steps for path in step.metrics]
    metrics: dict[str, float] = {}
    for prefix, path in declared or [("", _FILE)]:
        try:
            text = git.bytes("cat-file", "blob", operands=[f"{commit}:{git.prefix}{path}"])
        except GitFailed:
            continue
        metrics |= {
            f"{prefix}{metric.name}": metric.value
            for metric in of_json(text, f"{commit[:10]}:{path}")
        }
    return metrics
