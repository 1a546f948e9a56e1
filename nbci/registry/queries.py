"""Answer questions on the registry: which version is where, what happened, and who did it.

The answers come from tags and manifests alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nbci.registry.read import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from nbci.git.process import Git
    from nbci.records.manifest import Manifest
    from nbci.registry.events import Event, ModelState

_ACTIONS = {
    "register": "released",
    "deregister": "version taken back",
    "assign": "put in",
    "unassign": "taken out",
    "deprecate": "deprecated",
}
_BY_COMMAND = {
    ("promote", "assign"): "promoted",
    ("promote", "unassign"): "replaced",
    ("rollback", "assign"): "rolled back to",
    ("rollback", "unassign"): "rolled back from",
    ("demote", "unassign"): "demoted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A version in a stage, since when and by whom.

    `stage` is None for the latest version of a model that is in no stage.
    """

    model: str
    version: str
    stage: str | None
    since_utc: str
    by: str
    email: str
    commit: str
    tag: str
    run: str | None = None
    build: str | None = None
    branch: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that somebody did to a model.

    `tag` is the tag that proves it, `reason` is the reason given for it. `signature` says of a
    release whether its run was signed, and by whom.
    """

    at_utc: str
    model: str
    action: str
    by: str
    tag: str
    email: str = ""
    version: str | None = None
    stage: str | None = None
    run: str | None = None
    build: str | None = None
    reason: str | None = None
    gate: str | None = None
    signature: str | None = None


def placed(git: Git, models: Iterable[ModelState]) -> tuple[Placed, ...]:
    """What is in each stage of each model; of a model that is in none, the latest version."""
    return tuple(row for model in models for row in _placed(git, model))


def version_rows(git: Git, model: ModelState) -> tuple[Placed, ...]:
    """The versions of a model, each with the last stage that it is in, by precedence."""
    stages = {stage.current.version: name for name, stage in model.stages.items()}
    return tuple(
        _row(git, model, version.registered, stages.get(version.version))
        for version in model.versions
        if version.active
    )


def _placed(git: Git, model: ModelState) -> Iterator[Placed]:
    there: list[tuple[str | None, Event]] = [
        (name, stage.current) for name, stage in model.stages.items()
    ]
    if not there and model.latest is not None:
        there = [(None, model.latest.registered)]
    yield from (_row(git, model, event, stage) for stage, event in there)


def _row(git: Git, model: ModelState, event: Event, stage: str | None) -> Placed:
    manifest = read_manifest(git, event.commit)
    return Placed(
        model=model.model,
        version=event.version or event.commit,
        stage=stage,
        since_utc=utc(event.seconds),
        by=event.name,
        email=event.email,
        commit=event.commit,
        tag=event.tag,
        run=manifest.run if manifest else None,
        build=manifest.build_url if manifest else None,
        branch=manifest.branch if manifest else None,
        metrics=(manifest.metrics or {}) if manifest else {},
    )


def deeds(
    git: Git, models: Iterable[ModelState], say_signature: Callable[[Manifest], str] | None = None
) -> tuple[Deed, ...]:
    """Return everything that was done, in order of time.

    These are the events of the tags, and the gates that were overridden for a release.
    """
    found = [deed for model in models for deed in _deeds(git, model, say_signature)]
    # times in UTC and ISO 8601 sort as text; sorted keeps the order of events at the same second
    return tuple(sorted(found, key=lambda deed: deed.at_utc))


def _deeds(
    git: Git, model: ModelState, say_signature: Callable[[Manifest], str] | None
) -> Iterator[Deed]:
    for event in model.events:
        notes = event.notes
        manifest = read_manifest(git, event.commit)
        signature = None
        if event.action == "register" and manifest is not None and say_signature is not None:
            signature = say_signature(manifest)
        # at the registration only: later events of the version have the same manifest
        if event.action == "register" and manifest is not None:
            yield from _overrides(event, manifest)
        yield Deed(
            at_utc=utc(event.seconds),
            model=model.model,
            # tags of GTO have no note, and are described by what they do
            action=_BY_COMMAND.get(
                (notes.get("Nbci-Event", ""), event.action), _ACTIONS[event.action]
            ),
            by=event.name,
            email=event.email,
            tag=event.tag,
            version=event.version,
            stage=event.stage,
            # events of rollback and demote name no run, but the manifest of their version does
            run=notes.get("Nbci-Run") or (manifest.run if manifest else None),
            build=notes.get("Nbci-Build"),
            reason=_reason(event),
            signature=signature,
        )


def _overrides(event: Event, manifest: Manifest) -> Iterator[Deed]:
    for override in manifest.verdict.overrides if manifest.verdict is not None else ():
        yield Deed(
            at_utc=override.at_utc,
            model=event.model,
            action="gate overridden",
            by=override.by,
            tag=event.tag,
            version=event.version,
            run=manifest.run,
            build=manifest.build_url,
            reason=override.reason,
            gate=override.gate,
        )


def _reason(event: Event) -> str | None:
    """Return the text of a message between its first line and its notes.

    For tags of other tools, which have no notes, it is the whole message.
    """
    if not event.notes:
        return event.message.strip() or None
    return event.message.strip().partition("\n\n")[2].rpartition("\n\n")[0].strip() or None


def utc(seconds: int) -> str:
    """The time as records have it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
