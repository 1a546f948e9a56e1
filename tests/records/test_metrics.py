"""Which things in files and scraps are numbers."""

from __future__ import annotations

import json
import math

import pytest

from nbci.records.metrics import as_number, of_json


@pytest.mark.parametrize(
    "value", [True, False, None, "0.9", "1", "", " 1", "nan", "inf", [1], {}, 10**400, "\u0661"]
)
def test_what_is_no_plain_number_is_no_metric(value: object) -> None:
    assert as_number(value) is None
    assert [metric.name for metric in of_json(json.dumps({"it": value, "other": 1}), "m.json")] == [
        "other"
    ]


def test_numbers_are() -> None:
    found = of_json('{"a": 1, "b": {"c": -0.5, "d": NaN}, "e": "Infinity", "f": 1e999}', "m.json")
    assert {metric.name: metric.value for metric in found if not math.isnan(metric.value)} == {
        "a": 1.0,
        "b.c": -0.5,
        "e": math.inf,
        "f": math.inf,
    }
    assert [metric.name for metric in found if math.isnan(metric.value)] == ["b.d"]
