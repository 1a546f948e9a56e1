"""Whether a retraining may start: a fold over the events of earlier decisions."""

from __future__ import annotations

from datetime import datetime

import pytest

from nbci.formatting.durations import utc_text
from nbci.records.decision import Decision, DecisionEvent, EventKind, Expected
from nbci.retraining.limits import (
    DAY_SECONDS,
    Limits,
    Wish,
    answer_wish,
    counts_as_running_until,
    limits_of,
)

NOW = datetime.fromisoformat("2026-06-01T12:00:00Z").timestamp()
HOUR = 3600.0


def decision(name: str, *events: tuple[EventKind, float], monitor: str = "m") -> Decision:
    """A decision with events that many hours ago."""
    made = [
        DecisionEvent(kind=kind, at_utc=utc_text(NOW - ago * HOUR), by="Ada", sentence=f"{kind}!")
        for kind, ago in events
    ]
    return Decision(
        id=name,
        model="wine",
        pipeline="p.yaml",
        sentence="because",
        by="Ada",
        monitor=monitor,
        events=tuple(made),
    )


def ended(name: str, kind: EventKind, ago: float) -> Decision:
    return decision(name, ("decided", ago), ("started", ago), (kind, ago), monitor=name)


LIMITS = Limits()
WISH = Wish(monitor="new")


def test_the_first_one_may_start() -> None:
    assert answer_wish(LIMITS, [], WISH, NOW).start is True


def test_at_most_once_in_a_time() -> None:
    before = [ended("a", "promoted", 23)]
    answer = answer_wish(LIMITS, before, WISH, NOW)
    assert (answer.start, answer.gives_up) == (False, False)
    assert answer.sentence == (
        "at most once in 24 h 00 min: the last one began at 2026-05-31 13:00:00 UTC"
    )
    assert answer_wish(LIMITS, before, WISH, NOW + HOUR).start is True
    often = Limits(at_most_every_seconds=HOUR)
    assert answer_wish(often, before, WISH, NOW).start is True


@pytest.mark.parametrize("kind", ["decided", "started"])
def test_not_while_one_runs_even_for_a_person(kind: EventKind) -> None:
    running = [decision("a", ("decided", 2), (kind, 1))]
    for wish in (WISH, Wish(insists=True)):
        answer = answer_wish(Limits(at_most_every_seconds=1), running, wish, NOW)
        assert answer.start is False
        assert "has no end yet: it counts as running until 2026-06-02 11:00:00" in answer.sentence
    # nobody says any more what became of it
    assert answer_wish(LIMITS, running, WISH, NOW + DAY_SECONDS).start is True


def test_a_build_whose_agent_vanished_takes_up_its_own_decision() -> None:
    from msgspec.structs import replace

    made = decision("a", ("decided", 1), monitor="new")
    event = replace(made.events[0], build="https://ci/7/")
    made = replace(made, events=(event,))
    again = Wish(monitor="new", build="https://ci/7/")
    answer = answer_wish(LIMITS, [made], again, NOW)
    assert (answer.start, answer.earlier) == (True, made)

    for other in (
        replace(again, build="https://ci/8/"),
        replace(again, build=None),
        replace(again, monitor="another"),
    ):
        assert answer_wish(LIMITS, [made], other, NOW).start is False
    started = replace(made, events=(event, replace(event, kind="started")))
    assert answer_wish(LIMITS, [started], again, NOW).start is False


def test_what_takes_days_counts_as_running_for_longer() -> None:
    from msgspec.structs import replace

    long = replace(decision("a", ("started", 30)), expected=Expected(seconds=6 * HOUR, runs=2))
    assert counts_as_running_until(long) == NOW + 30 * HOUR
    assert answer_wish(Limits(at_most_every_seconds=1), [long], WISH, NOW).start is False


def test_three_in_a_row_that_came_to_nothing_are_the_last() -> None:
    tries = [
        ended("a", "failed", 90),
        ended("b", "no better", 60),
        decision("w", ("refused", 50)),
        ended("c", "failed", 30),
    ]
    answer = answer_wish(LIMITS, tries, WISH, NOW)
    assert (answer.start, answer.gives_up) == (False, True)
    assert answer.sentence.startswith("3 retrainings in a row came to nothing")
    assert "failed!" in answer.sentence

    assert answer_wish(LIMITS, tries, Wish(insists=True), NOW).start is True
    reset = decision("c", ("decided", 30), ("failed", 30), ("reset", 1))
    assert answer_wish(LIMITS, [*tries[:-1], reset], WISH, NOW).start is True
    with_success = [*tries[:-1], ended("d", "promoted", 40), tries[-1]]
    assert answer_wish(LIMITS, with_success, WISH, NOW).start is True


def test_a_person_is_asked_once() -> None:
    limits = Limits(ask=True)
    assert answer_wish(limits, [], WISH, NOW).start == "ask"
    assert answer_wish(LIMITS, [], Wish(asks=True), NOW).start == "ask"
    waiting = [decision("a", ("asked", 5))]
    answer = answer_wish(limits, waiting, WISH, NOW)
    assert answer.start == "ask"
    assert answer.earlier == waiting[0]
    assert "waits for a person since 2026-06-01 07:00:00" in answer.sentence
    said_yes = answer_wish(limits, waiting, Wish(insists=True), NOW)
    assert (said_yes.start, said_yes.earlier) == (True, waiting[0])


def test_one_judgement_is_answered_once() -> None:
    often = Limits(at_most_every_seconds=1)
    for kind in ("promoted", "no better", "closed"):
        answer = answer_wish(often, [ended("new", kind, 9)], WISH, NOW)
        assert answer.start is False
        assert answer.sentence == f"decision new has answered this judgement: {kind}"
    # a machine that failed is tried again
    assert answer_wish(often, [ended("new", "failed", 9)], WISH, NOW).start is True


def test_limits_are_those_of_the_pipeline() -> None:
    given = {"pipeline": "w.yaml", "at_most_every": "6h", "ask": True, "attempts": 2}
    assert limits_of({"monitor": given}) == Limits(
        at_most_every_seconds=6 * HOUR, ask=True, attempts=2
    )
    assert limits_of(None) == limits_of({"cron": "@daily"}) == LIMITS
