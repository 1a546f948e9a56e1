"""Why something was started by itself, and what came of it: a decision, with its events.

A record is never changed. Each event makes a new one, with the events before it, and all of them
stay in git: `nbci.registry.decisions` keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from nbci.records.cause import Cause
from nbci.records.monitoring import Window
from nbci.records.verdict import GateResult

FORMAT = 1

EventKind = Literal[
    "decided",
    "asked",
    "started",
    "refused",
    "failed",
    "passed",
    "no better",
    "promoted",
    "closed",
    "reset",
]
"""What happened. `passed` is a run that its gates let pass and that nobody has promoted yet."""
_OPEN = ("decided", "started")


class Expected(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What it is going to cost: `seconds`, the median of those `runs` that did the same."""

    seconds: float | None = None
    runs: int = 0


class NewData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The data that it learns from, as versions: `.dvc` files by path, with their texts.

    `files` are the digests of the data by path (MD5, as DVC has them). `before` and `added` are
    numbers of rows; `source` says where the new ones came from, `sentence` all of it for people.
    """

    imports: Mapping[str, str]
    files: Mapping[str, str]
    sentence: str
    source: str = ""
    before: int | None = None
    added: int | None = None


class DecisionEvent(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Something that happened to a decision. `sentence` is for people.

    `run`, `build` (the page of CI's build) and `version` are those that it is about, where it is.
    """

    kind: EventKind
    at_utc: str
    by: str
    sentence: str
    host: str | None = None
    run: str | None = None
    build: str | None = None
    version: str | None = None


class Decision(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is to be done with a model, why, and what has come of it so far.

    `watched` is the version that the monitor looked at. `rules` are those that the window broke;
    `sentence` says them all. `pipeline`, `params` (as `-p` takes them) and `commit` are what is to
    be run. `events` are in the order in which they happened.
    """

    id: str
    model: str
    pipeline: str
    sentence: str
    by: str
    format: int = field(default_factory=lambda: FORMAT)
    watched: str | None = None
    monitor: str | None = None
    window: Window | None = None
    rules: tuple[GateResult, ...] = ()
    params: tuple[str, ...] = ()
    commit: str | None = None
    expected: Expected | None = None
    data: NewData | None = None
    events: tuple[DecisionEvent, ...] = ()

    @property
    def last(self) -> DecisionEvent | None:
        """What happened last."""
        return self.events[-1] if self.events else None

    @property
    def state(self) -> EventKind:
        """What the last event made of it; a reset changes nothing of what came of it."""
        for event in reversed(self.events):
            if event.kind != "reset":
                return event.kind
        return "decided"

    @property
    def is_open(self) -> bool:
        """Whether something of it may be running."""
        return self.state in _OPEN

    @property
    def cause(self) -> Cause:
        """What the run that it starts has in its record."""
        return Cause(
            decision=self.id,
            model=self.model,
            sentence=self.sentence,
            watched=self.watched,
            monitor=self.monitor,
        )

    def first(self, kind: EventKind) -> DecisionEvent | None:
        """The first event of that kind."""
        for event in self.events:
            if event.kind == kind:
                return event
        return None
