"""Make new events of a model as tags, numbered after and dated later than the present ones."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nbci.promotion.commit import message_of, write_tag
from nbci.registry.events import precedence
from nbci.registry.grammar import TagName, tag_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbci.git.process import Git
    from nbci.promotion.publish import NewTag
    from nbci.records.manifest import Promoter
    from nbci.registry.events import ModelState

_StageAction = Literal["assign", "unassign"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """A tag to be written on a commit. `version` is what the commit is, for people."""

    tag: TagName
    commit: str
    version: str

    @property
    def summary(self) -> str:
        """Return one line that describes the event, for people."""
        model, stage = self.tag.model, self.tag.stage
        match self.tag.action:
            case "register":
                return f"Release {model} {self.version}"
            case "assign":
                return f"Put {model} {self.version} into {stage}"
            case _:
                return f"Take {model} {self.version} out of {stage}"


def registration_events(state: ModelState, version: str, commit: str) -> list[NewEvent]:
    """The event of a new version."""
    tag = TagName(action="register", model=state.model, version=version)
    return [NewEvent(tag=tag, commit=commit, version=version)]


def assignment_events(state: ModelState, version: str, commit: str, stage: str) -> list[NewEvent]:
    """Return the events that put a version into a stage.

    Higher versions in the stage are taken out: GTO orders by version as well as by time, and both
    orders must give the same result.
    """
    wanted: list[tuple[_StageAction, str, str]] = []
    held = state.held(stage)
    if held is not None:
        # taken out first: events of a stage count in the order of their numbers
        for event in reversed(held.assigned):
            if event.version and precedence(event.version) > precedence(version):
                wanted.append(("unassign", event.version, event.commit))
    wanted.append(("assign", version, commit))
    return _number_events(state, stage, wanted)


def removal_events(state: ModelState, stage: str) -> list[NewEvent]:
    """Return the events that take every version out of a stage.

    Otherwise the version that was in the stage before would be in it again.
    """
    held = state.held(stage)
    if held is None:
        return []
    wanted: list[tuple[_StageAction, str, str]] = []
    for event in reversed(held.assigned):
        wanted.append(("unassign", event.version or "", event.commit))
    return _number_events(state, stage, wanted)


def write_events(
    git: Git,
    state: ModelState,
    events: Iterable[NewEvent],
    *,
    by: Promoter,
    notes: Mapping[str, str | None],
    reason: str | None = None,
) -> list[NewTag]:
    """Write the events as tag objects.

    Each is dated later than the one before, and later than all present events, even where the clock
    of another machine was ahead.
    """
    # the clock of the machine that wrote the last event may be ahead of this one
    start = max(int(time.time()), state.last_seconds + 1)
    tags = []
    # GTO orders events by time, and a tag's time counts whole seconds
    for seconds, event in enumerate(events, start):
        message = message_of(event.summary, notes, reason)
        tags.append(write_tag(git, event.tag, event.commit, message, by=by, seconds=seconds))
    return tags


def names_of(events: Iterable[NewEvent]) -> list[str]:
    """The names of the tags."""
    return [tag_name(event.tag) for event in events]


def _number_events(
    state: ModelState, stage: str, wanted: Iterable[tuple[_StageAction, str, str]]
) -> list[NewEvent]:
    """The events (action, version, commit) with the numbers that come next for the model."""
    events = []
    for number, (action, version, commit) in enumerate(wanted, state.next_number):
        tag = TagName(action=action, model=state.model, stage=stage, number=number)
        events.append(NewEvent(tag=tag, commit=commit, version=version))
    return events
