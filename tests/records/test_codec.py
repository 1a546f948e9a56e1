from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.errors import IntegrityError
from nbci.records.codec import from_json, to_json_line
from nbci.records.run_record import Metric, RunRecord, Scrap, StepRecord

_TEXTS = st.text(st.characters())  # lone surrogates, too
_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(_DATA, st.floats(allow_nan=False), _TEXTS)
def test_what_is_written_is_read_as_it_was(data: Any, value: float, text: str) -> None:
    record = StepRecord(
        name="s",
        result="passed",
        reason=text,
        scraps=(Scrap(name="s", data=data),),
        metrics=(Metric(name="m", value=value, source="metrics"),),
    )
    written = to_json_line(record)
    read = from_json(written, StepRecord, "record.json")
    assert read == record
    assert repr(read.scraps[0].data) == repr(data)  # 1 is not 1.0, and not True


def test_nan_is_read_as_python_writes_it() -> None:
    text = to_json_line(Metric(name="m", value=float("nan"), source="metrics"))
    assert b"NaN" in text
    assert math.isnan(from_json(text, Metric, "record.json").value)


def test_defaults_are_left_out_but_for_the_format() -> None:
    record = RunRecord(run="r", pipeline="p", target="t", result="passed", nbci="1")
    assert set(json.loads(to_json_line(record))) == {
        "run",
        "pipeline",
        "target",
        "result",
        "nbci",
        "format",
    }


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"name": "m", "value": "much", "source": "s"}', '{"value": 1}']
)
def test_what_is_no_record_is_named(text: str) -> None:
    with pytest.raises(IntegrityError, match="no Metric") as refused:
        from_json(text, Metric, "a/record.json")
    assert refused.value.where is not None
    assert refused.value.where.path == "a/record.json"
