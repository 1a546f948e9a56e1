"""Whether a classifier can tell the rows of a window from those of the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.profiles.arrays import booleans_of, numbers_of, texts_of, vectors_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from nbci.records.profile import ColumnProfile, Profile

    Numbers = NDArray[np.float64]

SAMPLE_ROWS = 1000
"""Rows of a side: enough to tell an area of 0.54 from one half."""
LEAST_ROWS = 20
"""A side with fewer rows tells nothing."""
_FOLDS = 5
_STEPS = 25
_CLOSE = 1e-8
_MOST_FEATURES = 256
_CATEGORIES = 20
_SEED = 0


def domain_classifier(reference: Numbers, window: Numbers) -> float | None:
    """How well the rows of two tables of features are told apart: the area under the ROC curve.

    0.5 is "not at all", 1 is "always"; less than 0.5 is chance, and given as 0.5. A logistic
    regression judges each row that it has not learnt from (the mean of five folds). Features are
    standardized, and those with missing values (NaN) have a second one that says so; of more than
    256 features it sees as many principal components. The folds are the same each time. None where
    a side has fewer than `LEAST_ROWS` rows.
    """
    import numpy as np

    if min(len(reference), len(window)) < LEAST_ROWS:
        return None
    features = _standardized(np.concatenate([reference, window]))
    labels = np.repeat([0.0, 1.0], [len(reference), len(window)])
    rng = np.random.default_rng(_SEED)
    folds = np.empty(len(labels), dtype=int)
    for label in (0.0, 1.0):
        places = np.flatnonzero(labels == label)
        # Each fold has its share of both sides.
        folds[rng.permutation(places)] = np.arange(len(places)) % _FOLDS

    areas = []
    for fold in range(_FOLDS):
        learns = folds != fold
        weights = _fit(features[learns], labels[learns])
        areas.append(_area(features[~learns] @ weights, labels[~learns]))
    return max(0.5, float(np.mean(areas)))


def sample_features(
    batches: Iterable[pa.RecordBatch], like: Profile, *, most: int = SAMPLE_ROWS
) -> Numbers:
    """The features of a random sample of the rows, a row each, for `domain_classifier`.

    They are of the columns of the reference's profile `like`: numbers, truth values, the parts of
    vectors, and for categories one feature for each of the twenty most frequent. Times and texts
    are left out. The same rows give the same sample.
    """
    import numpy as np

    rng = np.random.default_rng(_SEED)
    features: Any = np.empty((0, sum(map(_width, like.columns))))
    keys = np.empty(0)
    for batch in batches:
        # The rows with the smallest of random keys are a sample, however many rows come.
        new = rng.random(batch.num_rows)
        chosen = np.argsort(new, kind="stable")[:most]
        # Few rows of a long stream are turned into features at all.
        if len(keys) == most:
            chosen = chosen[new[chosen] < keys.max()]
        rows = _features(batch.take(chosen), like.columns)
        keys = np.concatenate([keys, new[chosen]])
        features = np.concatenate([features, rows])
        kept = np.sort(np.argsort(keys, kind="stable")[:most])
        keys, features = keys[kept], features[kept]
    return features  # type: ignore[no-any-return]  # an array, whatever numpy says


def _width(column: ColumnProfile) -> int:
    match column.kind:
        case "number" | "boolean":
            return 1
        case "category":
            return len(_categories(column))
        case "vector":
            return column.width or 0
        case _:
            return 0


def _categories(column: ColumnProfile) -> list[str]:
    counts = column.counts or {}
    return sorted(counts, key=lambda value: (-counts[value], value))[:_CATEGORIES]


def _features(batch: pa.RecordBatch, columns: Sequence[ColumnProfile]) -> Numbers:
    import numpy as np

    parts: list[Any] = [np.empty((batch.num_rows, 0))]
    for column in columns:
        width = _width(column)
        if not width:
            continue
        if column.name in batch.schema.names:
            parts.append(_of_column(batch.column(column.name), column))
        else:
            parts.append(np.full((batch.num_rows, width), np.nan))
    return np.concatenate(parts, axis=1)


def _of_column(array: pa.Array, column: ColumnProfile) -> Any:
    import numpy as np

    if column.kind == "category":
        texts, _ = texts_of(array)
        values = np.array(texts.to_pylist(), dtype=object)
        return np.stack([values == value for value in _categories(column)], axis=1).astype(float)
    if column.kind == "vector":
        return _vectors(array, column.width or 0)
    read = booleans_of if column.kind == "boolean" else numbers_of
    numbers, _ = read(array)
    return np.where(np.isfinite(numbers), numbers, np.nan)[:, None]


def _vectors(array: pa.Array, width: int) -> Any:
    import numpy as np

    rows = np.full((len(array), width), np.nan)
    for place in range(len(array)):
        found, _ = vectors_of(array.slice(place, 1), width)
        if len(found):
            rows[place] = found[0]
    return rows


def _standardized(features: Numbers) -> Numbers:
    """Features of mean 0 and deviation 1; with a constant behind them."""
    import numpy as np

    missing = np.isnan(features)
    # That a value is missing may be what tells the sides apart.
    has_missing = missing.any(axis=0) & ~missing.all(axis=0)
    given = np.where(missing, 0.0, features)
    counts = np.maximum((~missing).sum(axis=0), 1)
    means = given.sum(axis=0) / counts
    filled = np.where(missing, means, features)
    flags = missing[:, has_missing].astype(float)
    columns = np.concatenate([filled, flags], axis=1)
    columns -= columns.mean(axis=0)
    deviations = columns.std(axis=0)
    varies = deviations > _CLOSE * np.maximum(1.0, np.abs(columns).max(axis=0, initial=0.0))
    columns = columns[:, varies] / deviations[varies]
    if columns.shape[1] > _MOST_FEATURES:
        # Each step of the fit solves a system of as many equations.
        left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
        columns = (left * sizes)[:, :_MOST_FEATURES]
        columns /= columns.std(axis=0) + _CLOSE
    return np.column_stack([columns, np.ones(len(columns))])


def _fit(features: Numbers, labels: Numbers) -> Numbers:
    """The weights of a logistic regression, by Newton's method; both sides count the same.

    The penalty on their squares is that of scikit-learn's `C=1`, and lets it end where the sides
    can be told apart without an error.
    """
    import numpy as np
    from scipy.special import expit

    share = labels.mean()
    balance = np.where(labels == 1, 0.5 / share, 0.5 / (1 - share))
    penalty = np.ones(features.shape[1])
    # The constant is free: it carries nothing of a row.
    penalty[-1] = _CLOSE
    weights = np.zeros(features.shape[1])
    for _ in range(_STEPS):
        likely = expit(features @ weights)
        slope = features.T @ (balance * (likely - labels)) + penalty * weights
        spread = balance * np.maximum(likely * (1 - likely), _CLOSE)
        curve = (features * spread[:, None]).T @ features + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        weights -= step
        if np.abs(step).max() < _CLOSE:
            break
    return weights


def _area(scores: Numbers, labels: Numbers) -> float:
    """The area under the ROC curve: how often a row of the window has the higher score."""
    import numpy as np

    # Equal scores share the mean of their ranks; scipy.stats has this, and takes long to import.
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    positive = labels == 1
    number, others = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - number * (number + 1) / 2) / (number * others))
