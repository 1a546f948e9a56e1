"""Whether a retraining may start now: what earlier decisions and the pipeline's limits say.

A pure fold over the events of decisions; times are seconds since 1970.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from nbci.formatting.durations import duration, moment, parse_duration, utc_text
from nbci.formatting.numbers import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.records.decision import Decision, DecisionEvent

Start = bool | Literal["ask"]

DAY_SECONDS = 86_400.0
_OFTEN = 10.0
_FRUITLESS = ("failed", "no better")
_FRUITFUL = ("passed", "promoted", "closed")


class Limits(Struct, frozen=True, kw_only=True):
    """What `triggers: {monitor: ...}` allows: how often, how many in a row without a success.

    `ask` says that each waits for a person.
    """

    at_most_every_seconds: float = DAY_SECONDS
    attempts: int = 3
    ask: bool = False


class Wish(Struct, frozen=True, kw_only=True):
    """What somebody wants to start: `monitor` is the judgement that gave the reason, if any did.

    `build` is the page of CI's build that wants it. `insists` says that a person stands behind it,
    `asks` that a person is to be asked.
    """

    monitor: str | None = None
    build: str | None = None
    insists: bool = False
    asks: bool = False


class Answer(Struct, frozen=True, kw_only=True):
    """Whether it may start, and why (not), in a sentence for people.

    `gives_up` says that no further try is made until a person resets it. `earlier` is the decision
    that is gone on with: it waits for a person, or its build could not say that it was made.
    """

    start: Start
    sentence: str
    gives_up: bool = False
    earlier: Decision | None = None


def limits_of(triggers: Mapping[str, Any] | None) -> Limits:
    """The limits that a pipeline's triggers give; the defaults where it has none."""
    given = (triggers or {}).get("monitor") or {}
    return Limits(
        at_most_every_seconds=parse_duration(given.get("at_most_every", DAY_SECONDS)),
        attempts=given.get("attempts", 3),
        ask=given.get("ask", False),
    )


def answer_wish(limits: Limits, decisions: Sequence[Decision], wish: Wish, now: float) -> Answer:
    """Whether a retraining may start now.

    A person who insists overrides how often and how many times, never that one runs.
    """
    unheard = _unheard(decisions, wish)
    if unheard is not None:
        sentence = f"decision {unheard.id} was made in this build, and has started nothing"
        return Answer(start=True, sentence=sentence, earlier=unheard)
    running = _running(decisions, now)
    if running is not None:
        return Answer(start=False, sentence=running)

    # Before what holds it back: a person who says yes takes up what waits.
    waiting = _waiting(decisions)
    if wish.insists:
        return Answer(start=True, sentence="a person said yes", earlier=waiting)

    tries = fruitless_tries(decisions)
    if tries >= limits.attempts:
        return Answer(start=False, sentence=_gave_up(decisions, tries), gives_up=True)
    if waiting is not None:
        asked = waiting.first("asked")
        since = moment(asked.at_utc) if asked else "its beginning"
        sentence = f"decision {waiting.id} waits for a person since {since}"
        return Answer(start="ask", sentence=sentence, earlier=waiting)

    held = _answered(decisions, wish) or _too_soon(limits, decisions, now)
    if held is not None:
        return Answer(start=False, sentence=held)
    if limits.ask or wish.asks:
        return Answer(start="ask", sentence="a person has to say yes")
    return Answer(start=True, sentence=_allowed(limits, decisions))


def counts_as_running_until(decision: Decision) -> float:
    """Until when a decision without an end counts as running: a day, or ten times its forecast.

    Who carried it out may have been killed, and could not say so.
    """
    last = decision.last
    began = _seconds(last) if last else 0.0
    expected = 0.0
    if decision.expected is not None:
        expected = decision.expected.seconds or 0.0
    return began + max(DAY_SECONDS, _OFTEN * expected)


def fruitless_tries(decisions: Sequence[Decision]) -> int:
    """How many retrainings in a row failed or were no better, since the last success or reset."""
    tries = 0
    for decision in reversed(decisions):
        # A reset stands behind what it forgives.
        if decision.state in _FRUITFUL or decision.first("reset") is not None:
            break
        if decision.state in _FRUITLESS:
            tries += 1
    return tries


def _running(decisions: Sequence[Decision], now: float) -> str | None:
    for decision in reversed(decisions):
        # Clocks of two machines may differ by minutes, which does not matter for a day.
        until = counts_as_running_until(decision)
        if not decision.is_open or now >= until:
            continue
        last = decision.last
        text = f"decision {decision.id} goes on"
        if last is not None:
            # What a person can look at comes first.
            who = last.build or last.run or last.host or last.by
            text = f"decision {decision.id} was {last.kind} at {moment(last.at_utc)} ({who})"
        name = decision.model.rpartition(":")[2]
        return (
            f"{text} and has no end yet: it counts as running until {moment(utc_text(until))}, "
            f"unless somebody says that it is over: nbci retrain {name} --failed WHY"
        )
    return None


def _unheard(decisions: Sequence[Decision], wish: Wish) -> Decision | None:
    """The decision of this judgement that was written down in the same build, and not started.

    An agent can vanish between the two: then its build asks again, on another agent.
    """
    if wish.monitor is None or wish.build is None or not decisions:
        return None
    newest = decisions[-1]
    if newest.state != "decided" or newest.monitor != wish.monitor or newest.last is None:
        return None
    return newest if newest.last.build == wish.build else None


def _waiting(decisions: Sequence[Decision]) -> Decision | None:
    for decision in reversed(decisions):
        if decision.state == "asked":
            return decision
    return None


def _gave_up(decisions: Sequence[Decision], tries: int) -> str:
    ends = [each.last.sentence for each in decisions if each.state in _FRUITLESS and each.last]
    return (
        f"{counted(tries, 'retraining')} in a row came to nothing, so that no other is tried; "
        f"the last one: {ends[-1]}"
    )


def _answered(decisions: Sequence[Decision], wish: Wish) -> str | None:
    """Whether this very judgement has led to a retraining that came to its end."""
    if wish.monitor is None:
        return None
    for decision in reversed(decisions):
        # What failed has answered nothing, and may be tried again.
        if decision.monitor == wish.monitor and decision.state in (*_FRUITFUL, "no better"):
            return f"decision {decision.id} has answered this judgement: {decision.state}"
    return None


def _too_soon(limits: Limits, decisions: Sequence[Decision], now: float) -> str | None:
    started = _last_start(decisions)
    if started is None:
        return None
    wait = _seconds(started) + limits.at_most_every_seconds - now
    # Counted from its beginning: one that takes a day would shift all others.
    if wait <= 0:
        return None
    every = duration(limits.at_most_every_seconds)
    return f"at most once in {every}: the last one began at {moment(started.at_utc)}"


def _last_start(decisions: Sequence[Decision]) -> DecisionEvent | None:
    for decision in reversed(decisions):
        started = decision.first("started")
        if started is not None:
            return started
    return None


def _allowed(limits: Limits, decisions: Sequence[Decision]) -> str:
    started = _last_start(decisions)
    if started is None:
        return "there was none before"
    return (
        f"the last one began at {moment(started.at_utc)}, "
        f"and at most one in {duration(limits.at_most_every_seconds)} may"
    )


def _seconds(event: DecisionEvent) -> float:
    return datetime.fromisoformat(event.at_utc).timestamp()
