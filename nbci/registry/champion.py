"""Find the model that a run must beat: the last one promoted on a branch, with its metrics."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.git.process import REMOTE, Git, GitFailed
from nbci.registry.read import fetch_models, read_manifest, read_models

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from nbci.records.run_record import FileRef, ParameterValue
    from nbci.registry.events import ModelState


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """A release as a baseline.

    `metrics` are those of its run by full name, `declared` is what its pipeline declared of them,
    `files` are the model. `signature` is what it takes and answers, as it was found or declared.
    `built` is the commit that it was made from, `target` and `params` what was run there.
    """

    model: str
    version: str
    commit: str
    run: str
    metrics: Mapping[str, float]
    declared: Mapping[str, Mapping[str, str]]
    built: str
    target: str
    params: tuple[ParameterValue, ...] = ()
    files: tuple[FileRef, ...] = ()
    signature: Mapping[str, Any] | None = None
    stage: str | None = None
    branch: str | None = None
    since_utc: str | None = None


def champion(
    root: Path, model: str, *, branch: str | None, stage: str | None, refresh: bool = True
) -> Champion | None:
    """Return the release in the stage, or the latest version, promoted for that branch.

    None when there is none yet. `model` is the name in the pipeline file. With `refresh`, the tags
    of the remote are fetched first where it can be reached, so that a clone without tags or history
    knows them; offline, the tags that are here count.
    """
    git = Git(root)
    # a project outside git has promoted nothing, which is no error for a gate
    if git.get("rev-parse", "--git-dir") is None:
        return None
    name = registry_name(git, model)
    if refresh and git.has_remote(REMOTE):
        # offline work goes on with the tags that are here
        with contextlib.suppress(GitFailed):
            fetch_models(git, REMOTE, [name])
    for state in read_models(git):
        if state.model == name:
            return _of(git, state, branch, stage)
    return None


def registry_name(git: Git, model: str) -> str:
    """Return the name of the project's model in its repository.

    It begins with `folder:` when the project is in a folder of the repository.
    """
    prefix = git.prefix.rstrip("/")
    if not prefix:
        return model
    return f"{prefix}:{model}"


def _of(git: Git, state: ModelState, branch: str | None, stage: str | None) -> Champion | None:
    for version, commit in _candidates(state, stage):
        # a version without a manifest was registered by another tool, so it has no metrics to
        # compare
        manifest = read_manifest(git, commit)
        if manifest is not None and (branch is None or manifest.branch == branch):
            return Champion(
                model=state.model,
                version=version,
                commit=commit,
                run=manifest.run,
                metrics=manifest.metrics or {},
                declared=manifest.declared or {},
                built=manifest.commit,
                target=manifest.target,
                params=manifest.params,
                files=manifest.files,
                signature=(manifest.details or {}).get("signature"),
                stage=stage,
                branch=manifest.branch,
                since_utc=manifest.promoted_utc,
            )
    return None


def _candidates(state: ModelState, stage: str | None) -> Iterator[tuple[str, str]]:
    """(version, commit), the last promoted first."""
    if stage is None:
        for version in reversed(state.versions):
            # a version that was taken back keeps its tag, and is nothing to beat
            if version.active:
                yield version.version, version.commit
    elif stage in state.stages:
        for event in reversed(state.stages[stage].assigned):
            yield event.version or "", event.commit
