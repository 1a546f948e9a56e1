"""Two runs compared, as values."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec.structs import replace

from nbci.pipeline.rules import DeclaredMetric
from nbci.plan.compare import Compared, MetricChange, RunDifference, difference
from nbci.plan.model import Plan, PlannedCell, PlannedStep
from nbci.records.run_record import FileRef, Metric, ParameterValue, Part, RunRecord, StepRecord

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
        cells=tuple(
            PlannedCell(role="step", number=n, source=source)
            for n, source in enumerate(cells, start=2)
        ),
    )
    record = StepRecord(
        name="train",
        result="passed",
        metrics=tuple(
            Metric(name=name, value=value, source="s") for name, value in (metrics or {}).items()
        ),
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
            params=tuple(
                ParameterValue(name=n, value=v, source="-p") for n, v in (params or {}).items()
            ),
            steps=(record,),
        ),
    )


def no_listing(ref: FileRef) -> None:
    return None


def between(before: Compared, after: Compared) -> RunDifference:
    return difference(before, after, no_listing)


def test_equal_runs_differ_in_nothing() -> None:
    assert between(
        compared("1", metrics={"accuracy": 0.9}), compared("2", metrics={"accuracy": 0.9})
    ).is_empty


def test_a_parameter_of_another_type_is_a_change() -> None:
    (change,) = between(compared("1", params={"C": 1}), compared("2", params={"C": 1.0})).params
    assert (change.name, change.before, change.after) == ("C", 1, 1.0)


def test_cells_are_matched_by_their_code() -> None:
    found = between(
        compared("1", cells=("a = 1", "b = 2", "c = 3")),
        compared("2", cells=("new = 0", "a = 1", "b = 4")),
    )
    assert [(change.kind, change.before, change.after) for change in found.code] == [
        ("added", None, 2),
        ("changed", 3, 4),
        ("removed", 4, None),
    ]
    assert [line for line in found.code[1].diff if line[0] in "+-"] == ["-b = 2", "+b = 4"]


def test_folders_are_compared_file_by_file() -> None:
    listings = {
        "1.dir": {"a": "x", "b": "y", "gone": "z"},
        "2.dir": {"a": "x", "b": "Y", "new": "w"},
    }
    old, new = (FileRef(path="data", digest=digest, bytes=3, files=3) for digest in listings)
    found = difference(
        compared("1", deps=(old,)), compared("2", deps=(new,)), lambda ref: listings[ref.digest]
    )
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
    (metric,) = between(
        compared("1", metrics={"accuracy": 0.8}), compared("2", metrics={"accuracy": 0.9})
    ).metrics
    assert (metric.name, metric.direction, metric.unit, metric.better) == (
        "train:accuracy",
        "up",
        "ratio",
        True,
    )


def test_packages_and_kernels_are_environment() -> None:
    before = compared(
        "1", distributions={"numpy": "2.0"}, kernel="python3", kernel_version="3.11.1"
    )
    after = compared("2", distributions={"numpy": "2.1"}, kernel="python3", kernel_version="3.11.1")
    assert [(c.name, c.before, c.after) for c in between(before, after).environment] == [
        ("numpy", "2.0", "2.1")
    ]


def with_step(run: Compared, **fields: Any) -> Compared:
    """The run with another step before it."""
    planned = replace(run.plan.steps[0], name="load")
    record = StepRecord(name="load", **{"result": "passed", **fields})
    return Compared(
        plan=replace(run.plan, steps=(planned, *run.plan.steps)),
        record=replace(run.record, steps=(record, *run.record.steps)),
    )


def test_a_reused_step_that_ran_with_another_package_hides_nothing() -> None:
    old, new = {"numpy": "2.0"}, {"numpy": "2.1"}
    before = with_step(compared("1", distributions=old), distributions=old)
    after = with_step(compared("2", distributions=new), result="reused", distributions=old)
    assert [(c.name, c.before, c.after) for c in between(before, after).environment] == [
        ("numpy", "2.0", "2.0, 2.1")
    ]


def test_what_a_step_used_without_declaring_it_counts() -> None:
    seen = [
        (
            Part(kind="module", label="lib.py", digest=digest),
            Part(kind="network", label="host", digest=digest),
        )
        for digest in "ab"
    ]
    found = between(compared("1", observed=seen[0]), compared("2", observed=seen[1]))
    assert [(change.name, change.before, change.after) for change in found.used] == [
        ("lib.py", "a", "b")
    ]
    assert not found.is_empty


def test_nan_is_no_difference_from_nan() -> None:
    same = compared("1", metrics={"loss": math.nan})
    assert between(same, same).is_empty
    assert not between(same, compared("2", metrics={"loss": 1.0})).is_empty


def test_files_of_a_step_that_was_left_out_are_not_removed() -> None:
    ref = FileRef(path="rows", digest="1", bytes=1)
    found = between(
        with_step(compared("1"), outs=(ref,), deps=(ref,)),
        with_step(compared("2"), result="skipped"),
    )
    assert found.data == ()
    assert [(change.name, change.after) for change in found.steps] == [("load", "skipped")]


def test_a_part_of_what_a_run_makes_is_no_input_but_what_holds_it_is() -> None:
    made = FileRef(path="data/clean", digest="1.dir", bytes=1)
    part, whole = (
        FileRef(path=path, digest="2", bytes=1) for path in ("data/clean/rows.csv", "data")
    )
    found = between(compared("1", outs=(made,)), compared("2", outs=(made,), deps=(part, whole)))
    assert [(change.path, change.role) for change in found.data] == [("data", "in")]
