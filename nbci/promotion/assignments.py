"""New events of a model, as tags: numbered on from those that are there, and later than them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.promotion.commit import message_of, write_tag
from nbci.registry.events import precedence
from nbci.registry.grammar import TagName, tag_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbci.git.process import Git
    from nbci.promotion.publish import NewTag
    from nbci.records.manifest import Promoter
    from nbci.registry.events import ModelState


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """A tag to be written on a commit. `version` is what the commit is, for people."""

    tag: TagName
    commit: str
    version: str

    @property
    def summary(self) -> str:
        """In a line what the event says."""
        model, stage = self.tag.model, self.tag.stage
        match self.tag.action:
            case "register":
                return f"Release {model} {self.version}"
            case "assign":
                return f"Put {model} {self.version} into {stage}"
            case _:
                return f"Take {model} {self.version} out of {stage}"


def registering(state: ModelState, version: str, commit: str) -> list[NewEvent]:
    """The event of a new version."""
    return [
        NewEvent(
            tag=TagName(action="register", model=state.model, version=version),
            commit=commit,
            version=version,
        )
    ]


def assigning(state: ModelState, version: str, commit: str, stage: str) -> list[NewEvent]:
    """The events that put a version into a stage.

    Higher versions in it are taken out: GTO goes by version as well as by time, so both must come
    to the same.
    """
    there = state.stages[stage].assigned if stage in state.stages else ()
    higher = [
        (event.version, event.commit)
        for event in there
        if event.version and precedence(event.version) > precedence(version)
    ]
    return _numbered(
        state,
        stage,
        [*(("unassign", *old) for old in reversed(higher)), ("assign", version, commit)],
    )


def emptying(state: ModelState, stage: str) -> list[NewEvent]:
    """The events that take everything out of a stage: what was in it before would else be in it
    again.
    """
    there = reversed(state.stages[stage].assigned)
    return _numbered(
        state, stage, [("unassign", event.version or "", event.commit) for event in there]
    )


def write_events(
    git: Git,
    state: ModelState,
    events: Iterable[NewEvent],
    *,
    by: Promoter,
    notes: Mapping[str, str | None],
    reason: str | None = None,
) -> list[NewTag]:
    """The tags as objects. Each is dated after the one before, and after all that are there, by any
    clock.
    """
    start = max(int(time.time()), state.last_seconds + 1)
    return [
        write_tag(
            git,
            event.tag,
            event.commit,
            message_of(event.summary, notes, reason),
            by=by,
            seconds=start + number,
        )
        for number, event in enumerate(events)
    ]


def names_of(events: Iterable[NewEvent]) -> list[str]:
    """The names of the tags."""
    return [tag_name(event.tag) for event in events]


def _numbered(state: ModelState, stage: str, wanted: list[tuple[str, str, str]]) -> list[NewEvent]:
    return [
        NewEvent(
            tag=TagName(
                action="assign" if action == "assign" else "unassign",
                model=state.model,
                stage=stage,
                number=number,
            ),
            commit=commit,
            version=version,
        )
        for number, (action, version, commit) in enumerate(wanted, state.next_number)
    ]
