from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.formatting.text import as_printed, clean, joined_lines, last_part, short_line, shorten


@given(st.text())
def test_clean_text_can_always_be_written(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    clean(text).encode()


@given(st.text(max_size=50), st.integers(min_value=4, max_value=60))
def test_shortened_keeps_both_ends(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert text.startswith(short.head)
    assert text.endswith(short.tail)
    assert len(short.head) + short.left_out + len(short.tail) == len(text)
    assert len(short.head) + len(short.tail) <= limit


@given(st.text(max_size=300), st.integers(min_value=60, max_value=200))
def test_ending_keeps_to_its_limit(text: str, limit: int) -> None:
    end = last_part(text, limit)
    assert len(end.encode()) <= limit
    assert clean(text).endswith(
        end.partition("left out …\n")[2] if len(clean(text).encode()) > limit else end
    )


@pytest.mark.parametrize(
    ("text", "shown"), [("1%\r2%\n", "2%\n"), ("a\r\nb\r", "a\nb"), ("a", "a"), ("x\ry\rz", "z")]
)
def test_carriage_returns_overwrite(text: str, shown: str) -> None:
    assert as_printed(text) == shown


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (["a\n", "b"], "a\nb"), ({"a": 1}, '{"a": 1}'), (None, "null")]
)
def test_multiline_strings(value: object, text: str) -> None:
    assert joined_lines(value) == text


def test_one_line_is_short() -> None:
    assert short_line("a\n  b") == "a b"
    assert short_line("x" * 100, 10) == "x" * 9 + "…"


def test_one_line_cannot_be_turned_round() -> None:
    assert short_line("a\u202eb\u2066c\n d") == "a\ufffdb\ufffdc d"
    assert short_line("\u05d0\u05d1 ab") == "\u05d0\u05d1 ab"
