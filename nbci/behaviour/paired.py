"""What paired predictions tell: who has how many cases right, and whether that is chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.behaviour.case_metrics import is_right
from nbci.behaviour.significance import mcnemar, paired_t

if TYPE_CHECKING:
    from nbci.behaviour.case_metrics import CaseMetric
    from nbci.behaviour.pairing import Pair


class Outcomes(Struct, frozen=True, kw_only=True):
    """Counts of cases by who has them right: the run, the baseline, both or neither."""

    both_right: int
    fixed: int
    broken: int
    both_wrong: int


def outcomes_of(pair: Pair) -> Outcomes:
    """The counts of a classification."""
    import numpy as np

    # Two bits a case: whether the run has it right, and whether the baseline has.
    outcome = 2 * is_right(pair.run) + is_right(pair.baseline).astype(np.int64)
    both_wrong, broken, fixed, both_right = np.bincount(outcome, minlength=4).tolist()
    return Outcomes(both_right=both_right, fixed=fixed, broken=broken, both_wrong=both_wrong)


def p_value(pair: Pair, metric: CaseMetric) -> float:
    """That of the paired test that both models are equal in the metric: McNemar's, or Student's."""
    import numpy as np

    # Of a classification each case differs by 1, 0 or -1: weights have no place in these tests.
    difference = metric.run - metric.baseline
    if pair.run.task == "classification":
        return float(mcnemar(np.sum(difference < 0), np.sum(difference > 0)))
    return float(paired_t(len(pair), difference.sum(), (difference**2).sum()))
