"""What a run was started by, where no person asked for it: a decision, in one sentence."""

from __future__ import annotations

from msgspec import Struct


class Cause(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The decision that started a run: its id, and the model that is to become better.

    `watched` is the version whose monitor gave the reason, `monitor` the id of that judgement; a
    person who asked without one leaves them out. `sentence` begins with "because".
    """

    decision: str
    model: str
    sentence: str
    watched: str | None = None
    monitor: str | None = None

    def __str__(self) -> str:
        return f"{self.sentence} (decision {self.decision})"
