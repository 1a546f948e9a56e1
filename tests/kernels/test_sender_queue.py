"""When a kernel's queue may have been full, told from dates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from nbci.kernels.sender_queue import LEAST_ROOM_MESSAGES, SenderQueue

ASKED = 1000.0


def warned(*messages: tuple[float | None, float]) -> bool:
    """Whether some messages may have been lost.

    Each is given as the time when it was made, by its date, and the time when it arrived.
    """
    queue = SenderQueue()
    queue.ask(ASKED)
    return any(queue.may_have_dropped(message_of(made), arrived) for made, arrived in messages)


def message_of(made: float | None) -> dict[str, Any]:
    header = {} if made is None else {"date": datetime.fromtimestamp(made, UTC)}
    return {"header": header}


def in_time(count: int) -> list[float]:
    return [ASKED + n / 1000 for n in range(count)]


def test_messages_that_come_as_they_are_made_are_whole() -> None:
    assert not warned(*((made, made + 0.1) for made in in_time(20_000)))


@pytest.mark.parametrize(
    ("waiting", "is_told"), [(LEAST_ROOM_MESSAGES - 1, False), (LEAST_ROOM_MESSAGES, True)]
)
def test_messages_made_before_the_first_one_came_have_waited(waiting: int, is_told: bool) -> None:
    assert warned(*((made, ASKED + 10) for made in in_time(waiting))) is is_told


def test_a_full_queue_is_told_in_the_middle_of_a_quiet_cell() -> None:
    before = [(made, made + 0.001) for made in in_time(3000)]
    at_once = [(ASKED + 5, ASKED + 6)] * LEAST_ROOM_MESSAGES
    assert warned(*before, *at_once)


@pytest.mark.parametrize("made", [None, ASKED + 3600], ids=["no date", "a clock that goes ahead"])
def test_without_a_date_that_says_something_any_long_output_is_told(made: float | None) -> None:
    arrivals = in_time(LEAST_ROOM_MESSAGES)
    assert not warned(*((made, arrived) for arrived in arrivals[1:]))
    assert warned(*((made, arrived + 0.001) for arrived in arrivals))


def test_what_was_read_before_a_cell_was_sent_is_forgotten() -> None:
    queue = SenderQueue()
    for n in range(10):
        queue.ask(ASKED + n)
        for _ in range(LEAST_ROOM_MESSAGES - 1):
            assert not queue.may_have_dropped(message_of(None), ASKED + n + 0.5)
