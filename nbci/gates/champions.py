"""The promoted model as a baseline, in clones of every kind: without tags, without history, without
a remote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.gates.baseline import Baseline, NoBaseline
from nbci.git.process import REMOTE, Git, GitFailed
from nbci.pipeline.rules import DeclaredMetric
from nbci.registry.champion import champion, registry_name
from nbci.registry.grammar import tag_patterns
from nbci.registry.read import fetch_models

if TYPE_CHECKING:
    from pathlib import Path


def promoted_model(
    asked: str, root: Path, model: str, *, branch: str | None, stage: str | None
) -> tuple[Baseline | NoBaseline, tuple[str, ...]]:
    """The last promoted version's metrics, and the tags on the remote that the answer depends on.

    It is a first run only where the remote says so, or where there is no remote. Where it cannot be
    asked, what this clone has counts; a clone that may lack tags cannot tell.
    """
    import msgspec

    git = Git(root)
    if git.get("rev-parse", "--git-dir") is None:
        return NoBaseline(
            asked=asked, reason="this is no git repository, so nothing was promoted"
        ), ()
    name = registry_name(git, model)
    tags: tuple[str, ...] = ()
    offline: str | None = None
    if git.has_remote(REMOTE):
        tags = tag_patterns(name)
        try:
            fetch_models(git, REMOTE, [name])
        except GitFailed as error:
            offline = f"{REMOTE} cannot be asked ({error.message})"
    found = champion(root, model, branch=branch, stage=stage, refresh=False)
    if found is not None:
        where = f" in {found.stage}" if found.stage else ""
        known = f", as last fetched: {offline}" if offline else ""
        return Baseline(
            asked=asked,
            source=f"{found.model}@{found.version}{where}{known}",
            identity=f"{found.model}@{found.version} {found.commit}",
            metrics=found.metrics,
            declared={
                metric: msgspec.convert(said, DeclaredMetric)
                for metric, said in found.declared.items()
            },
        ), tags
    where = f" on {branch}" if branch else ""
    if offline is None:
        return NoBaseline(
            asked=asked, reason=f"no version of {model} was promoted{where} yet"
        ), tags
    if _may_lack_tags(git):
        reason = f"this clone may lack the tags of releases, and {offline}"
        return NoBaseline(asked=asked, reason=reason, certain=False), tags
    reason = f"no version of {model} was promoted{where} yet, as last fetched: {offline}"
    return NoBaseline(asked=asked, reason=reason), tags


def _may_lack_tags(git: Git) -> bool:
    """Whether the clone was made so that tags are left behind, as CI does it."""
    if (
        git.is_shallow
        or git.get("config", "--get", operands=[f"remote.{REMOTE}.tagOpt"]) == "--no-tags"
    ):
        return True
    # `git clone` brings all branches; what fetches single ones into an empty repository brings no
    # tags by itself
    return (
        git.get("config", "--get", operands=[f"remote.{REMOTE}.fetch"])
        != f"+refs/heads/*:refs/remotes/{REMOTE}/*"
    )
