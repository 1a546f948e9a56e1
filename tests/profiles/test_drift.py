"""How far profiles are apart, against the numbers of scipy and of formulas for all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from nbci.profiles.distances import (
    chi2_p_value,
    jensen_shannon,
    ks_p_value,
    normal_distances,
    stability_index,
)
from nbci.profiles.drift import compare
from nbci.profiles.measure import measure_table
from nbci.records.codec import from_json, to_json
from nbci.records.profile import ColumnProfile, Profile

if TYPE_CHECKING:
    from nbci.records.profile import ColumnDrift, SchemaFinding

RNG = np.random.default_rng(0)
SHARES = st.lists(st.integers(0, 1000), min_size=2, max_size=12).filter(any)


def profile(columns: Any, *, like: Profile | None = None) -> Profile:
    return measure_table(pa.table(columns).to_batches(10_000), like=like)


def drift(before: Any, now: Any) -> ColumnDrift:
    """The drift of a single column."""
    reference = profile({"x": before})
    drifts, _ = compare(reference, profile({"x": now}, like=reference))
    return drifts[0]


def problems(before: Any, now: Any) -> tuple[SchemaFinding, ...]:
    reference = profile(before)
    return compare(reference, profile(now, like=reference))[1]


def binned(values: Any, edges: Any) -> Any:
    """The share of the values in each bin."""
    return np.diff([0, *np.searchsorted(np.sort(values), edges), len(values)]) / len(values)


class TestMeasures:
    @given(SHARES, st.data())
    @settings(deadline=None)
    def test_they_are_symmetric_and_nothing_for_equal_shares(
        self, first: list[int], data: st.DataObject
    ) -> None:
        second = data.draw(st.lists(st.integers(0, 1000), min_size=len(first), max_size=len(first)))
        one = np.array(first) / sum(first)
        other = (np.array(second) + 1e-9) / (sum(second) + 1e-9 * len(second))
        assert stability_index(one, one, 100) == 0
        assert jensen_shannon(one, one) == pytest.approx(0, abs=1e-7)
        assert stability_index(one, other, 100) == pytest.approx(stability_index(other, one, 100))
        assert stability_index(one, other, 100) >= 0
        # Of shares that are nearly equal, scipy takes the root of what rounding left below 0.
        with np.errstate(invalid="ignore"):
            expected = np.nan_to_num(distance.jensenshannon(one, other, base=2))
        assert jensen_shannon(one, other) == pytest.approx(expected, abs=1e-6)

    def test_chi2_is_that_of_scipy(self) -> None:
        before, now = np.array([120.0, 60.0, 20.0]), np.array([90.0, 70.0, 45.0])
        expected = stats.chi2_contingency(np.stack([before, now]), correction=False).pvalue
        assert chi2_p_value(before, now) == pytest.approx(expected)

    def test_ks_is_nearly_the_exact_one(self) -> None:
        before, now = RNG.normal(size=80), RNG.normal(0.4, size=60)
        exact = stats.ks_2samp(before, now, method="exact")
        assert ks_p_value(exact.statistic, 80, 60) == pytest.approx(exact.pvalue, rel=0.3)

    @pytest.mark.parametrize(("shift", "width"), [(0.0, 1.0), (0.7, 1.0), (0.0, 2.0), (-3.0, 0.5)])
    def test_those_of_normal_distributions_are_their_integrals(
        self, shift: float, width: float
    ) -> None:
        before = ColumnProfile(
            name="v", kind="vector", rows=9, width=1, means=(0.0,), deviations=(1.0,)
        )
        now = msgspec.structs.replace(before, means=(shift,), deviations=(width,))
        grid = np.linspace(-12, 12, 100_001)
        one, other = stats.norm.pdf(grid), stats.norm.pdf(grid, shift, width)
        one, other = one / one.sum(), other / other.sum()
        found = normal_distances(before, now)
        expected = distance.jensenshannon(one, other, base=2)
        assert found["jensen_shannon"] == pytest.approx(expected, abs=0.002)
        there = (one > 0) & (other > 0)
        divergence = np.sum((one - other)[there] * np.log(one[there] / other[there]))
        assert found["psi"] == pytest.approx(divergence, abs=1e-4)
        assert found["wasserstein"] == pytest.approx(abs(shift))


class TestNumbers:
    @given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
    @settings(deadline=None, max_examples=60)
    def test_equal_rows_are_no_drift(self, values: list[float]) -> None:
        found = drift(values, values)
        assert (found.psi, found.jensen_shannon, found.wasserstein) == (0, 0, 0)
        assert (found.p_value, found.p_corrected, found.outside) == (1, 1, 0)

    @pytest.mark.parametrize("shift", [0.0, 0.1, 0.5, 2.0])
    def test_they_are_those_of_all_rows(self, shift: float) -> None:
        before, now = RNG.normal(size=30_000), RNG.normal(shift, size=20_000)
        found = drift(before, now)
        assert found.psi is not None
        assert found.p_value is not None
        edges = np.quantile(before, np.linspace(0, 1, 11)[1:-1])
        one, other = binned(before, edges), binned(now, edges)
        index = stability_index(one, other, 20_000)
        assert found.psi == pytest.approx(index, rel=0.05, abs=0.002)
        expected = distance.jensenshannon(one, other, base=2)
        assert found.jensen_shannon == pytest.approx(expected, rel=0.03, abs=0.004)
        whole = stats.wasserstein_distance(before, now) / before.std()
        assert found.wasserstein == pytest.approx(whole, rel=0.05, abs=0.01)
        # Careful: what the sketch leaves open is never taken for a difference.
        assert found.p_value >= stats.ks_2samp(before, now).pvalue
        assert (found.p_value < 0.001) == (shift > 0)

    def test_one_wild_number_moves_no_distance(self) -> None:
        before, now = RNG.normal(size=5000), RNG.normal(size=5000)
        now[7] = 1e12
        found = drift(before, now)
        assert found.wasserstein is not None
        assert found.wasserstein < 0.1
        assert found.outside == pytest.approx(1 / 5000, abs=5 / 5000)

    def test_values_with_many_rows_are_compared_by_themselves(self) -> None:
        zeros = RNG.random(20_000) < 0.5
        before = np.where(zeros, 0.0, RNG.exponential(size=20_000))
        now = np.where(RNG.random(20_000) < 0.2, 0.0, RNG.exponential(size=20_000))
        found = drift(before, now)
        expected = stability_index(np.array([0.5, 0.5]), np.array([0.2, 0.8]), 20_000)
        assert found.psi == pytest.approx(expected, rel=0.1)
        assert drift(before, before[::2]).psi == pytest.approx(0, abs=0.02)

    def test_few_whole_numbers_are_counted(self) -> None:
        before, now = RNG.integers(0, 5, 2000), RNG.integers(0, 5, 2000)
        found = drift(before, now)
        tables = np.stack([np.bincount(before), np.bincount(now)])
        assert found.test == "chi2"
        expected = stats.chi2_contingency(tables, correction=False).pvalue
        assert found.p_value == pytest.approx(expected)

    def test_a_constant_that_changes_is_seen(self) -> None:
        assert drift([3.0] * 100, [3.0] * 50).psi == 0
        for other in (2.0, 4.0):
            found = drift([3.0] * 100, [other] * 50)
            assert found.jensen_shannon == 1
            assert found.outside == 1
            assert found.wasserstein == pytest.approx(1 / 3)


class TestOtherColumns:
    def test_categories(self) -> None:
        before, now = ["a"] * 60 + ["b"] * 40, ["a"] * 20 + ["b"] * 20 + ["c"] * 10
        found = drift(before, now)
        counts = np.array([[60, 40, 0], [20, 20, 10]])
        shares = counts / counts.sum(axis=1, keepdims=True)
        assert found.psi == pytest.approx(stability_index(shares[0], shares[1], 50))
        assert found.new_values == ("c",)
        assert found.test == "chi2"

    def test_texts_are_told_by_their_lengths_and_by_frequent_values(self) -> None:
        before = [f"name {number}" for number in range(1000)]
        assert drift(before, before[:500]).kind == "text"
        longer = drift(before, [f"{name} {name}" for name in before])
        often = drift([*before, *["unknown"] * 500], [*before, *["unknown"] * 5000])
        for found in (longer, often):
            assert found.psi is not None
            assert found.psi > 0.25

    def test_vectors(self) -> None:
        before, now = RNG.normal(size=(2000, 4)), RNG.normal(1.0, size=(2000, 4))
        found = drift(before.tolist(), now.tolist())
        assert found.psi == pytest.approx(1, abs=0.1)
        assert found.wasserstein == pytest.approx(1, abs=0.1)
        assert found.p_value is None

    def test_the_measure_is_the_effect(self) -> None:
        reference, window = profile({"x": [1.0, 2.0]}), profile({"x": [1.0, 5.0]})
        for measure in ("psi", "jensen_shannon", "wasserstein"):
            found = compare(reference, window, measure=measure)[0][0]
            assert found.effect == getattr(found, measure)

    def test_p_values_are_corrected_for_their_number(self) -> None:
        columns = {f"c{number}": RNG.normal(size=500) for number in range(20)}
        reference = profile(columns)
        moved = {**columns, "c0": columns["c0"] + 0.3}
        drifts, _ = compare(reference, profile(moved, like=reference))
        assert drifts[0].p_value is not None
        assert drifts[0].p_corrected == pytest.approx(20 * drifts[0].p_value)

    @pytest.mark.parametrize(
        ("before", "now", "why"),
        [
            ([1.0, 2.0], pa.nulls(3), "the window has no values"),
            (pa.nulls(3), [1.0], "the reference has no values"),
            ([1.0, 2.0], ["a", "b"], "the window has no numbers"),
            ([1.0, 2.0], pa.array([], pa.float64()), "the window has no rows"),
            ([[1.0, 2.0]], [[1.0, 2.0, 3.0]], "the window has no vectors"),
            (pa.array([1], pa.timestamp("s")), pa.array([2], pa.timestamp("s")),
             "times move on by themselves"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_compared_says_why(self, before: Any, now: Any, why: str) -> None:
        found = drift(before, now)
        assert (found.effect, found.why) == (None, why)


class TestFindings:
    def test_the_same_data_break_nothing(self) -> None:
        data = {"a": [1.0, None], "b": ["x", None], "v": [[1.0], [2.0]]}
        assert problems(data, data) == ()

    def test_columns_that_are_gone_and_new(self) -> None:
        found = problems({"a": [1], "b": [1]}, {"b": [1], "c": [1]})
        assert [(each.column, each.problem) for each in found] == [("a", "gone"), ("c", "new")]

    @pytest.mark.parametrize(
        ("before", "now", "problem", "sentence"),
        [
            ([1.0] * 10, [1.0] * 9 + [None], "missing", "x misses 10.0% of its values, not 0.0%"),
            (["a", "b"], ["a", "z"], "categories", "x has 1 new value: 'z'"),
            (
                [1, 2],
                ["1", "two"],
                "type",
                "x holds other things than numbers in 50.0% of the rows",
            ),
            ([1.0, 2.0], [3.0, 3.0], "range", "x is not between 1 and 2 in 2 rows of 2"),
            (
                [0.0, 2.0],
                [1.0] * 999 + [9999],
                "range",
                "x is not between 0 and 2 in 1 row of 1,000",
            ),
            ([1.0, 2.0], [1.0, np.inf], "range", "x is infinite in 1 row"),
            (
                [[1.0, 2.0]],
                [[1.0]],
                "type",
                "x holds other things than vectors of 2 parts in 100.0% of the rows",
            ),
        ],
    )
    def test_each_is_named(self, before: Any, now: Any, problem: str, sentence: str) -> None:
        found = problems({"x": before}, {"x": now})
        assert [(each.problem, each.sentence) for each in found] == [(problem, sentence)]

    def test_a_few_rows_just_beyond_the_range_are_usual(self) -> None:
        assert problems({"x": np.arange(1000.0)}, {"x": [*np.arange(500.0), 1001.0]}) == ()

    def test_no_rows_break_nothing(self) -> None:
        assert problems({"x": [1.0]}, {"x": pa.array([], pa.float64())}) == ()


def test_a_profile_that_was_written_is_the_same() -> None:
    made = profile({"x": RNG.normal(size=5000), "c": ["a", "b"] * 2500})
    read = from_json(to_json(made), Profile, "profile.json")
    assert read == made
    assert compare(made, read)[0] == compare(made, made)[0]
    assert msgspec.json.decode(to_json(made))["columns"][0]["name"] == "x"


@pytest.mark.parametrize("few", [True, False])
def test_the_same_numbers_in_32_bits_have_not_drifted(few: bool) -> None:
    values = RNG.choice([0.1, 0.26, 0.3, 1.7], 400) if few else RNG.integers(10, 150, 400) / 100
    found = drift(values, values.astype(np.float32))
    assert found.psi == pytest.approx(0.0, abs=1e-3)
    assert found.outside == 0
    # In the other direction, too: a table with 64 bits, and a model's training data with 32.
    assert drift(values.astype(np.float32), values).psi == pytest.approx(0.0, abs=1e-3)


def test_what_64_bits_tell_apart_stays_apart() -> None:
    day = 1_795_953_600.0
    found = drift(np.repeat([day + 1, day + 3], 200), np.repeat([day + 3, day + 5], 200))
    assert found.psi is not None
    assert found.psi > 0.5
