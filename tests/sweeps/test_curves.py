from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.sweeps.curves import (
    LONGEST_LINE,
    Documents,
    PrintedLines,
    curve_of_lines,
    curve_of_table,
    is_kept,
    number_in,
    step_in,
)

PLAIN = "loss=([0-9.]+|nan)"
WITH_STEP = r"(?P<step>\d+)/\d+ .*loss=(\S+)"


def read(pattern: str, *pieces: str) -> list[tuple[int, float]]:
    lines = PrintedLines(re.compile(pattern))
    return [point for piece in pieces for point in lines.feed(piece)]


@pytest.mark.parametrize(
    ("pattern", "text", "points"),
    [
        (PLAIN, "loss=1.5\nother\nloss=1 loss=.5\n", [(1, 1.5), (2, 1.0), (3, 0.5)]),
        (PLAIN, "loss=2\rloss=1\r\nloss=0", [(1, 2.0), (2, 1.0)]),
        (PLAIN, "loss=1.2.3\nloss=1\n", [(1, 1.0)]),
        (WITH_STEP, "10/90 loss=1e-3\n20/90 - loss=-inf\n", [(10, 0.001), (20, -math.inf)]),
        (r"(?P<step>\S+) loss=(\S+)", "1.5 loss=1\n-1 loss=1\nx loss=1\n3.0 loss=1\n", [(3, 1.0)]),
        (r"loss=(\S+) at (?P<step>\d+)", "loss=4 at 2\n", [(2, 4.0)]),
        ("a|loss=([0-9]+)", "a\nloss=1\n", [(1, 1.0)]),
    ],
)
def test_values_are_read_out_of_lines(
    pattern: str, text: str, points: list[tuple[int, float]]
) -> None:
    assert read(pattern, text) == points


def test_nan_is_a_value() -> None:
    ((step, value),) = read(PLAIN, "loss=nan\n")
    assert step == 1
    assert math.isnan(value)


@given(
    st.lists(st.sampled_from(["loss=1", "loss=22", "\n", "\r", "x", "l", "oss=3", "\n"])),
    st.data(),
)
def test_it_does_not_matter_where_a_text_is_cut(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(PLAIN, *pieces) == read(PLAIN, text)


def test_of_a_long_line_the_beginning_is_looked_at() -> None:
    begun = "loss=1 ".ljust(LONGEST_LINE, "x")
    assert read(PLAIN, begun, "loss=2\nloss=3\n") == [(1, 1.0), (2, 3.0)]


def test_fewer_and_fewer_values_are_kept_and_the_same_ones_of_each_training() -> None:
    kept = [count for count in range(2_000) if is_kept(count)]
    assert kept[:201] == [*range(201)]
    assert kept[201:204] == [202, 204, 206]
    assert kept[-1] == 1_984
    assert len(kept) == 525


def test_numbers_and_steps_are_told_from_other_things() -> None:
    texts: list[object] = ["1e3", 4, True, "x", None]
    assert [*map(number_in, texts)] == [1000.0, 4.0, *(None,) * 3]
    texts = ["7", 8.0, "-1", 1.5, "nan", []]
    assert [*map(step_in, texts)] == [7, 8, *(None,) * 4]


@pytest.mark.parametrize(
    ("name", "document", "points"),
    [
        ("loss", {"loss": [3, 2, 1]}, [(1, 3), (2, 2), (3, 1)]),
        ("loss", {"loss": [3, "NaN?", 1], "epoch": [0, 1, 2]}, [(0, 3), (2, 1)]),
        ("loss", {"loss": [3, 2], "step": [10]}, [(10, 3), (2, 2)]),
        ("loss", {"loss": [{"step": 5, "value": 3}, {"epoch": 6, "loss": 2}]}, [(5, 3), (6, 2)]),
        ("loss", [{"loss": 3}, {"other": 2}, "x", {"loss": 1}], [(1, 3), (2, 1)]),
        ("loss", {"loss": 3}, [(1, 3)]),
        ("loss", {"loss": 3, "Step": 7}, [(7, 3)]),
        ("loss", {"loss": {"value": 3, "step": 2}}, [(2, 3)]),
        ("train/loss", {"train": {"loss": 3}, "step": 2}, [(2, 3)]),
        ("train.loss", {"train": {"loss": [3, 4]}}, [(1, 3), (2, 4)]),
        ("loss", {"other": 3}, []),
        ("loss", {"loss": "x"}, []),
        ("loss", {"loss": True}, []),
        ("loss", 3, []),
    ],
)
def test_documents_have_the_curve_or_its_newest_value(
    name: str, document: object, points: list[tuple[int, float]]
) -> None:
    assert list(Documents(name).read(document)) == points


def test_newest_values_without_a_step_are_counted() -> None:
    documents = Documents("loss")
    found = [documents.read({"loss": value}) for value in (3, "x", 2)]
    assert found == [((1, 3.0),), (), ((2, 2.0),)]


def test_tables_and_lines_are_read_up_to_the_last_whole_line() -> None:
    tsv = "timestamp\tstep\ttrain/loss\n1700\t0\t0.5\n1701\t1\t0.25\n1702\t2\t0."
    assert curve_of_table(tsv, "train/loss", "\t") == ((0, 0.5), (1, 0.25))
    assert curve_of_table(tsv.replace("train/", ""), "train/loss", "\t")[0] == (0, 0.5)
    assert curve_of_table("loss", "loss", ",") == ()
    lines = '{"loss": 1, "epoch": 1.5}\nlog\n{"loss": NaN}\n{"loss": 2}'
    (first, second) = curve_of_lines(lines, "loss")
    assert first == (1, 1.0)
    assert second[0] == 2
    assert math.isnan(second[1])
