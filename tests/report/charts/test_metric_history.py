"""Metrics over the runs."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbci.pipeline.rules import DeclaredMetric, Gate, Tolerance
from nbci.records.run_record import Metric, StepRecord
from nbci.records.verdict import GateResult, Verdict
from nbci.report.charts.history_picture import history_figure, sparkline
from nbci.report.charts.metric_history import History, Moment, describe_history, histories
from nbci.report.data.material import Material, PastRun, ShownRun
from tests.report.report_samples import plan, planned, run


def material(value: float, past: list[float | None], **verdict: Any) -> Material:
    step = StepRecord(
        name="score",
        result="passed",
        metrics=(Metric(name="accuracy", value=value, source="scrap"),),
    )
    gates = (
        Gate(name="accuracy at least 0.9", metric="accuracy", at_least=0.9),
        Gate(
            name="accuracy keeps",
            metric="accuracy",
            baseline="champion",
            max_drop=Tolerance(amount=0.01),
        ),
    )
    results = (
        GateResult(
            gate="accuracy at least 0.9",
            asked="",
            result="passed",
            reason="",
            metric="score:accuracy",
        ),
        GateResult(
            gate="accuracy keeps",
            asked="",
            result="passed",
            reason="",
            metric="score:accuracy",
            baseline=0.95,
        ),
    )
    record = run(step, verdict=Verdict(result="passed", judged_utc="", gates=results))
    made = plan(
        planned("score"),
        gates=gates,
        metrics={"accuracy": DeclaredMetric(direction="up", unit="ratio")},
    )
    history = tuple(
        PastRun(
            run=f"run-{at}",
            started_utc=f"2026-01-0{at + 1}T00:00:00Z",
            result="passed",
            metrics={} if earlier is None else {"score:accuracy": earlier},
        )
        for at, earlier in enumerate(past)
    )
    return Material(run=ShownRun(record=record, plan=made, notebooks={}), history=history)


def of(*values: float | None) -> History:
    moments = tuple(
        Moment(run=f"r{at}", started_utc=None, result="passed", value=value)
        for at, value in enumerate(values)
    )
    return History(metric="score:accuracy", moments=moments)


def test_a_history_has_the_runs_in_order_and_what_gates_ask() -> None:
    (history,) = histories(material(0.97, [0.91, None, 0.94]))
    assert history.values == (0.91, None, 0.94, 0.97)
    assert [(bound.words, bound.low) for bound in history.bounds] == [
        ("at least 0.9", True),
        ("at least 0.94", True),
    ]
    assert history.baseline == 0.95


def test_its_picture_says_what_it_shows() -> None:
    (history,) = histories(material(0.97, [0.91, None, 0.94]))
    figure = history_figure(history, "figures/history/accuracy.svg")
    assert figure is not None
    assert figure.alt == (
        "score:accuracy over 3 runs: from 0.91 to 0.97; lowest 0.91, highest 0.97; "
        "asked at least 0.9; "
        "asked at least 0.94; baseline 0.95"
    )
    shown = "".join(ElementTree.fromstring(figure.content).itertext())
    for words in ("at least 0.9", "baseline 0.95", "0.97", "2026-01-01", "2026-01-02"):
        assert words in shown
    assert figure.numbers is not None
    assert [row[-1] for row in figure.numbers.rows] == ["0.97", "0.94", "", "0.91"]


def test_one_run_is_no_history() -> None:
    (history,) = histories(material(0.97, []))
    assert history_figure(history, "x.svg") is None
    assert sparkline(history) is None


def test_what_no_picture_can_hold_is_a_gap() -> None:
    history = of(1.0, math.nan, 2.0, math.inf, None)
    assert history.values == (1.0, None, 2.0, None, None)
    line = sparkline(history)
    assert line is not None
    assert "nan" not in line
    assert line.count("M") == 2
    assert describe_history(history).startswith(
        "score:accuracy over 2 runs: from 1 to 2, none in this run"
    )


@given(st.lists(st.floats() | st.none(), min_size=2, max_size=50))
@example([1.7120886998654481e308, 1.7120886998688722e308])
def test_any_values_make_a_picture_within_its_borders(values: list[float | None]) -> None:
    history = of(*values)
    figure = history_figure(history, "x.svg")
    finite = [value for value in values if value is not None and math.isfinite(value)]
    assert (figure is not None) == (len(finite) > 1)
    if figure is None:
        return
    for node in ElementTree.fromstring(figure.content).iter():
        for name, limit in {
            "cx": figure.width,
            "cy": figure.height,
            "x": figure.width,
            "y": figure.height,
        }.items():
            assert 0 <= float(node.get(name, "0")) <= limit


@pytest.mark.parametrize("bound", [500.0, -500.0])
def test_a_bound_that_is_far_off_is_told_by_an_arrow(bound: float) -> None:
    from dataclasses import replace

    from nbci.report.charts.metric_history import Bound

    history = replace(
        of(20.0, 21.0), bounds=(Bound(value=bound, words=f"at most {bound:.0f}", high=True),)
    )
    figure = history_figure(history, "x.svg")
    assert figure is not None
    assert f"{'↑' if bound > 0 else '↓'} at most {bound:.0f}" in figure.content.decode()


def test_runs_of_one_day_are_told_by_the_clock() -> None:
    moments = [
        Moment(run=hour, started_utc=f"2026-01-02T{hour}:30:00Z", result="passed", value=1.0)
        for hour in ("09", "17")
    ]
    figure = history_figure(History(metric="score:accuracy", moments=tuple(moments)), "x.svg")
    assert figure is not None
    shown = "".join(ElementTree.fromstring(figure.content).itertext())
    assert "09:30" in shown
    assert "2026-01-02 17:30" in shown
