"""Tells from the dates of its messages whether a kernel's send queue may have been full."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Any

ROOM_MESSAGES = 1000
"""Room in a ZeroMQ socket left as it is (ZMQ_SNDHWM); a publisher drops what exceeds it."""

LEAST_ROOM_MESSAGES = ROOM_MESSAGES - (ROOM_MESSAGES + 1) // 2
"""From here on the queue may seem full to its sender.

The sender learns only in steps of half the room what was taken out:
https://github.com/zeromq/libzmq/blob/master/src/pipe.cpp (`compute_lwm`).
"""


class SenderQueue:
    """How long the kernel's queue can have been when each of its messages was made.

    Jupyter's messages have no numbers, but they have a date. What was made before a message and
    came after that date was on its way, and in the queue at worst. The last message before one that
    is dropped finds the queue full.
    """

    def __init__(self) -> None:
        self._arrivals: deque[float] = deque(maxlen=LEAST_ROOM_MESSAGES)
        self._asked = 0.0

    def ask(self, now: float) -> None:
        """A cell is sent, and all that was printed before has been read."""
        self._asked = now

    def may_have_dropped(self, message: dict[str, Any], arrived: float) -> bool:
        """Note a message and its arrival; whether one behind it may have found no room."""
        made = self._made(message, arrived)
        # What had arrived when this one was made was no longer in the queue.
        while self._arrivals and self._arrivals[0] <= made:
            self._arrivals.popleft()
        self._arrivals.append(arrived)
        return len(self._arrivals) == LEAST_ROOM_MESSAGES

    def _made(self, message: dict[str, Any], arrived: float) -> float:
        """When the message was made at the latest; as early as possible where its date is odd."""
        date = message["header"].get("date")
        if not isinstance(date, datetime):
            return self._asked
        made = date.timestamp()
        # A clock that was set back would put it after its arrival.
        if made > arrived:
            return self._asked
        return made
