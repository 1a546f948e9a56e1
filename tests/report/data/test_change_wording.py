from __future__ import annotations

from typing import Any

from nbci.formatting.numbers import MINUS
from nbci.plan.compare import CellChange, Change, DataChange, MetricChange, RunDifference
from nbci.report.data.change_wording import (
    describe_inputs,
    describe_metric_change,
    group_by_cell,
    summarize_inputs,
)


def cell(step: str, *diff: str, **more: Any) -> CellChange:
    known: dict[str, Any] = {
        "notebook": "n.ipynb",
        "kind": "changed",
        "role": "imports",
        "before": 3,
        "after": 3,
    }
    return CellChange(step=step, diff=diff, **{**known, **more})


def found(**parts: Any) -> RunDifference:
    return RunDifference(before="a", after="b", **parts)


def test_a_cell_that_many_steps_run_is_shown_once_with_all_that_differs() -> None:
    changes = (
        cell("a", "@@ -1 +1,2 @@", " import os", "+import json"),
        cell("b", "@@ -1 +1,2 @@", " import os", "+", "-", "+import json", "+import re"),
        cell("c", "+import re", kind="added", before=None),
        cell("c", "-x", after=None, kind="removed"),
        cell("c", "+y", notebook="o.ipynb", before=None, kind="added"),
    )
    shown = group_by_cell(changes)
    assert [(change.kind, change.diff, steps) for change, steps in shown] == [
        ("changed", ("@@ -1 +1,2 @@", " import os", "+import json", "+import re"), ("a", "b", "c")),
        ("removed", ("-x",), ("c",)),
        ("added", ("+y",), ("c",)),
    ]
    assert summarize_inputs(found(code=changes)) == "3 cells"
    assert describe_inputs(found(code=changes)) == ["1 cell changed, 1 added, 1 removed in a, b, c"]


def test_words_name_the_first_of_many() -> None:
    params = tuple(Change(name=f"p{number}", before=number, after=None) for number in range(5))
    data = tuple(
        DataChange(path=f"{number}.csv", kind="changed", role="in", before=None, after=None)
        for number in range(6)
    )
    assert describe_inputs(found(params=params, data=data)) == [
        "p0 0 → —, p1 1 → —, p2 2 → — and 2 more parameters",
        "0.csv changed",
        "1.csv changed",
        "2.csv changed",
        "and 3 more inputs",
    ]


def test_what_moved_says_where_to_and_whether_that_is_good() -> None:
    def metric(before: float | None, after: float | None, direction: Any = None) -> str:
        return describe_metric_change(
            MetricChange(name="m", before=before, after=after, direction=direction)
        )

    assert metric(1, 1.5, "up") == "+0.5, better"
    assert metric(1, 1.5, "down") == "+0.5, worse"
    assert metric(1.5, 1) == f"{MINUS}0.5"
    assert metric(0.1 + 0.2, 0.3) == f"{MINUS}5.551e-17"
    assert (metric(1, 1), metric(None, 1), metric(1, None)) == ("the same", "new", "gone")
    nan, infinity = float("nan"), float("inf")
    assert (metric(nan, 1), metric(1, nan), metric(nan, nan)) == (
        "no number",
        "no number",
        "the same",
    )
    assert (metric(1, infinity, "up"), metric(infinity, infinity)) == (
        "+infinity, better",
        "the same",
    )
