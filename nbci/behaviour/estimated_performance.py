"""Estimate a classifier's performance on cases whose labels are not known yet.

Confidence-based estimation: the scores say how likely each answer is right, once they are
calibrated on cases with labels. It sees what other inputs do to the performance, and is blind to
labels that mean something else than before (concept drift).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct, field

from nbci.errors import UsageError
from nbci.formatting.numbers import counted
from nbci.records.profile import Calibration, CalibrationCurve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from nbci.behaviour.predictions import Predictions

    Numbers = NDArray[np.float64]

LEAST_CASES = 30
"""Fewer cases with labels do not calibrate anything."""
_ENOUGH_OF_CLASS = 100
_STANDARD_ERRORS = 1.96


class EstimatedPerformance(Struct, frozen=True, kw_only=True):
    """What a classifier is expected to have, over `rows` cases.

    `error` is how far the accuracy would be off by chance, at 95 %, if all answers were as likely
    right as their scores say. `precision` is the mean over the classes that were predicted,
    `recall` that over both classes; of more than two classes, the scores of answers alone do not
    tell it. `missing` cases had no score. `by_class` has, of each class that was predicted, how
    many cases that were and how many of them are likely right.
    """

    rows: int
    missing: int
    accuracy: float
    error: float
    precision: float
    recall: float | None = None
    by_class: Mapping[str, tuple[int, float]] = field(default_factory=dict)


def calibrate(reference: Predictions) -> Calibration:
    """How likely answers are right by their scores, from predictions with labels.

    UsageError where they have no scores of classes, or are too few.
    """
    import numpy as np

    confidence = reference.confidence
    if reference.task != "classification" or confidence is None:
        raise UsageError(
            f"the predictions in {reference.source} have no scores of classes",
            hint="write a column `score`, or `score_CLASS` of each class, beside the predictions",
        )
    if len(reference) < LEAST_CASES:
        raise UsageError(
            f"the predictions in {reference.source} are of {counted(len(reference), 'case')}, "
            f"at least {LEAST_CASES} calibrate scores"
        )
    is_right = (reference.labels == reference.predictions).astype(np.float64)
    weights = np.ones(len(is_right))
    if reference.weights is not None:
        weights = reference.weights
    by_class = {}
    for place, name in enumerate(reference.classes):
        alike = reference.predictions == place
        # The classes' scores are rarely off by the same, such as after training on a balanced set.
        if alike.sum() >= _ENOUGH_OF_CLASS and weights[alike].any():
            by_class[name] = _curve(confidence[alike], is_right[alike], weights[alike])
    return Calibration(
        rows=len(reference),
        classes=reference.classes,
        curve=_curve(confidence, is_right, weights),
        by_class=by_class,
    )


def estimate_performance(
    calibration: Calibration, predicted: Sequence[str], confidence: Numbers
) -> EstimatedPerformance | None:
    """The performance on cases of which only the answers are known.

    `predicted` are their classes, `confidence` the score of each, in the unit of what calibrated
    them; NaN where there is none. None where no case has a score.
    """
    import numpy as np

    scores = np.asarray(confidence, dtype=np.float64)
    given = np.isfinite(scores)
    if not given.any():
        return None
    classes = np.asarray(predicted, dtype=str)[given]
    right = _likely_right(calibration, classes, scores[given])
    rows = len(right)
    variance = float(np.sum(right * (1 - right))) / rows**2
    by_class = {}
    for name in np.unique(classes).tolist():
        asked = classes == name
        by_class[name] = (int(asked.sum()), float(right[asked].sum()))
    precisions = [likely / count for count, likely in by_class.values()]
    names = sorted({*calibration.classes, *classes.tolist()})
    return EstimatedPerformance(
        rows=rows,
        missing=int((~given).sum()),
        accuracy=float(right.mean()),
        error=_STANDARD_ERRORS * math.sqrt(variance),
        precision=float(np.mean(precisions)),
        recall=_recall(names, classes, right),
        by_class=by_class,
    )


def _likely_right(calibration: Calibration, classes: NDArray[np.str_], scores: Numbers) -> Numbers:
    """How likely each answer is right, by the curve of its class where it has one."""
    import numpy as np

    likely = np.interp(scores, calibration.curve.scores, calibration.curve.shares)
    for name, curve in (calibration.by_class or {}).items():
        asked = classes == name
        likely[asked] = np.interp(scores[asked], curve.scores, curve.shares)
    return likely


def _curve(confidence: Numbers, is_right: Numbers, weights: Numbers) -> CalibrationCurve:
    """The share of right answers at each score, which never falls as the score grows.

    Isotonic regression (R. Barlow and others, 1972); a straight line from the middle of each step
    to that of the next.
    """
    import numpy as np
    from scipy.optimize import isotonic_regression

    scores, places = np.unique(confidence, return_inverse=True)
    total = np.bincount(places, weights)
    # Cases of no weight say nothing of their score.
    there = total > 0
    shares = np.bincount(places, weights * is_right)[there] / total[there]
    scores, total = scores[there], total[there]
    steps = isotonic_regression(shares, weights=total).x
    _, first = np.unique(steps, return_index=True)
    middles = np.add.reduceat(total * scores, first) / np.add.reduceat(total, first)
    return CalibrationCurve(scores=tuple(middles.tolist()), shares=tuple(steps[first].tolist()))


def _recall(names: Sequence[str], classes: NDArray[np.str_], right: Numbers) -> float | None:
    """The mean recall of two classes: what is not one of them is the other."""
    import numpy as np

    if len(names) != 2:
        return None
    recalls = []
    for name in names:
        asked = classes == name
        found = float(right[asked].sum())
        all_of_it = found + float((1 - right[~asked]).sum())
        if all_of_it > 0:
            recalls.append(found / all_of_it)
    if not recalls:
        return None
    return float(np.mean(recalls))
