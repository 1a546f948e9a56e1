"""How a run's model behaves differently from another one, over the cases that both predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.behaviour.case_metrics import case_metrics, is_right
from nbci.behaviour.paired import Outcomes, outcomes_of, p_value
from nbci.behaviour.predictions import Task  # noqa: TC001 - msgspec reads the annotation
from nbci.behaviour.significance import Interval, mean_interval, share_interval
from nbci.behaviour.slices import MIN_ROWS, Slices, most_changed
from nbci.formatting.numbers import number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nbci.behaviour.case_metrics import CaseMetric
    from nbci.behaviour.pairing import Pair
    from nbci.behaviour.predictions import Predictions

MOST_EXAMPLES = 20
_MOST_CLASSES_SHOWN = 40
"""A confusion matrix of more classes is too large to be read."""
_CALIBRATION_BINS = 15
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class MetricChange(Struct, frozen=True, kw_only=True):
    """A metric of both models, with intervals of 95 %; `change` is the run's minus the other's.

    `p_value` is of the paired test that the models are equal in it.
    """

    name: str
    better: str
    run: float
    run_interval: Interval
    baseline: float
    baseline_interval: Interval
    change: float
    change_interval: Interval
    p_value: float


class Confusion(Struct, frozen=True, kw_only=True):
    """Counts of cases by label (rows) and prediction (columns), in the order of `classes`."""

    classes: tuple[str, ...]
    run: tuple[tuple[int, ...], ...]
    baseline: tuple[tuple[int, ...], ...]


class Calibration(Struct, frozen=True, kw_only=True):
    """The expected calibration error of both: how far confidence is from accuracy, 0 to 1.

    In 15 bins of equal width; None where a model writes no scores, or they are no probabilities.
    """

    run: float | None
    baseline: float | None


class ErrorQuantiles(Struct, frozen=True, kw_only=True):
    """Quantiles of the absolute error of both, and of its change from case to case."""

    share: float
    run: float
    baseline: float
    change: float


class Example(Struct, frozen=True, kw_only=True):
    """A case that the baseline had right, or nearer, and the run has not.

    `row` counts from 1 in the run's file. `show` is what the file gives to show the case by.
    """

    row: int
    id: str | None
    label: str
    prediction: str
    before: str
    confidence: float | None
    show: str | None


class Difference(Struct, frozen=True, kw_only=True):
    """What is said of the two models' behaviour; `notes` tell what was not compared, and why."""

    task: Task
    cases: int
    metrics: tuple[MetricChange, ...]
    outcomes: Outcomes | None = None
    confusion: Confusion | None = None
    calibration: Calibration | None = None
    quantiles: tuple[ErrorQuantiles, ...] = ()
    slices: Slices = Slices()
    examples: tuple[Example, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def negative_flip_rate(self) -> float | None:
        """The share of all cases that were right and are wrong now, 0 to 1."""
        if self.outcomes is None:
            return None
        return self.outcomes.broken / self.cases


def differ(pair: Pair, *, min_rows: int = MIN_ROWS) -> Difference:
    """All differences; slices have at least `min_rows` cases."""
    notes = list(pair.notes)
    metrics = case_metrics(pair)
    slices = most_changed(pair, metrics[0], min_rows=min_rows, notes=notes)
    changes = tuple(_metric_change(pair, metric) for metric in metrics)
    if pair.run.task == "regression":
        return Difference(
            task="regression",
            cases=len(pair),
            metrics=changes,
            quantiles=_error_quantiles(metrics[0]),
            slices=slices,
            examples=_examples(pair, _worse_errors(metrics[0])),
            notes=tuple(notes),
        )
    return Difference(
        task="classification",
        cases=len(pair),
        metrics=changes,
        outcomes=outcomes_of(pair),
        confusion=_confusion(pair, notes),
        calibration=_calibration(pair, notes),
        slices=slices,
        examples=_examples(pair, _broken(pair)),
        notes=tuple(notes),
    )


def _metric_change(pair: Pair, metric: CaseMetric) -> MetricChange:
    weights = pair.run.weights
    run, baseline = metric.means(weights)
    difference = metric.run - metric.baseline
    return MetricChange(
        name=metric.name,
        better=metric.better,
        run=run,
        run_interval=_interval(pair, metric.run),
        baseline=baseline,
        baseline_interval=_interval(pair, metric.baseline),
        change=run - baseline,
        change_interval=mean_interval(difference, weights),
        p_value=p_value(pair, metric),
    )


def _interval(pair: Pair, values: NDArray[np.float64]) -> Interval:
    if pair.run.task == "classification" and pair.run.weights is None:
        return share_interval(float(values.sum()), len(values))
    return mean_interval(values, pair.run.weights)


def _confusion(pair: Pair, notes: list[str]) -> Confusion | None:
    classes = pair.run.classes
    if len(classes) > _MOST_CLASSES_SHOWN:
        notes.append(f"the confusion of {len(classes):,} classes is not drawn")
        return None
    return Confusion(classes=classes, run=_counts(pair.run), baseline=_counts(pair.baseline))


def _counts(predictions: Predictions) -> tuple[tuple[int, ...], ...]:
    import numpy as np

    width = len(predictions.classes)
    cells = predictions.labels.astype(np.int64) * width + predictions.predictions
    counts = np.bincount(cells, minlength=width * width).reshape(width, width)
    return tuple(map(tuple, counts.tolist()))


def _calibration(pair: Pair, notes: list[str]) -> Calibration | None:
    run, baseline = _calibration_error(pair.run), _calibration_error(pair.baseline)
    for error, predictions in ((run, pair.run), (baseline, pair.baseline)):
        if error is None and predictions.confidence is not None:
            notes.append(
                f"the scores in {predictions.source} are not from 0 to 1: "
                "they tell nothing of calibration"
            )
    if run is None and baseline is None:
        return None
    return Calibration(run=run, baseline=baseline)


def _calibration_error(predictions: Predictions) -> float | None:
    """The expected calibration error.

    Source: Guo et al., On calibration of modern neural networks, 2017.
    """
    import numpy as np

    confidence = predictions.confidence
    if confidence is None or confidence.min() < 0 or confidence.max() > 1:
        return None
    # Bins are closed above, as in the paper: a confidence of 1 is in the last one.
    bins = np.ceil(confidence * _CALIBRATION_BINS).astype(np.int64)
    bins = np.clip(bins, 1, _CALIBRATION_BINS)
    weights = predictions.weights
    if weights is None:
        weights = np.ones(len(predictions))
    gaps = np.bincount(bins, weights=weights * (is_right(predictions) - confidence))
    return float(np.abs(gaps).sum() / weights.sum())


def _error_quantiles(metric: CaseMetric) -> tuple[ErrorQuantiles, ...]:
    import numpy as np

    difference = metric.run - metric.baseline
    found = [
        np.quantile(values, _QUANTILES) for values in (metric.run, metric.baseline, difference)
    ]
    return tuple(
        ErrorQuantiles(share=share, run=float(run), baseline=float(baseline), change=float(change))
        for share, run, baseline, change in zip(_QUANTILES, *found, strict=True)
    )


def _broken(pair: Pair) -> NDArray[np.int64]:
    """The rows that only the baseline has right, the surest mistakes of the run first."""
    import numpy as np

    rows = np.flatnonzero(is_right(pair.baseline) & ~is_right(pair.run))
    if pair.run.confidence is None:
        return rows
    return rows[np.argsort(-pair.run.confidence[rows], kind="stable")]


def _worse_errors(metric: CaseMetric) -> NDArray[np.int64]:
    """The rows whose error has grown, by how much."""
    import numpy as np

    growth = metric.run - metric.baseline
    rows = np.argsort(-growth, kind="stable")
    return rows[growth[rows] > 0]


def _examples(pair: Pair, rows: NDArray[np.int64]) -> tuple[Example, ...]:
    return tuple(_example(pair, int(row)) for row in rows[:MOST_EXAMPLES])


def _example(pair: Pair, row: int) -> Example:
    run = pair.run
    confidence = None
    if run.confidence is not None:
        confidence = float(run.confidence[row])
    return Example(
        row=int(pair.rows[row]) + 1,
        id=_text_at(run.ids, row),
        label=_name(run, run.labels[row]),
        prediction=_name(run, run.predictions[row]),
        before=_name(run, pair.baseline.predictions[row]),
        confidence=confidence,
        show=_text_at(run.show, row),
    )


def _name(predictions: Predictions, value: Any) -> str:
    if predictions.task == "regression":
        return number(float(value))
    return predictions.classes[int(value)]


def _text_at(column: Any, row: int) -> str | None:
    if column is None:
        return None
    value = column[row].as_py()
    if value is None:
        return None
    return str(value)
