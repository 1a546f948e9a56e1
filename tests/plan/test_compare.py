"""Two runs compared, as values."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nbci.pipeline.rules import DeclaredMetric
from nbci.plan.compare import Compared, MetricChange, RunDifference, difference
from nbci.plan.model import Plan, PlannedCell, PlannedStep
from nbci.records.model import FileRef, Metric, ParameterValue, RunRecord, StepRecord

ACCURACY = DeclaredMetric(direction="up", unit="ratio")


def compared(
    run: str,
    *,
    cells: tuple[str, ...] = ("a = 1", "b = 2"),
    params: dict[str, Any] | None = None,
    metrics: dict[str, float] | None = None,
    **fields: Any,
) -> Compared:
    step = PlannedStep(
        name="train",
        notebook="n.ipynb",
        kernel="python3",
        language="python",
        cells=tuple(PlannedCell(role="step", number=n, source=source) for n, source in enumerate(cells, start=2)),
    )
    record = StepRecord(
        name="train",
        result="passed",
        metrics=tuple(Metric(name=name, value=value, source="s") for name, value in (metrics or {}).items()),
        **fields,
    )
    return Compared(
        plan=Plan(
            pipeline="p",
            target="n.ipynb",
            steps=(step,),
            metrics={"accuracy": DeclaredMetric(direction="up", unit="ratio")},
        ),
        record=RunRecord(
            run=run,
            pipeline="p",
            target="n.ipynb",
            result="passed",
            nbci="0",
            params=tuple(ParameterValue(name=n, value=v, source="-p") for n, v in (params or {}).items()),
            steps=(record,),
        ),
    )


def no_listing(ref: FileRef) -> None:
    return None


def between(before: Compared, after: Compared) -> RunDifference:
    return difference(before, after, no_listing)


def test_equal_runs_differ_in_nothing() -> None:
    assert between(compared("1", metrics={"accuracy": 0.9}), compared("2", metrics={"accuracy": 0.9})).is_empty


def test_a_parameter_of_another_type_is_a_change() -> None:
    (change,) = between(compared("1", params={"C": 1}), compared("2", params={"C": 1.0})).params
    assert (change.name, change.before, change.after) == ("C", 1, 1.0)


def test_cells_are_matched_by_their_code() -> None:
    found = between(
        compared("1", cells=("a = 1", "b = 2", "c = 3")), compared("2", cells=("new = 0", "a = 1", "b = 4"))
    )
    assert [(change.kind, change.before, change.after) for change in found.code] == [
        ("added", None, 2),
        ("changed", 3, 4),
        ("removed", 4, None),
    ]
    assert [line for line in found.code[1].diff if line[0] in "+-"] == ["-b = 2", "+b = 4"]


def test_folders_are_compared_file_by_file() -> None:
    listings = {"1.dir": {"a": "x", "b": "y", "gone": "z"}, "2.dir": {"a": "x", "b": "Y", "new": "w"}}
    old, new = (FileRef(path="data", digest=digest, bytes=3, files=3) for digest in listings)
    found = difference(compared("1", deps=(old,)), compared("2", deps=(new,)), lambda ref: listings[ref.digest])
    (change,) = found.data
    assert (change.kind, change.role) == ("changed", "in")
    assert (change.added, change.removed, change.changed) == (("new",), ("gone",), ("b",))
    assert change.files_known


def test_what_a_run_makes_is_no_input_of_it() -> None:
    ref = FileRef(path="m.bin", digest="1", bytes=1)
    (change,) = between(compared("1"), compared("2", deps=(ref,), outs=(ref,))).data
    assert (change.role, change.kind) == ("out", "added")


@pytest.mark.parametrize(
    ("before", "after", "direction", "better"),
    [
        (0.8, 0.9, "up", True),
        (0.9, 0.8, "up", False),
        (10.0, 8.0, "down", True),
        (0.8, 0.8, "up", None),
        (0.8, 0.9, None, None),
        (None, 0.9, "up", None),
        (0.8, math.nan, "up", None),
    ],
)
def test_better_is_what_the_direction_says(
    before: float | None, after: float, direction: Any, better: bool | None
) -> None:
    assert MetricChange(name="m", before=before, after=after, direction=direction).better is better


def test_metrics_have_the_direction_that_the_pipeline_declares() -> None:
    (metric,) = between(compared("1", metrics={"accuracy": 0.8}), compared("2", metrics={"accuracy": 0.9})).metrics
    assert (metric.name, metric.direction, metric.unit, metric.better) == ("train:accuracy", "up", "ratio", True)


def test_packages_and_kernels_are_environment() -> None:
    before = compared("1", distributions={"numpy": "2.0"}, kernel="python3", kernel_version="3.11.1")
    after = compared("2", distributions={"numpy": "2.1"}, kernel="python3", kernel_version="3.11.1")
    assert [(c.name, c.before, c.after) for c in between(before, after).environment] == [("numpy", "2.0", "2.1")]
