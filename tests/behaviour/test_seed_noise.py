from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from nbci.behaviour.seed_noise import bands_of, differences_of, paired_difference
from nbci.records.seeds import SeedRun

VALUES = st.lists(
    st.tuples(st.integers(0, 999), st.integers(0, 999)).map(
        lambda pair: (pair[0] / 1000, pair[1] / 1000)
    ),
    min_size=2,
    max_size=7,
)


def runs(*values: float | None, name: str = "train:accuracy") -> tuple[SeedRun, ...]:
    found = []
    for seed, value in enumerate(values):
        metrics = None if value is None else {name: value}
        found.append(SeedRun(value=seed, run="r", metrics=metrics))
    return tuple(found)


@given(VALUES)
def test_p_values_are_the_shares_of_all_ways_to_flip_the_signs(
    pairs: list[tuple[float, float]],
) -> None:
    found = paired_difference(pairs)
    differences = [round(1000 * (after - before)) for before, after in pairs]
    sums = []
    for signs in itertools.product((1, -1), repeat=len(differences)):
        sums.append(sum(sign * each for sign, each in zip(signs, differences, strict=True)))
    seen = sum(differences)
    assert found.p_lower == pytest.approx(sum(one <= seen for one in sums) / len(sums))
    assert found.p_higher == pytest.approx(sum(one >= seen for one in sums) / len(sums))
    assert found.low <= found.high


def test_the_interval_is_that_of_scipy() -> None:
    pairs = [(0.9, 0.91), (0.92, 0.9), (0.93, 0.95), (0.9, 0.97), (0.94, 0.9)]
    found = paired_difference(pairs)
    differences = np.array([0.01, -0.02, 0.02, 0.07, -0.04])
    expected = bootstrap(
        (differences,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_five_seeds_that_all_lose_refuse_and_four_cannot() -> None:
    five = paired_difference([(0.9, 0.8), (0.91, 0.83), (0.9, 0.7), (0.92, 0.9), (0.9, 0.89)])
    assert five.p_lower == 1 / 32
    four = paired_difference([(0.9, 0.8), (0.91, 0.83), (0.9, 0.7), (0.92, 0.9)])
    assert four.p_lower == 1 / 16


def test_differences_that_are_equal_but_for_rounding_have_an_interval() -> None:
    found = paired_difference([(0.9844, 0.4844), (0.9134, 0.4134), (0.9956, 0.4956)])
    assert (found.low, found.high) == pytest.approx((-0.5, -0.5))
    assert (found.before, found.after) == (0.9644666666666667, 0.4644666666666667)


def test_a_band_is_the_mean_and_its_interval_and_of_two_the_range() -> None:
    band = bands_of(runs(0.9, 0.95))["train:accuracy"]
    assert (band.mean, band.low, band.high, band.seeds) == (0.925, 0.9, 0.95, 2)
    assert str(band) == "0.925 ± 0.025"
    band = bands_of(runs(0.9, 0.95, 0.94))["train:accuracy"]
    assert band.low == pytest.approx(0.9)
    assert band.low < band.mean < band.high <= 0.95


def test_seeds_without_a_value_are_left_out() -> None:
    assert bands_of(runs(0.9, None, math.nan)) == {}
    found = differences_of(runs(0.9, None, 0.8, math.nan, 0.7), runs(0.9, 0.9, 0.9, 0.9, 0.9))
    assert found["train:accuracy"].seeds == 3
    assert found["train:accuracy"].after == 0.8


def test_a_metric_is_found_whose_step_had_another_name() -> None:
    found = differences_of(runs(0.9, 0.8), runs(0.7, 0.6, name="fit:accuracy"))
    assert found["train:accuracy"].before == 0.65
    assert differences_of(runs(0.9, 0.8), runs(0.7, 0.6, name="fit:loss")) == {}
