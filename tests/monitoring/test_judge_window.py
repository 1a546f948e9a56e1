"""Rules over a window, with the figures of the window given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from nbci.monitoring.judge_window import (
    JUDGEMENTS,
    Observed,
    judge_window,
    overall,
    sentence_of,
    with_limits,
)
from nbci.params.yaml_text import read_yaml
from nbci.pipeline.document import Document
from nbci.pipeline.monitor_rules import _WORDS, READERS, MonitorRule, read_rules
from nbci.profiles.drift import compare
from nbci.profiles.measure import measure_table
from nbci.records.profile import ColumnDrift, Profile, SchemaFinding

if TYPE_CHECKING:
    from nbci.records.verdict import GateResult

DRIFTS = (
    ColumnDrift(column="a", kind="number", effect=0.1, psi=0.1, wasserstein=0.9),
    ColumnDrift(column="b", kind="number", effect=0.3, psi=0.3, wasserstein=0.2),
    ColumnDrift(column="t", kind="time", why="times move on by themselves"),
)


def rules(text: str) -> tuple[MonitorRule, ...]:
    yaml = read_yaml(text, "rules.yaml")
    return read_rules(Document(path="rules.yaml", data={}, text=yaml), (), yaml.data)


def judged(text: str, **observed: Any) -> GateResult:
    facts: dict[str, Any] = {"release": "m@v1", "rows": 100, "drifts": DRIFTS, **observed}
    (result,) = judge_window(rules(text), Observed(**facts))
    return result


def test_a_kind_is_a_row_in_three_tables() -> None:
    assert set(READERS) == set(_WORDS) == set(JUDGEMENTS)


@pytest.mark.parametrize(
    ("rule", "result", "reason"),
    [
        (
            "drift: {}",
            "failed",
            "psi of b is 0.3, more than 0.2; 1 column cannot be compared",
        ),
        ("drift: {columns: [a]}", "passed", "psi of a is 0.1, the largest of 1"),
        (
            "drift: {columns: [t]}",
            "failed",
            "no distance is known of t: times move on by themselves",
        ),
        (
            "drift: {columns: [a], measure: wasserstein}",
            "failed",
            "wasserstein of a is 0.9, more than 0.2",
        ),
        (
            "drift: {columns: [a], measure: jensen_shannon}",
            "failed",
            "the release's profile has no column to compare",
        ),
        (
            "drift: {columns: [a, b], share: 50%}",
            "passed",
            "1 of 2 columns drifted: psi of b is 0.3",
        ),
    ],
)
def test_drift(rule: str, result: str, reason: str) -> None:
    found = judged(f"[{{{rule}}}]")
    assert (found.result, found.reason) == (result, reason)


def test_chance_excuses_a_distance_where_the_rule_says_so() -> None:
    by_chance = ColumnDrift(column="c", kind="number", effect=0.9, psi=0.9, p_corrected=0.25)
    sure = ColumnDrift(column="d", kind="number", effect=0.4, psi=0.4, p_corrected=0.001)
    untested = ColumnDrift(column="v", kind="vector", effect=0.3, psi=0.3)
    drifts = (by_chance, sure, untested)
    found = judged("[{drift: {significant: 0.05}}]", drifts=drifts)
    assert found.reason == (
        "psi of d is 0.4, psi of v is 0.3, more than 0.2; 1 column may be beyond 0.2 by chance"
    )
    assert found.asked == "at most 0.2, or p at least 0.05"
    (rule,) = rules("[{drift: {significant: 0.05}}]")
    limited = with_limits((rule,), drifts)
    assert [drift.limit for drift in limited] == [None, 0.2, 0.2]
    assert [drift.chance_limit for drift in limited] == [0.2, None, None]
    # Another rule may excuse nothing.
    (strict,) = rules("[{drift: {at_most: 0.5}}]")
    assert [drift.limit for drift in with_limits((rule, strict), drifts)] == [0.5, 0.2, 0.2]
    alone = judged("[{drift: {columns: [c], significant: 0.05}}]", drifts=drifts)
    assert (alone.result, alone.margin) == ("passed", None)
    assert alone.reason == (
        "psi of c is 0.9, the largest of 1; 1 column may be beyond 0.2 by chance"
    )


@pytest.mark.parametrize(
    ("rows", "rule", "result"),
    [
        (999, "drift: {}", "passed"),
        (1000, "drift: {}", "failed"),
        (999, "drift: {significant: false}", "failed"),
        (1000, "drift: {significant: 0.05}", "passed"),
    ],
)
def test_of_few_rows_chance_is_an_excuse_unless_the_rule_says_otherwise(
    rows: int, rule: str, result: str
) -> None:
    drift = ColumnDrift(column="c", kind="number", effect=0.9, psi=0.9, p_corrected=0.25, rows=rows)
    assert judged(f"[{{{rule}}}]", drifts=(drift,)).result == result


def test_what_is_asked_says_that_chance_is_no_excuse() -> None:
    (rule,) = rules("[{drift: {significant: false}}]")
    assert rule.asked == "at most 0.2, by chance or not"


@pytest.mark.parametrize(("rows", "others"), [(100, 60), (40, 300)])
def test_small_samples_of_one_distribution_are_no_drift(rows: int, others: int) -> None:
    def table(seed: int, count: int, shift: float = 0.0) -> pa.Table:
        rng = np.random.default_rng(seed)
        columns = {f"n{place}": rng.normal(shift, 1, count) for place in range(6)}
        columns["skewed"] = rng.gamma(2.0 + shift, 1, count)
        columns["region"] = rng.choice([*"abcdef"], count)
        return pa.table(columns)

    by_default, strict = rules("[{drift: {}}, {drift: {significant: false}}]")
    alarms = {by_default.name: 0, strict.name: 0}
    for seed in range(10):
        before = measure_table(table(seed, rows).to_batches())

        def judged_against(now: pa.Table, before: Profile = before) -> tuple[GateResult, ...]:
            drifts, _ = compare(before, measure_table(now.to_batches(), like=before))
            window = Observed(release="m@v1", rows=now.num_rows, drifts=drifts)
            return judge_window((by_default, strict), window)

        for gate in judged_against(table(seed + 1000, others)):
            alarms[gate.gate] += gate.result == "failed"
        assert judged_against(table(seed + 2000, others, shift=1.5))[0].result == "failed"
    # Of 10 windows, a level of 5 % lets half a one through on average.
    assert alarms[by_default.name] <= 1
    assert alarms[strict.name] >= 3


def test_a_limit_that_is_just_met_is_no_drift() -> None:
    assert judged("[{drift: {columns: [b], at_most: 0.3}}]").result == "passed"


@pytest.mark.parametrize(
    ("metrics", "result", "reason"),
    [
        ({"accuracy": 0.93}, "passed", "0 to spare"),
        ({"accuracy": 0.9299}, "failed", "misses by 0.0001"),
        ({"accuracy": math.nan}, "warned", "no labels"),
        ({}, "warned", "no labels"),
    ],
)
def test_a_metric_beside_the_releases(metrics: dict[str, float], result: str, reason: str) -> None:
    rule = "[{metric: accuracy, baseline: champion, max_drop: 0.03, missing: warn}]"
    found = judged(
        rule,
        metrics=metrics,
        reference={"evaluate:accuracy": 0.96},
        unknown={"accuracy": "no labels"},
    )
    assert (found.result, found.reason) == (result, reason)


def test_what_is_estimated_is_compared_with_what_was_measured() -> None:
    rule = "[{metric: estimated_accuracy, baseline: champion, max_drop: 1%}]"
    given = {"metrics": {"estimated_accuracy": 0.9}}
    found = judged(rule, reference={"test:accuracy": 0.96}, **given)
    assert (found.result, found.baseline) == ("failed", 0.96)
    several = judged(rule, reference={"a:accuracy": 0.9, "b:accuracy": 0.8}, **given)
    assert several.reason == "m@v1 has several: a:accuracy, b:accuracy"
    none = judged(rule, **given)
    assert none.reason == "m@v1 has no accuracy in its evidence"


def test_a_metric_that_nobody_knows_is_named_with_those_there_are() -> None:
    found = judged("[{metric: row, at_least: 1}]", metrics={"rows": 3.0})
    assert found.reason == "the window has no row; did you mean rows?"


def test_warnings_refuse_nothing() -> None:
    finding = SchemaFinding(column="c", problem="new", sentence="c is new")
    found = judged("[{schema: warn}]", findings=(finding,))
    assert (found.result, found.found, overall((found,))) == ("warned", 1.0, "warned")
    assert judged("[{schema: fail, except: [c]}]", findings=(finding,)).result == "passed"


def test_the_sentence_is_of_the_first_rule_that_refuses() -> None:
    asked = rules("[{metric: rows, at_least: 200}, {drift: {}}, {metric: rows, at_most: 500}]")
    window = Observed(release="m@v1", rows=100, drifts=DRIFTS, metrics={"rows": 100.0})
    gates = judge_window(asked, window)
    assert sentence_of(gates, window) == "rows is 100, at least 200: misses by 100 (2 rules refuse)"


def test_columns_get_the_least_that_rules_of_their_measure_allow() -> None:
    asked = rules(
        "[{drift: {at_most: 0.2}}, {drift: {columns: [a], at_most: 0.05}}, "
        "{drift: {columns: [b], measure: wasserstein, at_most: 0.01}}]"
    )
    assert [drift.limit for drift in with_limits(asked, DRIFTS)] == [0.05, 0.2, 0.2]
    assert with_limits(rules("[{schema: fail}]"), DRIFTS)[0].limit is None
