"""Follow a build from the queue to its end, as events.

A controller that restarts meanwhile is waited for, within a bound.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from nbci.errors import ExitCode, InfrastructureError
from nbci.jenkins.failures import MissingError, UnreachableError
from nbci.jenkins.log import LogReader, missing_label
from nbci.jenkins.stages import read_stages, read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from nbci.jenkins.controller import Controller
    from nbci.jenkins.stages import Stage

T = TypeVar("T")

_EXITS = {
    "SUCCESS": ExitCode.SUCCESS,
    "UNSTABLE": ExitCode.GATE_REFUSED,
    "FAILURE": ExitCode.STEP_FAILED,
    "ABORTED": ExitCode.INTERRUPTED,
}
# of a quiet period: the reason counts down, and is another text at each look
_COUNTDOWN = re.compile(r"Expires in .*")
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.2, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The item is in the queue, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The build has a number."""

    number: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogText:
    """Text that is new in the build's log."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StagesChanged:
    """All stages, since one of them changed."""

    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """The controller stopped answering, or answers again, when `why` is None."""

    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How it ended; `result` is Jenkins' word, `why` a sentence where that is not enough.

    No number: it never started.
    """

    result: str
    exit_code: ExitCode
    number: int | None
    why: str | None = None


Event = Waiting | Started | LogText | StagesChanged | Away | Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long to wait for a controller that is away, and for a label that no agent has."""

    away_seconds: float = 300
    label_seconds: float = 60


def exit_code(result: str, *, infrastructure: bool = False) -> ExitCode:
    """The exit code for a build's result; `infrastructure`: a machine is to blame for a failure."""
    if infrastructure and result == "FAILURE":
        return ExitCode.INFRASTRUCTURE
    return _EXITS.get(result, ExitCode.INFRASTRUCTURE)


class Watch:
    """Follows one item of the queue of one job."""

    def __init__(self, controller: Controller, job: str, bounds: Bounds) -> None:
        self._controller = controller
        self._job = job
        self._bounds = bounds
        self._pause = _SHORTEST_SECONDS
        self._away_since: float | None = None
        self._missing: tuple[str, float] | None = None

    def follow(self, item: int) -> Iterator[Event]:
        """Yield what happens, from the queue to the end."""
        number: int | None = None
        for event in self._follow_queue(item):
            yield event
            if isinstance(event, Started):
                number = event.number
        if number is not None:
            yield from self._follow_build(number)

    def _follow_queue(self, item: int) -> Iterator[Event]:
        why = ""
        while True:
            found = yield from self._ask(partial(self._item, item))
            executable = found.get("executable")
            if executable:
                yield Started(number=executable["number"], url=executable.get("url") or "")
                return
            if found.get("cancelled"):
                yield Ended(
                    result="CANCELLED",
                    exit_code=ExitCode.INTERRUPTED,
                    number=None,
                    why="it was cancelled in the queue",
                )
                return

            before, why = why, found.get("why") or ""
            if _COUNTDOWN.sub("", why) != _COUNTDOWN.sub("", before):
                yield Waiting(why=why)
            label = self._label_in_vain(missing_label(why))
            if label is not None:
                yield from self._ask(partial(self._controller.cancel, item))
                yield _end_for_label(label, None, "the build was taken out of the queue")
                return
            self._wait()

    def _item(self, item: int) -> dict[str, Any]:
        """The item; once the queue no longer has it, in the shape of one, the build it became."""
        try:
            return self._controller.queue_item(item)
        except MissingError as error:
            # Jenkins forgets an item minutes after it has left the queue, as during a long absence
            number = self._controller.build_of_item(self._job, item)
            if number is None:
                raise InfrastructureError(
                    f"the queue no longer has item {item}, and no build of {self._job} came of it",
                    hint="it expired, or an administrator emptied the queue; trigger it again",
                ) from error
            return {"executable": {"number": number, "url": None}}

    def _follow_build(self, number: int) -> Iterator[Event]:
        controller, job = self._controller, self._job
        log = LogReader()
        stages: tuple[Stage, ...] = ()
        while True:
            # the build first: what it prints before its end is then in the log that is read next
            build = yield from self._ask(partial(controller.build, job, number))
            over = not build.get("building") and build.get("result") is not None
            piece = yield from self._ask(partial(controller.log, job, number, log.offset))
            fresh = log.take(piece)
            if fresh:
                # a build that prints is looked at often, a silent one ever less
                self._pause = _SHORTEST_SECONDS
                yield LogText(text=fresh)

            found = yield from self._ask(partial(self._stages, number, over=over))
            if _outline(found) != _outline(stages):
                yield StagesChanged(stages=found)
            stages = found
            if over and not piece.more:
                yield _end_of_build(build, number, infrastructure=log.infrastructure)
                return

            # the log names a label once; whether it is still missing is asked of the queue
            if log.missing_label is not None and self._missing is None:
                self._label_in_vain(log.missing_label)
                log.missing_label = None
            label = yield from self._ask(self._label_still_missing)
            if label is not None:
                yield from self._ask(partial(controller.stop, job, number))
                yield _end_for_label(label, number, "the build was stopped")
                return
            self._wait()

    def _stages(self, number: int, *, over: bool) -> tuple[Stage, ...]:
        # the tree is right about branches that still run, the list has the errors at the end; each
        # is of a plugin that may be missing
        if over:
            listed = self._controller.stages(self._job, number)
            if listed is not None:
                return read_stages(listed)
        tree = self._controller.tree(self._job, number)
        if tree is not None:
            return read_tree(tree)
        return read_stages(self._controller.stages(self._job, number))

    def _label_still_missing(self) -> str | None:
        """The label that the build has waited for too long, as the queue has it; else None."""
        if self._missing is None:
            return None
        waited_for = self._missing[0]
        for item in self._controller.queue():
            if missing_label(item.get("why") or "") == waited_for:
                return self._label_in_vain(waited_for)
        return self._label_in_vain(None)

    def _label_in_vain(self, label: str | None) -> str | None:
        """Count the time that a label is missing; return the label once that is too long.

        At first it may only be late: clouds start an agent when a build asks for its label.
        """
        if label is None:
            self._missing = None
            return None
        now = time.monotonic()
        if self._missing is None or self._missing[0] != label:
            self._missing = (label, now)
        if now - self._missing[1] < self._bounds.label_seconds:
            return None
        return label

    def _ask(self, ask: Callable[[], T]) -> Generator[Event, None, T]:
        """Ask until there is an answer, or until the controller has been away for too long."""
        while True:
            try:
                answer = ask()
            except UnreachableError as error:
                now = time.monotonic()
                if self._away_since is None:
                    self._away_since = now
                    yield Away(why=error.message)
                if now - self._away_since >= self._bounds.away_seconds:
                    raise InfrastructureError(
                        f"{error.message}, for {self._bounds.away_seconds:g} seconds now",
                        hint="the build may go on:"
                        " `nbci jenkins status` tells once the controller is back",
                    ) from error
                self._wait()
                continue
            # a restart may take minutes, after which the pauses are the longest
            if self._away_since is not None:
                self._away_since = None
                self._pause = _SHORTEST_SECONDS
                yield Away(why=None)
            return answer

    def _wait(self) -> None:
        time.sleep(self._pause)
        self._pause = min(self._pause * 1.5, _LONGEST_SECONDS)


def _outline(stages: tuple[Stage, ...]) -> list[tuple[str, str]]:
    return [(stage.name, stage.status) for stage in stages]


def _end_of_build(build: dict[str, Any], number: int, *, infrastructure: str | None) -> Ended:
    result = str(build["result"])
    code = exit_code(result, infrastructure=infrastructure is not None)
    why = None
    # a step that was repeated after its agent vanished has such a line, too, in a build that passed
    if code == ExitCode.INFRASTRUCTURE:
        why = infrastructure
    return Ended(result=result, exit_code=code, number=number, why=why)


def _end_for_label(label: str, number: int | None, done: str) -> Ended:
    return Ended(
        result="NO_AGENT",
        exit_code=ExitCode.INFRASTRUCTURE,
        number=number,
        why=f"it waited for the label {label!r}, which no agent has; {done}",
    )
