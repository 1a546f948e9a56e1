"""Read JSON and tables as charts.

These are the documented shapes, and those whose names of lists or columns leave no doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbci.report.charts.chart import (
    Chart,
    Unusable,
    confusion,
    counted_pairs,
    curves,
    importance,
    line,
    number,
    numbers,
)

if TYPE_CHECKING:
    from nbci.report.charts.chart import CurveKind, Line

Rows = Sequence[Mapping[str, Any]]

_PAIRS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "roc": (("fpr", "tpr"),),
    "precision_recall": (("recall", "precision"),),
    "calibration": (("predicted", "observed"), ("prob_pred", "prob_true")),
}
_SURE: tuple[tuple[CurveKind, str, str], ...] = (
    ("roc", "fpr", "tpr"),
    ("precision_recall", "recall", "precision"),
    ("calibration", "prob_pred", "prob_true"),
    ("lines", "fpr", "fnr"),
)
"""Names that stand for nothing else, also without a word about the chart."""
_STEPS = ("step", "epoch", "iteration", "round", "train_size")
_NAMES = ("name", "class", "label", "curve")
_NOT_DRAWN = frozenset({"timestamp", "time", "date", "index", "threshold", "thresholds"})
KINDS = (
    "confusion_matrix",
    "roc",
    "precision_recall",
    "calibration",
    "feature_importance",
    "learning_curve",
)
_MOST_LINES = 100
_COUNT = "\0step"
_LABELS = ("x_label", "y_label")


def chart_of(record: Any) -> Chart | None:
    """Return the chart that a JSON value holds.

    None where it is something else, Unusable where it is a chart with an error in it.
    """
    if isinstance(record, Mapping):
        return _of_object(record)
    if isinstance(record, list) and record and all(isinstance(row, Mapping) for row in record):
        return chart_of_rows(record)
    return None


def _of_object(record: Mapping[str, Any]) -> Chart | None:
    title = record["title"] if isinstance(record.get("title"), str) else None
    kind = record.get("chart")
    if isinstance(kind, str):
        return _declared(kind, record, title)
    if isinstance(record.get("matrix"), list) and isinstance(record.get("labels"), list):
        return _confusion(record, title)
    for sure, x, y in _SURE:
        if isinstance(record.get(x), list) and isinstance(record.get(y), list):
            return _curves(sure, record, title)
    if len(record) == 1:  # a file with one list of records under its name, as DVCLive writes them
        (inner,) = record.values()
        if isinstance(inner, list) and inner and all(isinstance(row, Mapping) for row in inner):
            return chart_of_rows(inner)
    return None


def _declared(kind: str, record: Mapping[str, Any], title: str | None) -> Chart:
    match kind:
        case "confusion_matrix":
            return _confusion(record, title)
        case "feature_importance":
            return _importance(record, title)
        case "learning_curve":
            return _learning(record, title)
        case "roc" | "precision_recall" | "calibration":
            return _curves(kind, record, title)
    raise Unusable(f"the chart {kind!r} is not known; known are {', '.join(KINDS)}")


def _confusion(record: Mapping[str, Any], title: str | None) -> Chart:
    if "matrix" in record:
        rows = record["matrix"]
        if not isinstance(rows, list):
            raise Unusable("matrix is no list of rows")
        labels = record.get("labels", [str(at) for at in range(len(rows))])
        if not isinstance(labels, list):
            raise Unusable("labels is no list")
        return confusion(labels, [numbers(row, "the matrix") for row in rows], title=title)
    actual, predicted = record.get("actual"), record.get("predicted")
    if not isinstance(actual, list) or not isinstance(predicted, list):
        raise Unusable("it has neither labels and a matrix, nor actual and predicted")
    if len(actual) != len(predicted):
        raise Unusable(f"actual has {len(actual):,} entries and predicted has {len(predicted):,}")
    return counted_pairs(zip(actual, predicted, [1.0] * len(actual), strict=True))


def _importance(record: Mapping[str, Any], title: str | None) -> Chart:
    values = record.get("importance")
    if isinstance(values, Mapping):
        return importance(list(values), numbers(list(values.values()), "importance"), title=title)
    names = record.get("features")
    if not isinstance(names, list):
        raise Unusable(
            "it has neither features and importance as lists, nor importance as an object"
        )
    return importance(names, numbers(values, "importance"), title=title)


def _learning(record: Mapping[str, Any], title: str | None) -> Chart:
    series = record.get("series")
    if not isinstance(series, Mapping) or not series:
        raise Unusable("it has no series")
    found = {
        str(name): numbers(values, str(name)) for name, values in list(series.items())[:_MOST_LINES]
    }
    longest = max(map(len, found.values()))
    x = numbers(record["x"], "x") if "x" in record else [float(at) for at in range(1, longest + 1)]
    lines = [line(name, x, values, names=("x", name), gaps=True) for name, values in found.items()]
    labels = {key: record[key] for key in _LABELS if isinstance(record.get(key), str)}
    return curves("learning_curve", lines, title=title, **labels)


def _curves(kind: CurveKind, record: Mapping[str, Any], title: str | None) -> Chart:
    many = record.get("curves")
    if isinstance(many, Mapping):
        named = list(many.items())
    elif isinstance(many, list):
        named = [
            (curve.get("name", at) if isinstance(curve, Mapping) else at, curve)
            for at, curve in enumerate(many, 1)
        ]
    else:
        named = [("", record)]
    return curves(
        kind, [_line(kind, str(name), curve) for name, curve in named[:_MOST_LINES]], title=title
    )


def _line(kind: CurveKind, name: str, curve: Any) -> Line:
    if not isinstance(curve, Mapping):
        raise Unusable("a curve is an object with two lists")
    pairs = _PAIRS.get(kind) or tuple((x, y) for sure, x, y in _SURE if sure == kind)
    for x, y in pairs:
        if x in curve and y in curve:
            return line(name, numbers(curve[x], x), numbers(curve[y], y), names=(x, y))
    raise Unusable(f"it has no {' and '.join(pairs[0])}")


def chart_of_rows(rows: Rows) -> Chart | None:
    """Return the chart that a table holds, by the names of its columns.

    None where the names are ambiguous.
    """
    columns = rows[0].keys()
    for kind, x, y in _SURE:
        if x in columns and y in columns:
            return curves(kind, _lines(rows, x, (y,)))
    actual = next((name for name in ("actual", "target") if name in columns), None)
    if actual and "predicted" in columns:
        return _of_pairs(rows, actual, "predicted")
    if {"feature", "importance"} <= columns:
        return importance(*_column_pair(rows, "feature", "importance"))
    step = next((name for name in _STEPS if name in columns), None)
    if step is None:
        return None
    others = tuple(
        name
        for name in columns
        if name != step and name not in _NOT_DRAWN and _is_numeric(rows, name)
    )
    return (
        curves("learning_curve", _lines(rows, step, others, gaps=True), x_label=step)
        if others
        else None
    )


def chart_of_columns(
    rows: Rows, x: str | None, y: Sequence[str], *, template: str | None, words: Mapping[str, str]
) -> Chart:
    """Return the chart of columns that the user named, as in `plots` of a `dvc.yaml`."""
    for name in (*((x,) if x else ()), *y):
        if not any(name in row for row in rows):
            raise Unusable(f"it has no column {name!r}")
    title = words.get("title")
    if template is not None and template.startswith("confusion"):
        if x is None or len(y) != 1:
            raise Unusable("a confusion matrix needs x and y")
        found = _of_pairs(rows, x, y[0])
        if found is None:
            raise Unusable("it has numbers where a confusion matrix has classes")
        return found
    if template is not None and template.startswith("bar"):
        names, values = _column_pair(rows, y[0], x or "importance")
        return importance(names, values, title=title)
    columns = tuple(y) or tuple(
        name for name in rows[0] if name != x and name not in _NOT_DRAWN and _is_numeric(rows, name)
    )
    if sure := next((kind for kind, a, b in _SURE if a == x and (b,) == columns), None):
        return curves(sure, _lines(rows, str(x), columns), title=title)
    if not columns:
        raise Unusable("it has no column of numbers")
    if x is None:
        rows, x = [{**row, _COUNT: at} for at, row in enumerate(rows)], _COUNT
    labels = {
        "x_label": "step" if x == _COUNT else x,
        **{key: words[key] for key in _LABELS if key in words},
    }
    return curves(
        "lines", _lines(rows, x, columns, gaps=True), title=title or ", ".join(columns), **labels
    )


def _of_pairs(rows: Rows, actual: str, predicted: str) -> Chart | None:
    """A confusion matrix, unless these are the numbers of a regression."""
    whole = "count" in rows[0]
    pairs = [
        (
            row.get(actual, ""),
            row.get(predicted, ""),
            number(row.get("count", 1), "count") if whole else 1.0,
        )
        for row in rows
    ]
    if not whole and any(_is_fraction(value) for pair in pairs[:1000] for value in pair[:2]):
        return None
    return counted_pairs(pairs)


def _is_fraction(value: Any) -> bool:
    try:
        return not float(value).is_integer()
    except (TypeError, ValueError, OverflowError):
        return False


def _column_pair(rows: Rows, names: str, values: str) -> tuple[list[str], list[float]]:
    return [str(row.get(names, "")) for row in rows], [
        number(row.get(values), values) for row in rows
    ]


def _lines(rows: Rows, x: str, columns: Sequence[str], *, gaps: bool = False) -> list[Line]:
    """A line for each column; where rows have a name, one for each name."""
    by = next(
        (name for name in _NAMES if name in rows[0] and name not in columns and name != x), None
    )
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str(row.get(by, "")) if by else "", []).append(row)
    found = []
    for group, members in list(groups.items())[:_MOST_LINES]:
        places = [number(row.get(x), x) for row in members]
        for column in columns[:_MOST_LINES]:
            name = " ".join(
                part for part in (group, column if len(columns) > 1 or gaps else "") if part
            )
            heights = [number(row.get(column), column) for row in members]
            found.append(line(name, places, heights, names=(x, column), gaps=gaps))
    return found


def _is_numeric(rows: Rows, column: str) -> bool:
    try:
        return any(
            number(row.get(column), column) == number(row.get(column), column) for row in rows
        )
    except Unusable:
        return False
