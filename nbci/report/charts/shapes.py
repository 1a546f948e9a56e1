"""Read JSON and tables as charts.

These are the documented shapes, and those whose names of lists or columns leave no doubt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

from nbci.report.charts.chart import (
    Chart,
    Unusable,
    confusion,
    confusion_of_pairs,
    curves,
    importance,
    line,
    read_number,
    read_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from nbci.report.charts.chart import CurveKind, Line

Rows = Sequence[Mapping[str, Any]]

_PAIRS: Mapping[CurveKind, tuple[tuple[str, str], ...]] = {
    "roc": (("fpr", "tpr"),),
    "precision_recall": (("recall", "precision"),),
    # The second names are those of sklearn.calibration.calibration_curve.
    "calibration": (("predicted", "observed"), ("prob_pred", "prob_true")),
    # A detection error tradeoff curve has no kind, and is known by these names alone.
    "lines": (("fpr", "fnr"),),
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
# How many rows are read to tell classes from a regression's numbers: tables may have millions.
_PROBED_ROWS = 1000
# No column of a CSV file that a person wrote has a NUL in its name.
_ROW_NUMBER = "\0step"
_LABELS = ("x_label", "y_label")


def chart_of(record: Any) -> Chart | None:
    """Return the chart that a JSON value holds.

    None where it is something else, Unusable where it is a chart with an error in it.
    """
    if isinstance(record, Mapping):
        return _chart_of_object(record)
    if is_table(record):
        return chart_of_rows(record)
    return None


def is_table(value: Any) -> TypeGuard[Rows]:
    """Whether the JSON value is a list of objects, and so has columns."""
    return isinstance(value, list) and bool(value) and all(isinstance(r, Mapping) for r in value)


def texts_at(record: Mapping[str, Any], keys: Iterable[str]) -> dict[str, str]:
    """The texts under these keys; what is missing or of another type is left out."""
    return {key: record[key] for key in keys if isinstance(record.get(key), str)}


def _chart_of_object(record: Mapping[str, Any]) -> Chart | None:
    title = texts_at(record, ("title",)).get("title")
    kind = record.get("chart")
    if isinstance(kind, str):
        return _declared_chart(kind, record, title)
    if isinstance(record.get("matrix"), list) and isinstance(record.get("labels"), list):
        return _confusion(record, title)
    for sure, x, y in _SURE:
        if isinstance(record.get(x), list) and isinstance(record.get(y), list):
            return _curves(sure, record, title)

    # DVCLive writes a file with one list of records under its name.
    if len(record) == 1:
        (inner,) = record.values()
        if is_table(inner):
            return chart_of_rows(inner)
    return None


def _declared_chart(kind: str, record: Mapping[str, Any], title: str | None) -> Chart:
    match kind:
        case "confusion_matrix":
            return _confusion(record, title)
        case "feature_importance":
            return _importance(record, title)
        case "learning_curve":
            return _learning_curve(record, title)
        case "roc" | "precision_recall" | "calibration":
            return _curves(kind, record, title)
    raise Unusable(f"the chart {kind!r} is not known; known are {', '.join(KINDS)}")


def _confusion(record: Mapping[str, Any], title: str | None) -> Chart:
    if "matrix" in record:
        rows = record["matrix"]
        if not isinstance(rows, list):
            raise Unusable("matrix is no list of rows")
        labels = record.get("labels", list(map(str, range(len(rows)))))
        if not isinstance(labels, list):
            raise Unusable("labels is no list")
        return confusion(labels, [read_numbers(row, "the matrix") for row in rows], title=title)

    actual, predicted = record.get("actual"), record.get("predicted")
    if not isinstance(actual, list) or not isinstance(predicted, list):
        raise Unusable("it has neither labels and a matrix, nor actual and predicted")
    if len(actual) != len(predicted):
        raise Unusable(f"actual has {len(actual):,} entries and predicted has {len(predicted):,}")
    pairs = zip(actual, predicted, [1.0] * len(actual), strict=True)
    return confusion_of_pairs(pairs, title=title)


def _importance(record: Mapping[str, Any], title: str | None) -> Chart:
    values = record.get("importance")
    if isinstance(values, Mapping):
        return importance(
            list(values), read_numbers(list(values.values()), "importance"), title=title
        )

    names = record.get("features")
    if not isinstance(names, list):
        raise Unusable(
            "it has neither features and importance as lists, nor importance as an object"
        )
    return importance(names, read_numbers(values, "importance"), title=title)


def _learning_curve(record: Mapping[str, Any], title: str | None) -> Chart:
    series = record.get("series")
    if not isinstance(series, Mapping) or not series:
        raise Unusable("it has no series")

    heights: dict[str, list[float]] = {}
    for name, values in islice(series.items(), _MOST_LINES):
        heights[str(name)] = read_numbers(values, str(name))

    if "x" in record:
        places = read_numbers(record["x"], "x")
    else:
        longest = max(map(len, heights.values()))
        places = list(map(float, range(1, longest + 1)))

    lines = []
    for name, ys in heights.items():
        lines.append(line(name, places, ys, names=("x", name), gaps=True))
    return curves("learning_curve", lines, title=title, **texts_at(record, _LABELS))


def _curves(kind: CurveKind, record: Mapping[str, Any], title: str | None) -> Chart:
    lines = [_line(kind, name, curve) for name, curve in _named_curves(record)[:_MOST_LINES]]
    return curves(kind, lines, title=title)


def _named_curves(record: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The curves under `curves` with their names, or the record itself as the only one."""
    many = record.get("curves")
    if isinstance(many, Mapping):
        return list(zip(map(str, many), many.values(), strict=True))
    if not isinstance(many, list):
        return [("", record)]

    named = []
    for at, curve in enumerate(many, 1):
        name: Any = at
        if isinstance(curve, Mapping):
            name = curve.get("name", at)
        named.append((str(name), curve))
    return named


def _line(kind: CurveKind, name: str, curve: Any) -> Line:
    if not isinstance(curve, Mapping):
        raise Unusable("a curve is an object with two lists")
    pairs = _PAIRS[kind]
    for x, y in pairs:
        if x in curve and y in curve:
            return line(name, read_numbers(curve[x], x), read_numbers(curve[y], y), names=(x, y))
    raise Unusable(f"it has no {' and '.join(pairs[0])}")


def chart_of_rows(rows: Rows) -> Chart | None:
    """Return the chart that a table holds, by the names of its columns.

    None where the names are ambiguous.
    """
    columns = rows[0].keys()
    for kind, x, y in _SURE:
        if x in columns and y in columns:
            return curves(kind, _lines(rows, x, (y,)))

    actual = _first_of(("actual", "target"), columns)
    if actual is not None and "predicted" in columns:
        return _confusion_of_rows(rows, actual, "predicted")
    if {"feature", "importance"} <= columns:
        return _importance_of_rows(rows, "feature", "importance")

    step = _first_of(_STEPS, columns)
    if step is None:
        return None
    others = _drawable_columns(rows, step)
    if not others:
        return None
    return curves("learning_curve", _lines(rows, step, others, gaps=True), x_label=step)


def chart_of_columns(
    rows: Rows, x: str | None, y: Sequence[str], *, template: str | None, words: Mapping[str, str]
) -> Chart:
    """Return the chart of columns that the user named, as in `plots` of a `dvc.yaml`."""
    columns = list(y)
    if x:
        columns.insert(0, x)
    known: set[str] = set().union(*rows)
    for name in columns:
        if name not in known:
            raise Unusable(f"it has no column {name!r}")

    # The names of DVC's templates: confusion, confusion_normalized, bar_horizontal, linear, ...
    template = template or ""
    if template.startswith("confusion"):
        return _confusion_of_columns(rows, x, y)
    if template.startswith("bar"):
        if not y:
            raise Unusable("a bar chart needs y")
        return _importance_of_rows(rows, y[0], x or "importance", title=words.get("title"))
    return _curves_of_columns(rows, x, y, words)


def _confusion_of_columns(rows: Rows, x: str | None, y: Sequence[str]) -> Chart:
    if x is None or len(y) != 1:
        raise Unusable("a confusion matrix needs x and y")
    matrix = _confusion_of_rows(rows, x, y[0])
    if matrix is None:
        raise Unusable("it has numbers where a confusion matrix has classes")
    return matrix


def _curves_of_columns(
    rows: Rows, x: str | None, y: Sequence[str], words: Mapping[str, str]
) -> Chart:
    title = words.get("title")
    columns = tuple(y) or _drawable_columns(rows, x)
    for kind, sure_x, sure_y in _SURE:
        # Known axes make it a chart with a measure, as an ROC curve has its area.
        if x == sure_x and columns == (sure_y,):
            return curves(kind, _lines(rows, sure_x, columns), title=title)
    if not columns:
        raise Unusable("it has no column of numbers")

    x_label = x
    if x is None:
        # Without x, DVC draws the rows in their order as well, and calls that `step`.
        rows = [{**row, _ROW_NUMBER: at} for at, row in enumerate(rows)]
        x, x_label = _ROW_NUMBER, "step"
    lines = _lines(rows, x, columns, gaps=True)
    return curves(
        "lines",
        lines,
        title=title or ", ".join(columns),
        x_label=words.get("x_label", x_label),
        y_label=words.get("y_label"),
    )


def _first_of(names: Iterable[str], columns: Container[str]) -> str | None:
    """Return the first of these names that is a column."""
    for name in names:
        if name in columns:
            return name
    return None


def _drawable_columns(rows: Rows, x: str | None) -> tuple[str, ...]:
    """The columns of numbers that can be drawn over `x`."""
    names = []
    for name in rows[0]:
        if name != x and name not in _NOT_DRAWN and _is_numeric(rows, name):
            names.append(name)
    return tuple(names)


def _is_numeric(rows: Rows, column: str) -> bool:
    """Whether the first cell of the column that is not empty is a number."""
    for row in rows:
        try:
            value = read_number(row.get(column), column)
        except Unusable:
            return False
        # A cell where a logger measured nothing is read as NaN, and tells nothing here.
        if not math.isnan(value):
            return True
    return False


def _confusion_of_rows(rows: Rows, actual: str, predicted: str) -> Chart | None:
    """A confusion matrix, unless these are the numbers of a regression."""
    has_counts = "count" in rows[0]
    pairs = []
    for row in rows:
        count = 1.0
        if has_counts:
            count = read_number(row.get("count", 1), "count")
        pairs.append((row.get(actual, ""), row.get(predicted, ""), count))

    # Tables of a regression have one row for each case, never a column of counts.
    if not has_counts:
        for first, second, _ in pairs[:_PROBED_ROWS]:
            if _is_fraction(first) or _is_fraction(second):
                return None
    return confusion_of_pairs(pairs)


def _is_fraction(value: Any) -> bool:
    try:
        return not float(value).is_integer()
    # JSON has integers of any size, and `float` raises OverflowError for what is too large.
    except (TypeError, ValueError, OverflowError):
        return False


def _importance_of_rows(rows: Rows, names: str, values: str, *, title: str | None = None) -> Chart:
    features = [str(row.get(names, "")) for row in rows]
    return importance(features, _column(rows, values), title=title)


def _column(rows: Rows, name: str) -> list[float]:
    return [read_number(row.get(name), name) for row in rows]


def _lines(rows: Rows, x: str, columns: Sequence[str], *, gaps: bool = False) -> list[Line]:
    """A line for each column; where rows have a name, one for each name."""
    lines = []
    for group, members in islice(_rows_by_name(rows, {x, *columns}).items(), _MOST_LINES):
        places = _column(members, x)
        for column in columns[:_MOST_LINES]:
            name = group
            if len(columns) > 1 or gaps:
                name = " ".join(filter(None, (group, column)))
            heights = _column(members, column)
            lines.append(line(name, places, heights, names=(x, column), gaps=gaps))
    return lines


def _rows_by_name(rows: Rows, drawn_columns: set[str]) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of each name; all under an empty one where no column has names."""
    # What is drawn holds numbers whatever its name, and would make a line of each row.
    by = _first_of(_NAMES, rows[0].keys() - drawn_columns)
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        name = ""
        if by is not None:
            name = str(row.get(by, ""))
        groups.setdefault(name, []).append(row)
    return groups
