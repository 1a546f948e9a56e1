"""Take a model out of a stage, or return to the version before.

Both write new events; no event is rewritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.errors import UsageError
from nbci.git.process import REMOTE, open_git
from nbci.promotion.assignments import (
    NewEvent,
    assignment_events,
    names_of,
    removal_events,
    write_events,
)
from nbci.promotion.facts import find_promoter
from nbci.promotion.publish import publish
from nbci.registry.grammar import DEPLOYED, check_stage_name, check_version
from nbci.registry.read import fetch_models, find_model, read_models
from nbci.web_pages import build_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nbci.git.process import Git
    from nbci.registry.events import ModelState


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What is asked for: of which model, in which stage, and why.

    Without `stage`, it is the only stage that the model was ever in.
    """

    model: str
    stage: str | None = None
    reason: str | None = None
    push: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The result: `before` was in the stage, `now` is in it (None: nothing)."""

    model: str
    stage: str
    before: str | None
    now: str | None
    tags: tuple[str, ...]
    pushed: bool
    dry_run: bool


def demote(root: Path, move: Move, environ: Mapping[str, str]) -> Moved:
    """Take the model out of the stage, which is then empty."""
    git, state, stage = _find_stage(root, move)
    if stage not in state.stages:
        raise UsageError(f"nothing of {state.model} is in stage {stage}")
    events = removal_events(state, stage)
    return _change_stage(
        git, state, move, stage=stage, events=events, now=None, event="demote", environ=environ
    )


def rollback(root: Path, move: Move, environ: Mapping[str, str], to: str | None = None) -> Moved:
    """Put the version that was in the stage before, or the named one, into the stage again."""
    git, state, stage = _find_stage(root, move)
    wanted = state.before(stage)
    if to is not None:
        wanted = check_version(to)
    if wanted is None:
        raise UsageError(
            f"no other version of {state.model} was in stage {stage} before",
            hint=_hint_instead(state, move.model, stage),
        )
    version = state.version(wanted)
    if version is None or not version.active:
        # a version that was taken back keeps its tag, but is not offered
        known = [each.version for each in state.versions if each.active]
        raise UsageError(
            f"{state.model} has no version {wanted}",
            hint=f"its versions are: {', '.join(known)}",
        )
    if stage in state.stages and state.stages[stage].current.version == wanted:
        raise UsageError(f"{state.model} {wanted} is in stage {stage} already")
    events = assignment_events(state, wanted, version.commit, stage)
    return _change_stage(
        git, state, move, stage=stage, events=events, now=wanted, event="rollback", environ=environ
    )


def _hint_instead(state: ModelState, model: str, stage: str) -> str | None:
    """What can be done where there is no version to return to."""
    if stage in state.stages:
        return f"nbci demote {model} empties it"
    latest = state.latest
    if not latest:
        return None
    return f"it is empty: nbci rollback {model} --to {latest.version} puts that version into it"


def _find_stage(root: Path, move: Move) -> tuple[Git, ModelState, str]:
    git = open_git(root)
    if move.stage is not None:
        check_stage_name(move.stage)
    if move.push:
        if not git.has_remote(REMOTE):
            raise UsageError(
                f"the repository has no remote {REMOTE}",
                hint="change the tags here only with --no-push",
            )
        # another clone may have moved the model since; its events count in the order
        fetch_models(git, REMOTE, [move.model])
    state = find_model(read_models(git), move.model)
    if move.stage is not None:
        return git, state, move.stage
    return git, state, _only_stage(state)


def _only_stage(state: ModelState) -> str:
    """The stage that the model was ever in; UsageError unless it is just one."""
    # events, not present stages: a rollback may fill a stage that is empty now
    stages = {}
    for event in state.events:
        # where a release runs is changed by `nbci deploy`
        if event.stage is not None and not event.stage.startswith(DEPLOYED):
            stages[event.stage] = True
    if not stages:
        raise UsageError(f"{state.model} was never in a stage")
    if len(stages) > 1:
        raise UsageError(
            f"{state.model} is in {len(stages)} stages",
            hint=f"name one with --stage: {', '.join(stages)}",
        )
    return next(iter(stages))


def _change_stage(
    git: Git,
    state: ModelState,
    move: Move,
    *,
    stage: str,
    events: list[NewEvent],
    now: str | None,
    event: str,
    environ: Mapping[str, str],
) -> Moved:
    before = None
    if stage in state.stages:
        before = state.stages[stage].current.version
    # before the dry run ends, so that a dry run reports a missing identity, too
    by = find_promoter(git, environ)
    if not move.dry_run:
        notes = {"Nbci-Event": event, "Nbci-Build": build_url(environ)}
        publish(
            git,
            state,
            write_events(git, state, events, by=by, notes=notes, reason=move.reason),
            push=move.push,
        )
    return Moved(
        model=state.model,
        stage=stage,
        before=before,
        now=now,
        tags=tuple(names_of(events)),
        pushed=move.push,
        dry_run=move.dry_run,
    )
