"""What curves come to, and thinning them."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.report.charts.chart import Line
from nbci.report.charts.measures import area, average_precision, distance_from_diagonal, thin_points

NUMBERS = st.floats(-1e9, 1e9) | st.just(math.nan)


@pytest.mark.parametrize("seed", range(5))
def test_areas_are_those_of_scikit_learn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 2, 200)
    scores = (truth + draw.normal(0, 1, 200)).round(1)  # ties, too
    fpr, tpr, _ = metrics.roc_curve(truth, scores)
    precision, recall, _ = metrics.precision_recall_curve(truth, scores)
    roc = Line(name="", x=tuple(fpr), y=tuple(tpr))
    both = Line(name="", x=tuple(recall), y=tuple(precision))
    assert area(roc) == pytest.approx(metrics.roc_auc_score(truth, scores))
    assert average_precision(both) == pytest.approx(metrics.average_precision_score(truth, scores))
    backwards = Line(name="", x=roc.x[::-1], y=roc.y[::-1])
    assert area(backwards) == pytest.approx(metrics.roc_auc_score(truth, scores))


def test_one_point_has_no_area() -> None:
    assert area(Line(name="", x=(0.5,), y=(0.5,))) is None
    assert distance_from_diagonal(Line(name="", x=(), y=())) is None


@given(st.lists(st.tuples(st.floats(0, 1e6), NUMBERS), max_size=200))
def test_thinned_points_are_points_of_the_line_in_order(points: list[tuple[float, float]]) -> None:
    rest = iter(points)
    # Each search goes on where the one before has ended.
    for point in thin_points(points):
        assert any(other is point for other in rest)


def test_a_hundred_thousand_points_are_thinned_and_reach_as_far_in_every_place() -> None:
    draw = random.Random(3)
    points = [(float(at), math.sin(at / 9000) + 0.3 * draw.random()) for at in range(100_000)]
    points[54_321] = (54_321.0, 9.0)
    kept = thin_points(points)
    assert len(kept) < 4100
    assert (54_321.0, 9.0) in kept
    for start in range(0, 100_000, 1000):
        near = [y for x, y in points if start <= x < start + 1000]
        left = [y for x, y in kept if start - 100 <= x < start + 1100]
        assert max(left) >= max(near) - 0.01
        assert min(left) <= min(near) + 0.01


def test_a_steep_curve_keeps_its_corners() -> None:
    points = [(0.0, at / 50_000) for at in range(50_001)] + [
        (at / 50_000, 1.0) for at in range(1, 50_001)
    ]
    kept = thin_points(points)
    assert kept[0] == (0.0, 0.0)
    assert (0.0, 1.0) in kept
    assert kept[-1] == (1.0, 1.0)


def test_a_gap_stays_a_gap() -> None:
    kept = thin_points([(0, 1), (1, 2), (2, math.nan), (3, math.nan), (4, 1)])
    assert [math.isnan(y) for _, y in kept] == [False, False, True, False]
