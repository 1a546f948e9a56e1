"""Metrics that are means over cases, so that they can be computed for any part of the cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from nbci.behaviour.pairing import Pair
    from nbci.behaviour.predictions import Predictions, Task

    _OfCases = Callable[[Predictions], NDArray[np.float64]]


class CaseMetric(Struct, frozen=True, kw_only=True):
    """A metric's value for each case, of both models; `better` is `higher` or `lower`."""

    name: str
    better: str
    run: NDArray[np.float64]
    baseline: NDArray[np.float64]

    def means(self, weights: NDArray[np.float64] | None) -> tuple[float, float]:
        """The metric of the run and of the baseline, over all of the cases."""
        import numpy as np

        run, baseline = (np.average(each, weights=weights) for each in (self.run, self.baseline))
        return float(run), float(baseline)


def case_metrics(pair: Pair) -> tuple[CaseMetric, ...]:
    """Those of the pair's task, the most important one first."""
    return tuple(case_metric(name, pair) for name in METRICS[pair.run.task])


def case_metric(name: str, pair: Pair) -> CaseMetric:
    """The one of that name, which is in `METRICS` for the pair's task."""
    better, of_cases = METRICS[pair.run.task][name]
    return CaseMetric(
        name=name, better=better, run=of_cases(pair.run), baseline=of_cases(pair.baseline)
    )


def is_right(predictions: Predictions) -> NDArray[np.bool_]:
    """Whether each case's class was predicted."""
    right: NDArray[np.bool_] = predictions.labels == predictions.predictions
    return right


def _accuracy(predictions: Predictions) -> NDArray[np.float64]:
    import numpy as np

    return is_right(predictions).astype(np.float64)


def _absolute_error(predictions: Predictions) -> NDArray[np.float64]:
    import numpy as np

    error: NDArray[np.float64] = np.abs(predictions.predictions - predictions.labels)
    return error


def _squared_error(predictions: Predictions) -> NDArray[np.float64]:
    return _absolute_error(predictions) ** 2


METRICS: Mapping[Task, Mapping[str, tuple[str, _OfCases]]] = {
    "classification": {"accuracy": ("higher", _accuracy)},
    "regression": {
        "mean_absolute_error": ("lower", _absolute_error),
        "mean_squared_error": ("lower", _squared_error),
    },
}
"""By task and name: which way the metric is better, and its value for each case."""
