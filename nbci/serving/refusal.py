"""A request that is refused: with which status, and why."""

from __future__ import annotations


class Refusal(Exception):
    """A request cannot be answered; `status` is HTTP's, the text says why and repeats no data."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
