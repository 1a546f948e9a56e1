"""Write down in the registry what runs where: tags such as `digits#deployed-local#5`.

https://github.com/treeverse/gto has stages: these are some, whose names say the place.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbci.promotion.assignments import (
    assignment_events,
    names_of,
    removal_events,
    write_events,
)
from nbci.promotion.publish import publish
from nbci.registry.events import Event, fold
from nbci.registry.grammar import DEPLOYED
from nbci.web_pages import build_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.git.process import Git
    from nbci.promotion.assignments import NewEvent
    from nbci.promotion.publish import NewTag
    from nbci.records.manifest import Promoter
    from nbci.registry.events import ModelState, Version


class DeploymentTags:
    """Writes what became of deployments of one model at one place."""

    def __init__(
        self,
        git: Git,
        state: ModelState,
        place: str,
        by: Promoter,
        environ: Mapping[str, str],
        *,
        push: bool,
    ) -> None:
        self._git = git
        self._state = state
        self._stage = f"{DEPLOYED}{place}"
        self._by = by
        self._environ = environ
        self._push = push

    def deployed(
        self, version: Version, facts: Mapping[str, str | None], reason: str | None
    ) -> tuple[str, ...]:
        """Say that this version runs there; returns the names of the tags."""
        events = assignment_events(self._state, version.version, version.commit, self._stage)
        # Objects first: until they are published, nobody sees any of them.
        tags = self._write(self._state, events, "deploy", facts, reason)
        publish(self._git, self._state, tags, push=self._push)
        return tuple(names_of(events))

    def back(
        self,
        version: Version,
        before: Version | None,
        facts: Mapping[str, str | None],
        reason: str,
    ) -> tuple[str, ...]:
        """Say that this version was put there and did not stay, and what runs there again."""
        tried = assignment_events(self._state, version.version, version.commit, self._stage)
        tags = self._write(self._state, tried, "deploy", facts, None)
        meanwhile = self._after(tried)
        # Nothing ran there: then both events together leave the place empty.
        if before is None:
            undone = removal_events(meanwhile, self._stage)
        else:
            undone = assignment_events(meanwhile, before.version, before.commit, self._stage)
        tags += self._write(meanwhile, undone, "deploy-back", facts, reason)
        # All at once: nobody sees the version there that did not stay.
        publish(self._git, self._state, tags, push=self._push)
        return tuple(names_of([*tried, *undone]))

    def stopped(self, reason: str | None) -> tuple[str, ...]:
        """Say that nothing runs there any more."""
        events = removal_events(self._state, self._stage)
        tags = self._write(self._state, events, "deploy-stop", {}, reason)
        publish(self._git, self._state, tags, push=self._push)
        return tuple(names_of(events))

    def _write(
        self,
        state: ModelState,
        events: Sequence[NewEvent],
        event: str,
        facts: Mapping[str, str | None],
        reason: str | None,
    ) -> list[NewTag]:
        notes = {"Nbci-Event": event, **facts, "Nbci-Build": build_url(self._environ)}
        return write_events(self._git, state, events, by=self._by, notes=notes, reason=reason)

    def _after(self, events: Sequence[NewEvent]) -> ModelState:
        """The model as it is once these have happened."""
        seconds = max(int(time.time()), self._state.last_seconds + 1)
        happened = list(self._state.events)
        names = names_of(events)
        for count, (event, name) in enumerate(zip(events, names, strict=True), 1):
            happened.append(
                Event(
                    action=event.tag.action,
                    model=event.tag.model,
                    tag=name,
                    object="",
                    commit=event.commit,
                    # By its own clock, as the tag is dated: what comes next is later still.
                    seconds=seconds + count,
                    name=self._by.name,
                    email=self._by.email,
                    version=event.version,
                    stage=event.tag.stage,
                    number=event.tag.number,
                )
            )
        # By the fold itself: a second rule for what follows from events would differ one day.
        (model,) = fold(happened)
        return model
