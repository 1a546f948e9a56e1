"""Outputs of a cell compared by their kinds."""

from __future__ import annotations

from typing import Any

import msgspec

from nbci.outputs.comparison import CellPair, Comparison, compare


def stream(text: str | list[str], name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def display(**data: Any) -> dict[str, Any]:
    kinds = {kind.replace("_", "/"): value for kind, value in data.items()}
    return {"output_type": "display_data", "metadata": {}, "data": kinds}


def error(value: str) -> dict[str, Any]:
    return {"output_type": "error", "ename": "ValueError", "evalue": value, "traceback": [value]}


def compared(stored: list[dict[str, Any]], now: list[dict[str, Any]]) -> Comparison:
    return compare([CellPair(cell=3, first_line="x", stored=stored, now=now)])


def found(stored: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each.kind, each.message) for each in compared(stored, now).differences]


def test_pieces_of_a_stream_are_one_text() -> None:
    stored = [stream(["a\n", "b"]), stream("warned", "stderr"), stream("c")]
    assert found(stored, [stream("warned", "stderr"), stream("a\nbc")]) == []
    assert found(stored, [stream("a\nbc")]) == [("stderr", "stored, and not shown now")]


def test_a_progress_bar_is_compared_as_it_looks() -> None:
    assert found([stream("1 %\r99 %\rdone\n")], [stream("done\n")]) == []


def test_counts_of_a_kind_are_compared() -> None:
    once, twice = [display(text_plain="a")], [display(text_plain="a")] * 2
    assert found(once, twice) == [("text/plain", "shown 2 times, stored once")]
    assert found([], once) == [("text/plain", "not stored, and shown now")]
    assert compared([], once).differences[0].lines == ("+a",)


def test_metadata_and_counts_of_runs_are_not_compared() -> None:
    stored = [{**display(text_plain="a"), "output_type": "execute_result", "execution_count": 1}]
    assert found(stored, [{**stored[0], "execution_count": 9, "metadata": {"a": 1}}]) == []


def test_what_is_no_text_table_or_picture_is_left_to_nbval() -> None:
    stored = [
        display(text_html="<b>1</b>", application_json={"a": 1}),
        error("no"),
        display(**{"application/vnd.jupyter.widget-view+json": {"model_id": "a"}}),
    ]
    comparison = compared(stored, stored)
    assert comparison.differences == []
    assert [each.kind for each in comparison.for_nbval] == [
        "text/html",
        "application/json",
        "error",
    ]
    assert comparison.for_nbval[1].stored == [{"a": 1}]


def test_a_table_beside_html_without_one_is_left_to_nbval() -> None:
    table = display(text_html="<table><td>1</table>")
    json_shown = display(application_json={"a": 1})
    assert found([json_shown], [json_shown] * 2) == [
        ("application/json", "shown 2 times, stored once")
    ]
    assert compared([table], [display(text_html="<b>")]).for_nbval[0].kind == "text/html"
    assert compared([table], []).differences[0].message == "stored, and not shown now"


def test_half_a_character_can_be_recorded() -> None:
    (difference,) = compared([stream("\ud800")], [stream("a")]).differences
    assert difference.lines[1:] == ("-\ufffd", "+a")
    assert msgspec.json.encode(difference)


def test_what_is_no_output_is_passed_over() -> None:
    odd: list[dict[str, Any]] = [{}, {"output_type": "display_data", "data": 3}, stream(["a"])]
    assert found(odd, [stream("a")]) == []
