"""Compute the state of the registry: a fold over the events that its tags are.

Events are ordered by the number in the name of the tag, which counts up for each model; times only
order events without a number. GTO itself orders by time or by version, so nbci writes events whose
order is the same in each way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nbci.registry.grammar import DEPLOYED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from semver import Version as SemanticVersion

    from nbci.registry.grammar import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One annotated tag: what it says, of which commit, who set it, when, and why.

    `seconds` are since the epoch. `object` is the id of the tag itself. `version` of a stage event
    is that of its commit, which the fold fills in.
    """

    action: Action
    model: str
    tag: str
    object: str
    commit: str
    seconds: int
    name: str
    email: str
    message: str = ""
    version: str | None = None
    stage: str | None = None
    number: int | None = None

    @property
    def notes(self) -> dict[str, str]:
        """The lines `Key: value` at the end of the tag's message."""
        paragraph = self.message.rstrip().rpartition("\n\n")[2].splitlines()
        notes = {}
        for line in paragraph:
            key, colon, value = line.partition(": ")
            if colon:
                notes[key] = value
        return notes


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A registered version and the commit it stands on; `active` until it is taken back."""

    version: str
    commit: str
    registered: Event
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is in a stage: `assigned` are the events that put it there; the last one counts."""

    stage: str
    assigned: tuple[Event, ...]

    @property
    def current(self) -> Event:
        """The event that put the present version there."""
        return self.assigned[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """A model: its events in order, its versions by precedence, its stages, where it runs.

    `deployments` are the places where releases of it run, by their names in the pipeline file.
    Stages and places that are empty are left out.
    """

    model: str
    events: tuple[Event, ...]
    versions: tuple[Version, ...]
    stages: Mapping[str, Stage] = field(default_factory=dict)
    deployments: Mapping[str, Stage] = field(default_factory=dict)
    deprecated: bool = False

    def version(self, name: str) -> Version | None:
        """The version of that name."""
        for version in self.versions:
            if version.version == name:
                return version
        return None

    def held(self, stage: str) -> Stage | None:
        """What is in a stage, which may be one that says where a release runs."""
        if stage.startswith(DEPLOYED):
            return self.deployments.get(stage.removeprefix(DEPLOYED))
        return self.stages.get(stage)

    @property
    def latest(self) -> Version | None:
        """The highest version that was not taken back."""
        for version in reversed(self.versions):
            if version.active:
                return version
        return None

    @property
    def next_number(self) -> int:
        """The number of the model's next event."""
        return 1 + max((event.number or 0 for event in self.events), default=0)

    @property
    def last_seconds(self) -> int:
        """Return the time of its latest event, by the clock of the machine that wrote it."""
        return max((event.seconds for event in self.events), default=0)

    def before(self, stage: str) -> str | None:
        """The version that was in the stage before the one that is, or that was last, in it."""
        held = []
        for event in self.events:
            if event.action == "assign" and event.stage == stage:
                held.append(event.version)
        if not held:
            return None

        # from its first assignment: what went back and forth since then is not "before"
        earlier = held[: held.index(held[-1])]
        usable = {version.version for version in self.versions if version.active}
        for name in reversed(earlier):
            if name in usable:
                return name
        return None


def precedence(version: str) -> SemanticVersion:
    """The version, to be compared by the rules of Semantic Versioning."""
    # imported here, because most commands compare no versions
    import semver

    return semver.Version.parse(version.removeprefix("v"))


def next_version(versions: Iterable[str], part: str) -> str:
    """Return the version after the highest of these; v1.0.0 is the first.

    `part` is the number that is raised: major, minor or patch.
    """
    # max by precedence: v1.10.0 is higher than v1.9.0
    highest = max(map(precedence, versions), default=None)
    if highest is None:
        return "v1.0.0"
    return f"v{highest.next_version(part)}"


def fold(events: Iterable[Event]) -> tuple[ModelState, ...]:
    """The models that these events make, by name."""
    by_model: dict[str, list[Event]] = {}
    for event in events:
        by_model.setdefault(event.model, []).append(event)
    return tuple(_model(name, found) for name, found in sorted(by_model.items()))


def _model(name: str, found: list[Event]) -> ModelState:
    versions = _versions(found)
    # the tag of a stage names no version, only the commit
    version_at = {version.commit: version.version for version in versions}
    events = []
    for event in sorted(found, key=_order):
        events.append(replace(event, version=event.version or version_at.get(event.commit)))

    held = _stages(events, {version.version for version in versions if version.active})
    stages, deployments = {}, {}
    for stage, inside in held.items():
        if stage.startswith(DEPLOYED):
            deployments[stage.removeprefix(DEPLOYED)] = inside
        else:
            stages[stage] = inside
    return ModelState(
        model=name,
        events=tuple(events),
        versions=versions,
        stages=stages,
        deployments=deployments,
        deprecated=any(event.action == "deprecate" for event in found),
    )


def _versions(found: Iterable[Event]) -> tuple[Version, ...]:
    """The versions that were registered, by precedence."""
    registered, taken_back = {}, set()
    for event in found:
        if event.action == "register" and event.version:
            registered[event.version] = event
        elif event.action == "deregister":
            taken_back.add(event.version)

    versions = []
    for name in sorted(registered, key=precedence):
        event = registered[name]
        version = Version(
            version=name, commit=event.commit, registered=event, active=name not in taken_back
        )
        versions.append(version)
    return tuple(versions)


def _order(event: Event) -> tuple[int, int, bool, str]:
    """Order by number, and events without one by time.

    Of an equal number, taking out comes first: GTO's tags sort like that.
    """
    return event.number or 0, event.seconds, event.action == "assign", event.tag


def _stages(events: Iterable[Event], usable: set[str]) -> dict[str, Stage]:
    """Return what was assigned to each stage and not taken out since.

    The last assigned is the one that counts.
    """
    held: dict[str, dict[str, Event]] = {}
    for event in events:
        # a version that was taken back is in no stage any more
        if event.stage is None or event.version not in usable:
            continue
        inside = held.setdefault(event.stage, {})
        # a version assigned again moves to the end, because the last one assigned counts
        inside.pop(event.version, None)
        if event.action == "assign":
            inside[event.version] = event

    stages = {}
    for stage, inside in sorted(held.items()):
        if inside:
            stages[stage] = Stage(stage=stage, assigned=tuple(inside.values()))
    return stages
