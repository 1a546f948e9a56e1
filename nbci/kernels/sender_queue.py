"""Whether a kernel that drops what finds no room may have dropped some: told from when it made its messages."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Any

ROOM_MESSAGES = 1000
"""How many wait in a ZeroMQ socket that nobody configured (ZMQ_SNDHWM); what comes then, a publisher drops."""

LEAST_ROOM_MESSAGES = ROOM_MESSAGES - (ROOM_MESSAGES + 1) // 2
"""A sender learns of what was taken out only when it is half of the room, so the queue may seem full from here on:
https://github.com/zeromq/libzmq/blob/master/src/pipe.cpp (`compute_lwm`)."""


class SenderQueue:
    """How long the kernel's queue can have been, at the moment when each of its messages was made.

    Jupyter's messages have no numbers, but they have a date. What was made before a message and came after that date
    was on its way, and in the queue at worst. The last message before one that is dropped finds the queue full.
    """

    def __init__(self) -> None:
        self._arrivals: deque[float] = deque(maxlen=LEAST_ROOM_MESSAGES)
        self._asked = 0.0

    def ask(self, now: float) -> None:
        """A cell is sent, and all that was said before it has been read."""
        self._asked = now

    def may_have_dropped(self, message: dict[str, Any], arrived: float) -> bool:
        """Take note of a message that arrived then; whether one behind it may have found no room."""
        made = self._made(message, arrived)
        while self._arrivals and self._arrivals[0] <= made:
            self._arrivals.popleft()
        self._arrivals.append(arrived)
        return len(self._arrivals) == LEAST_ROOM_MESSAGES

    def _made(self, message: dict[str, Any], arrived: float) -> float:
        """Not after the message was made; where its date says nothing, as early as can be."""
        date = message["header"].get("date")
        if not isinstance(date, datetime):
            return self._asked
        made = date.timestamp()
        return made if made <= arrived else self._asked
