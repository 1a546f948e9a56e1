"""P-values and intervals agree with scipy, statsmodels and published examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.contingency_tables import mcnemar as other_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from nbci.behaviour.significance import (
    holm,
    mcnemar,
    mean_interval,
    paired_t,
    share_interval,
)


@pytest.mark.parametrize(("broken", "fixed"), [(0, 0), (1, 0), (3, 11), (25, 25), (400, 301)])
def test_mcnemar_agrees_with_statsmodels(broken: int, fixed: int) -> None:
    expected = other_mcnemar([[50, broken], [fixed, 50]], exact=True).pvalue

    assert mcnemar(broken, fixed) == pytest.approx(min(expected, 1.0))


def test_holm_agrees_with_statsmodels() -> None:
    p_values = np.random.default_rng(1).uniform(0, 0.2, 40)

    _, expected, _, _ = multipletests(p_values, method="holm")

    assert holm(p_values) == pytest.approx(expected)


def test_holm_of_no_tests_is_empty() -> None:
    assert len(holm(np.array([]))) == 0


@pytest.mark.parametrize(("successes", "total"), [(0, 5), (5, 5), (7, 12), (950, 1000)])
def test_the_interval_of_a_share_agrees_with_statsmodels(successes: int, total: int) -> None:
    low, high = proportion_confint(successes, total, method="wilson")

    found = share_interval(successes, total)

    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


def test_the_interval_of_a_mean_of_few_cases_is_scipys_bootstrap() -> None:
    values = np.random.default_rng(2).exponential(size=200)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, rng=np.random.default_rng(3)
    ).confidence_interval

    found = mean_interval(values)

    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=0.02)


def test_the_interval_of_a_mean_of_many_cases_is_the_normal_one() -> None:
    values = np.random.default_rng(4).exponential(size=20_000)
    low, high = DescrStatsW(values).zconfint_mean()

    found = mean_interval(values)

    assert (found.low, found.high) == pytest.approx((low, high))


def test_equal_weights_change_nothing() -> None:
    values = np.random.default_rng(5).exponential(size=20_000)
    plain = mean_interval(values)

    weighted = mean_interval(values, np.full(len(values), 3.0))

    assert (weighted.low, weighted.high) == pytest.approx((plain.low, plain.high), rel=1e-4)


def test_the_mean_of_equal_values_is_certain() -> None:
    found = mean_interval(np.full(10, 0.5))

    assert (found.low, found.high) == (0.5, 0.5)


def test_paired_t_agrees_with_scipy() -> None:
    random = np.random.default_rng(6)
    groups = [random.normal(shift, 1.0, size) for shift, size in ((0, 30), (0.5, 12), (2, 5))]
    counts = np.array([len(group) for group in groups])
    sums = np.array([group.sum() for group in groups])
    squares = np.array([(group**2).sum() for group in groups])

    expected = [scipy.stats.ttest_1samp(group, 0.0).pvalue for group in groups]

    assert paired_t(counts, sums, squares) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("differences", "expected"), [([0.0, 0.0], 1.0), ([0.5, 0.5], 0.0), ([0.5], 1.0)]
)
def test_paired_t_of_equal_differences(differences: list[float], expected: float) -> None:
    values = np.array(differences)

    found = paired_t(len(values), values.sum(), (values**2).sum())

    assert math.isclose(float(found), expected)
