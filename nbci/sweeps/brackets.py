"""Which bracket of hyperband a trial is in: from which rung on it is compared with others."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbci.sweeps.study_record import SweepRecord


def bracket_of(sweep: SweepRecord, number: int) -> int:
    """The bracket of that trial, which is the first rung at which it may be stopped.

    Optuna draws it by the name of the study and the trial's number, in the shares that hyperband
    has for them. The name is another in each sweep, so the seed stands in its place: else the same
    search done again would stop other trials, and compute what the first one did not.
    """
    assert sweep.fidelity is not None
    brackets, eta = len(sweep.fidelity.rungs), sweep.fidelity.eta
    shares = []
    for bracket in range(brackets):
        rungs_above = brackets - 1 - bracket
        # https://arxiv.org/abs/1603.06560, algorithm 1: the number of trials in a bracket, rounded
        # up.
        shares.append(-(-brackets * eta**rungs_above // (rungs_above + 1)))
    # Of a shared study the name is the same in all processes, and their seeds are not.
    name = sweep.study or f"nbci {sweep.seed}"
    drawn = zlib.crc32(f"{name}_{number}".encode()) % sum(shares)
    for bracket, share in enumerate(shares):
        drawn -= share
        if drawn < 0:
            return bracket
    raise AssertionError("more was drawn than there is")
