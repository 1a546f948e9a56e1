"""Make new events of a model as tags, numbered after and dated later than the present ones."""

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
        """Return one line that describes the event, for people."""
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
    """Return the events that put a version into a stage.

    Higher versions in the stage are taken out: GTO orders by version as well as by time, and both
    orders must give the same result.
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
        # taken out first: events of a stage count in the order of their numbers
        [*(("unassign", *old) for old in reversed(higher)), ("assign", version, commit)],
    )


def emptying(state: ModelState, stage: str) -> list[NewEvent]:
    """Return the events that take every version out of a stage.

    Otherwise the version that was in the stage before would be in it again.
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
    """Write the events as tag objects.

    Each is dated later than the one before, and later than all present events, even where the clock
    of another machine was ahead.
    """
    # the clock of the machine that wrote the last event may be ahead of this one
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
