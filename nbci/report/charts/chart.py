"""What steps recorded for a picture, as numbers: curves, confusion matrices, importances."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from nbci.graph import by_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CurveKind = Literal["roc", "precision_recall", "calibration", "learning_curve", "lines"]
Point = tuple[float, float]

# What is beyond cannot be drawn, and says that something went wrong.
_LARGEST = 1e100
# The cells of a matrix are the square of its classes, all of them in memory.
_MOST_LABELS = 2000
_CONFUSION_TITLE = "Confusion matrix"
_IMPORTANCE_TITLE = "Feature importance"


class Unusable(Exception):
    """A record that looks like one for a picture, but cannot be drawn; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points in the order in which they were recorded; NaN in `y` is a gap.

    `name` is empty where there is one line.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        """Its points, the gaps among them."""
        return tuple(zip(self.x, self.y, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Lines over one pair of axes."""

    kind: CurveKind
    lines: tuple[Line, ...]
    x_label: str
    y_label: str
    title: str

    def matches_in(self, baseline: Curves | None) -> dict[str, Line]:
        """The baseline's lines, by the names of the lines that they are compared with."""
        if baseline is None:
            return {}
        # A model may have been renamed since: two single lines are compared whatever their names.
        if len(self.lines) == len(baseline.lines) == 1:
            return {self.lines[0].name: baseline.lines[0]}
        return by_name(baseline.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """`counts[i][j]`: how many of class i were taken for class j."""

    labels: tuple[str, ...]
    counts: tuple[tuple[float, ...], ...]
    title: str = _CONFUSION_TITLE

    @property
    def total(self) -> float:
        """How many cases were classified."""
        return sum(map(sum, self.counts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """What each feature contributes."""

    names: tuple[str, ...]
    values: tuple[float, ...]
    title: str = _IMPORTANCE_TITLE

    def values_by_name(self) -> dict[str, float]:
        """The importance of each feature by its name."""
        return dict(zip(self.names, self.values, strict=True))

    def most_important(self) -> list[tuple[str, float]]:
        """Its features, the most important first."""
        features = zip(self.names, self.values, strict=True)
        # Importances may be negative, as coefficients are, and then matter as much.
        return sorted(features, key=lambda feature: -abs(feature[1]))


Chart = Curves | Confusion | Importance
ChartT = TypeVar("ChartT", bound=Chart)


def matching_baseline(chart: ChartT, baseline: Chart | None) -> ChartT | None:
    """Return the baseline where it can stand in the chart's picture, else None."""
    if not isinstance(baseline, type(chart)):
        return None
    # One class has all kinds of curves, and those of two kinds have no axes in common.
    if isinstance(chart, Curves) and isinstance(baseline, Curves) and chart.kind != baseline.kind:
        return None
    return baseline


_AXES: Mapping[str, tuple[str, str, str]] = {
    "roc": ("ROC curve", "false positive rate", "true positive rate"),
    "precision_recall": ("Precision and recall", "recall", "precision"),
    "calibration": ("Calibration", "predicted probability", "share that came true"),
    "learning_curve": ("Learning curve", "step", ""),
    "lines": ("Curve", "", ""),
}


def curves(
    kind: CurveKind,
    lines: Iterable[Line],
    *,
    title: str | None = None,
    x_label: str | None = None,
    y_label: str | None = None,
) -> Curves:
    """Lines with the usual words for that kind; Unusable when there is nothing to see."""
    # A class without samples has a curve of NaN only.
    drawable = tuple(filter(_has_points, lines))
    if not drawable:
        raise Unusable("it has no points")

    usual_title, usual_x, usual_y = _AXES[kind]
    if not usual_y and len(drawable) == 1:
        usual_y = drawable[0].name
    return Curves(
        kind=kind,
        lines=drawable,
        title=title or usual_title,
        x_label=x_label or usual_x,
        y_label=y_label or usual_y,
    )


def _has_points(line: Line) -> bool:
    return any(map(math.isfinite, line.y))


def line(
    name: str, x: Sequence[float], y: Sequence[float], *, names: tuple[str, str], gaps: bool = False
) -> Line:
    """A line; Unusable when the lists are not of one length.

    Points without numbers are left out, or are gaps in it.
    """
    if len(x) != len(y):
        raise Unusable(f"{names[0]} has {len(x):,} numbers and {names[1]} has {len(y):,}")

    xs, ys = [], []
    for across, height in zip(x, y, strict=True):
        if math.isfinite(across) and (gaps or math.isfinite(height)):
            xs.append(across)
            ys.append(height)
    return Line(name=name, x=tuple(xs), y=tuple(ys))


def confusion(
    labels: Sequence[Any], counts: Sequence[Sequence[float]], *, title: str | None = None
) -> Confusion:
    """Return a confusion matrix.

    Unusable unless it is square, with a label for each row and numbers that can be counts.
    """
    names = tuple(map(str, labels))
    if not names:
        raise Unusable("the matrix is empty")
    if len(counts) != len(names):
        raise Unusable(f"the matrix has {len(counts):,} rows for {len(names):,} labels")
    for name, row in zip(names, counts, strict=True):
        if len(row) != len(names):
            raise Unusable(f"the row of {name} has {len(row):,} numbers for {len(names):,} labels")
        if not all(map(_is_count, row)):
            raise Unusable(f"the row of {name} has something that is no count")
    return Confusion(
        labels=names, counts=tuple(map(tuple, counts)), title=title or _CONFUSION_TITLE
    )


def _is_count(value: float) -> bool:
    # Shares of a normalised matrix pass: they are drawn as they are.
    return math.isfinite(value) and value >= 0


def confusion_of_pairs(
    pairs: Iterable[tuple[Any, Any, float]],
    labels: Sequence[Any] | None = None,
    *,
    title: str | None = None,
) -> Confusion:
    """A matrix of (actual, predicted, how many)."""
    counts: dict[tuple[str, str], float] = {}
    for actual, predicted, count in pairs:
        key = str(actual), str(predicted)
        counts[key] = counts.get(key, 0.0) + count

    found = dict.fromkeys(chain.from_iterable(counts))
    names = list(map(str, labels or ()))
    if not names:
        names = sorted(found, key=_label_order)
    known = set(names)
    for name in found:
        if name not in known:
            raise Unusable(f"{name!r} is not one of its labels")
    if len(names) > _MOST_LABELS:
        raise Unusable(f"it has {len(names):,} classes, of which no matrix can be shown")

    rows = []
    for name in names:
        rows.append([counts.get((name, taken_for), 0.0) for taken_for in names])
    return confusion(names, rows, title=title)


def _label_order(name: str) -> tuple[int, float, str]:
    """The key to sort labels by: 2 before 10, and numbers before words."""
    try:
        value = float(name)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return 0, value, name
    return 1, 0.0, name


def importance(
    names: Sequence[Any], values: Sequence[float], *, title: str | None = None
) -> Importance:
    """Features with their importance; those without a number are left out."""
    if len(names) != len(values):
        raise Unusable(f"{len(names):,} features have {len(values):,} numbers")

    features, amounts = [], []
    for name, value in zip(names, values, strict=True):
        if math.isfinite(value):
            features.append(str(name))
            amounts.append(value)
    if not features:
        raise Unusable("it has no numbers")
    return Importance(
        names=tuple(features), values=tuple(amounts), title=title or _IMPORTANCE_TITLE
    )


def read_numbers(value: Any, what: str) -> list[float]:
    """Return a list as numbers, NaN for what strict JSON spells out or leaves empty.

    Unusable when it is no such list.
    """
    if not isinstance(value, list | tuple):
        raise Unusable(f"{what} is no list")
    return [read_number(item, what) for item in value]


def read_number(value: Any, what: str) -> float:
    """A number, also one that CSV has as text; beyond all measure, it is NaN as well."""
    if value is None or value == "":
        return math.nan
    # A CSV has text only, and JSON may spell NaN out.
    if not isinstance(value, int | float | str):
        raise Unusable(f"{what} has something that is no number")
    try:
        found = float(value)
    # JSON has integers of any size.
    except OverflowError:
        return math.nan
    except ValueError as error:
        raise Unusable(f"{what} has {_quoted(value)}, which is no number") from error
    if abs(found) <= _LARGEST:
        return found
    return math.nan


def _quoted(value: float | str) -> str:
    # A cell may hold a whole document, which no message should repeat.
    if len(str(value)) < 40:
        return repr(value)
    return "'a text'"
