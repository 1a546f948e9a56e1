"""Find the promoted model as a baseline, whatever kind of clone this is.

CI clones without tags or without history, and a remote may not answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.gates.baseline import Baseline, BaselineCode, NoBaseline
from nbci.git.process import REMOTE, Git, GitFailed
from nbci.pipeline.rules import DeclaredMetric
from nbci.registry.champion import champion, registry_name
from nbci.registry.grammar import tag_patterns
from nbci.registry.read import fetch_models

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.registry.champion import Champion


def promoted_model(
    asked: str, root: Path, model: str, *, branch: str | None, stage: str | None
) -> tuple[Baseline | NoBaseline, tuple[str, ...]]:
    """The last promoted version's metrics, and the tags on the remote that the answer depends on.

    It is a first run only where the remote says so, or where there is no remote. Where it cannot be
    asked, what this clone has counts; a clone that may lack tags cannot tell.
    """
    git = Git(root)
    if git.get("rev-parse", "--git-dir") is None:
        reason = "this is no git repository, so nothing was promoted"
        return NoBaseline(asked=asked, reason=reason), ()

    tags: tuple[str, ...] = ()
    offline: str | None = None
    if git.has_remote(REMOTE):
        name = registry_name(git, model)
        tags = tag_patterns(name)
        offline = _fetch(git, name)

    promoted = champion(root, model, branch=branch, stage=stage, refresh=False)
    if promoted is not None:
        return _baseline_of(asked, promoted, offline), tags
    return _why_none(asked, git, model, branch=branch, offline=offline), tags


def _fetch(git: Git, name: str) -> str | None:
    """Fetch the model's releases; what to tell people where the remote cannot be asked."""
    try:
        fetch_models(git, REMOTE, [name])
    except GitFailed as error:
        return f"{REMOTE} cannot be asked ({error.message})"
    return None


def _baseline_of(asked: str, promoted: Champion, offline: str | None) -> Baseline:
    # Imported here because only a promoted model needs its decoder.
    import msgspec

    version = f"{promoted.model}@{promoted.version}"
    source = version
    if promoted.stage:
        source += f" in {promoted.stage}"
    if offline:
        source += f", as last fetched: {offline}"
    declared: dict[str, DeclaredMetric] = {}
    for metric, declaration in promoted.declared.items():
        declared[metric] = msgspec.convert(declaration, DeclaredMetric)
    return Baseline(
        asked=asked,
        source=source,
        identity=f"{version} {promoted.commit}",
        run=promoted.run,
        release=promoted.commit,
        metrics=promoted.metrics,
        declared=declared,
        files=promoted.files,
        signature=promoted.signature,
        code=BaselineCode(commit=promoted.built, target=promoted.target, params=promoted.params),
    )


def _why_none(
    asked: str, git: Git, model: str, *, branch: str | None, offline: str | None
) -> NoBaseline:
    if offline is not None and _may_lack_tags(git):
        reason = f"this clone may lack the tags of releases, and {offline}"
        return NoBaseline(asked=asked, reason=reason, certain=False)

    where = ""
    if branch:
        where = f" on {branch}"
    reason = f"no version of {model} was promoted{where} yet"
    if offline is not None:
        reason += f", as last fetched: {offline}"
    return NoBaseline(asked=asked, reason=reason)


def _may_lack_tags(git: Git) -> bool:
    """Whether the clone was made so that tags are left behind, as CI does it."""
    if git.is_shallow:
        return True
    if git.get("config", "--get", operands=[f"remote.{REMOTE}.tagOpt"]) == "--no-tags":
        return True
    # `git clone` brings all branches; what fetches single ones into an empty repository brings no
    # tags by itself.
    fetched = git.get("config", "--get", operands=[f"remote.{REMOTE}.fetch"])
    return fetched != f"+refs/heads/*:refs/remotes/{REMOTE}/*"
