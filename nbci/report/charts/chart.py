"""What steps recorded for a picture, as numbers: curves, confusion matrices, importances."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CurveKind = Literal["roc", "precision_recall", "calibration", "learning_curve", "lines"]

_LARGEST = 1e100
"""What is beyond cannot be drawn, and says that something went wrong."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Lines over one pair of axes."""

    kind: CurveKind
    lines: tuple[Line, ...]
    x_label: str
    y_label: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """`counts[i][j]`: how many of class i were taken for class j."""

    labels: tuple[str, ...]
    counts: tuple[tuple[float, ...], ...]
    title: str = "Confusion matrix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """What each feature contributes."""

    names: tuple[str, ...]
    values: tuple[float, ...]
    title: str = "Feature importance"


Chart = Curves | Confusion | Importance

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
    kept = tuple(line for line in lines if any(math.isfinite(value) for value in line.y))
    if not kept:
        raise Unusable("it has no points")
    usual = _AXES[kind]
    return Curves(
        kind=kind,
        lines=kept,
        title=title or usual[0],
        x_label=x_label or usual[1],
        y_label=y_label or usual[2] or (kept[0].name if len(kept) == 1 else ""),
    )


def line(
    name: str, x: Sequence[float], y: Sequence[float], *, names: tuple[str, str], gaps: bool = False
) -> Line:
    """A line; Unusable when the lists are not of one length.

    Points without numbers are left out, or are gaps in it.
    """
    if len(x) != len(y):
        raise Unusable(f"{names[0]} has {len(x):,} numbers and {names[1]} has {len(y):,}")
    points = [
        (a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and (gaps or math.isfinite(b))
    ]
    return Line(name=name, x=tuple(a for a, _ in points), y=tuple(b for _, b in points))


def confusion(
    labels: Sequence[Any], counts: Sequence[Sequence[float]], *, title: str | None = None
) -> Confusion:
    """Return a confusion matrix.

    Unusable unless it is square, with a label for each row and numbers that can be counts.
    """
    names = tuple(str(label) for label in labels)
    if not names:
        raise Unusable("the matrix is empty")
    if len(counts) != len(names):
        raise Unusable(f"the matrix has {len(counts):,} rows for {len(names):,} labels")
    for name, row in zip(names, counts, strict=True):
        if len(row) != len(names):
            raise Unusable(f"the row of {name} has {len(row):,} numbers for {len(names):,} labels")
        # Shares of a normalised matrix pass: they are drawn as they are.
        if any(not math.isfinite(value) or value < 0 for value in row):
            raise Unusable(f"the row of {name} has something that is no count")
    return Confusion(
        labels=names, counts=tuple(tuple(row) for row in counts), title=title or "Confusion matrix"
    )


def counted_pairs(
    pairs: Iterable[tuple[Any, Any, float]], labels: Sequence[Any] | None = None
) -> Confusion:
    """A matrix of (actual, predicted, how many)."""
    counts: dict[tuple[str, str], float] = {}
    for actual, predicted, count in pairs:
        key = str(actual), str(predicted)
        counts[key] = counts.get(key, 0.0) + count
    # In their order, and each once.
    found = dict.fromkeys(name for pair in counts for name in pair)
    names = [str(label) for label in labels] if labels else sorted(found, key=_as_read)
    if unknown := next((name for name in found if name not in set(names)), None):
        raise Unusable(f"{unknown!r} is not one of its labels")
    if len(names) > MOST_LABELS:
        raise Unusable(f"it has {len(names):,} classes, of which no matrix can be shown")
    return confusion(names, [[counts.get((row, column), 0.0) for column in names] for row in names])


MOST_LABELS = 2000


def importance(
    names: Sequence[Any], values: Sequence[float], *, title: str | None = None
) -> Importance:
    """Features with their importance; those without a number are left out."""
    if len(names) != len(values):
        raise Unusable(f"{len(names):,} features have {len(values):,} numbers")
    kept = [
        (str(name), value)
        for name, value in zip(names, values, strict=True)
        if math.isfinite(value)
    ]
    if not kept:
        raise Unusable("it has no numbers")
    return Importance(
        names=tuple(name for name, _ in kept),
        values=tuple(value for _, value in kept),
        title=title or "Feature importance",
    )


def numbers(value: Any, what: str) -> list[float]:
    """Return a list as numbers, NaN for what strict JSON spells out or leaves empty.

    Unusable when it is no such list.
    """
    if not isinstance(value, list | tuple):
        raise Unusable(f"{what} is no list")
    return [number(item, what) for item in value]


def number(value: Any, what: str) -> float:
    """A number, also one that CSV has as text; beyond all measure, it is NaN as well."""
    if value is None or value == "":
        return math.nan
    # A CSV has text only, and JSON may spell NaN out.
    if not isinstance(value, int | float | str):
        raise Unusable(f"{what} has something that is no number")
    try:
        found = float(value)
    except OverflowError:
        return math.nan
    except ValueError as error:
        raise Unusable(
            f"{what} has {value if len(str(value)) < 40 else 'a text'!r}, which is no number"
        ) from error
    return found if abs(found) <= _LARGEST else math.nan


def _as_read(name: str) -> tuple[int, float, str]:
    """2 before 10, and numbers before words."""
    try:
        found = float(name)
    except ValueError:
        return 1, 0.0, name
    return (0, found, name) if math.isfinite(found) else (1, 0.0, name)
