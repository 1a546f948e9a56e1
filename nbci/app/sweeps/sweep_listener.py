"""Whom a sweep tells what, while it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbci.sweeps.study_record import SweepRecord, TrialRecord


def _ignore(*_told: object) -> None:
    """Somebody who does not want to know."""


class Listener(Struct, frozen=True, kw_only=True):
    """Called in order as things happen, from the thread of the sweep; must return quickly.

    `begun` and `over` are called once, `known` with the trials that the sweep had before,
    `trial_begun` and `ended` with each further one, `step_begun` with a trial's number and the name
    of a step that runs now, `noticed` with texts, and `ticked` about once a second.
    """

    begun: Callable[[SweepRecord], None]
    ended: Callable[[SweepRecord, TrialRecord], None]
    noticed: Callable[[str], None]
    known: Callable[[Sequence[TrialRecord]], None] = _ignore
    trial_begun: Callable[[TrialRecord], None] = _ignore
    step_begun: Callable[[int, str], None] = _ignore
    ticked: Callable[[], None] = _ignore
    over: Callable[[], None] = _ignore
