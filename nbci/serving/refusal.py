"""A request that is refused: with which status, and why."""

from __future__ import annotations


class Refusal(Exception):
    """A request cannot be answered; `status` is HTTP's, the text says why and repeats no data.

    `closes`: the connection is not to be kept for another one.
    """

    def __init__(self, status: int, reason: str, *, closes: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.closes = closes
