"""Answer questions on the registry: which version is where, what happened, and who did it.

The answers come from tags and manifests alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nbci.registry.grammar import DEPLOYED
from nbci.registry.read import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from nbci.git.process import Git
    from nbci.records.manifest import Manifest, ReleaseProof
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
    ("deploy", "assign"): "deployed",
    ("deploy", "unassign"): "replaced",
    ("deploy-back", "assign"): "back",
    ("deploy-back", "unassign"): "taken back",
    ("deploy-stop", "unassign"): "stopped",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
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
    proof: ReleaseProof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A change of a model in the registry.

    `tag` is the tag that proves it, `reason` is the reason given for it. `signature` says of a
    release whether its run was signed, and by whom; `chosen` by what search its values were found,
    and `because` what decision started it. `place` is where it was deployed, whose stage says so.
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
    chosen: str | None = None
    because: str | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRow:
    """A version at a place, since when and by whom; `address` is where it was asked then."""

    model: str
    place: str
    kind: str | None
    version: str
    since_utc: str
    by: str
    email: str
    commit: str
    tag: str
    address: str | None = None
    build: str | None = None
    reason: str | None = None


def deployment_rows(models: Iterable[ModelState]) -> tuple[DeploymentRow, ...]:
    """What was deployed where, as the tags have it."""
    rows = []
    for model in models:
        for place, held in model.deployments.items():
            event = held.current
            rows.append(
                DeploymentRow(
                    model=model.model,
                    place=place,
                    kind=event.notes.get("Nbci-Kind"),
                    version=event.version or event.commit,
                    since_utc=utc(event.seconds),
                    by=event.name,
                    email=event.email,
                    commit=event.commit,
                    tag=event.tag,
                    address=event.notes.get("Nbci-Address"),
                    build=event.notes.get("Nbci-Build"),
                    reason=_reason(event),
                )
            )
    return tuple(rows)


def stage_rows(git: Git, models: Iterable[ModelState]) -> tuple[StageRow, ...]:
    """What is in each stage of each model; of a model that is in none, the latest version."""
    rows: list[StageRow] = []
    for model in models:
        for name, stage in model.stages.items():
            rows.append(_row(git, model, stage.current, name))
        if not model.stages and model.latest is not None:
            rows.append(_row(git, model, model.latest.registered, None))
    return tuple(rows)


def version_rows(git: Git, model: ModelState) -> tuple[StageRow, ...]:
    """The versions of a model, each with the last stage that it is in, by precedence."""
    stage_of = {stage.current.version: name for name, stage in model.stages.items()}
    rows = []
    for version in model.versions:
        if version.active:
            rows.append(_row(git, model, version.registered, stage_of.get(version.version)))
    return tuple(rows)


def _row(git: Git, model: ModelState, event: Event, stage: str | None) -> StageRow:
    row = StageRow(
        model=model.model,
        version=event.version or event.commit,
        stage=stage,
        since_utc=utc(event.seconds),
        by=event.name,
        email=event.email,
        commit=event.commit,
        tag=event.tag,
    )
    # a version that another tool registered has no manifest
    manifest = read_manifest(git, event.commit)
    if manifest is None:
        return row
    return replace(
        row,
        run=manifest.run,
        build=manifest.build_url,
        branch=manifest.branch,
        metrics=manifest.metrics or {},
        proof=manifest.proof,
    )


def history(
    git: Git,
    models: Iterable[ModelState],
    signature_text: Callable[[Manifest], str] | None = None,
) -> tuple[HistoryEntry, ...]:
    """Return everything that was done, in order of time.

    These are the events of the tags, and the gates that were overridden for a release.
    """
    found: list[HistoryEntry] = []
    for model in models:
        found.extend(_history_of(git, model, signature_text))
    # times in UTC and ISO 8601 sort as text; sorted keeps the order of events at the same second
    return tuple(sorted(found, key=lambda entry: entry.at_utc))


def _history_of(
    git: Git, model: ModelState, signature_text: Callable[[Manifest], str] | None
) -> Iterator[HistoryEntry]:
    for event in model.events:
        manifest = read_manifest(git, event.commit)
        entry = _entry(event)
        if manifest is not None and entry.run is None:
            # events of rollback and demote name no run, but the manifest of their version does
            entry = replace(entry, run=manifest.run)
        # at the registration only: later events of the version have the same manifest
        if event.action == "register" and manifest is not None:
            yield from _overrides(event, manifest)
            if manifest.chosen is not None:
                entry = replace(entry, chosen=manifest.chosen.sentence)
            if manifest.because is not None:
                entry = replace(entry, because=str(manifest.because))
            if signature_text is not None:
                entry = replace(entry, signature=signature_text(manifest))
        yield entry


def _entry(event: Event) -> HistoryEntry:
    notes = event.notes
    # tags of GTO have no note, and are described by what they do
    command = notes.get("Nbci-Event", "")
    place = None
    if event.stage is not None and event.stage.startswith(DEPLOYED):
        place = event.stage.removeprefix(DEPLOYED)
    return HistoryEntry(
        at_utc=utc(event.seconds),
        model=event.model,
        action=_BY_COMMAND.get((command, event.action), _ACTIONS[event.action]),
        by=event.name,
        email=event.email,
        tag=event.tag,
        version=event.version,
        stage=event.stage,
        run=notes.get("Nbci-Run"),
        build=notes.get("Nbci-Build"),
        reason=_reason(event),
        place=place,
    )


def _overrides(event: Event, manifest: Manifest) -> Iterator[HistoryEntry]:
    if manifest.verdict is None:
        return
    for override in manifest.verdict.overrides:
        yield HistoryEntry(
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
