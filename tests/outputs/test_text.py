"""Texts that say the same, and those that do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.outputs.text import is_same_text, text_difference

SAME = [
    ("", ""),
    ("loss 0.30000000000000004", "loss 0.3"),
    ("[1.0, 2.5e-08]", "[1.0000000001, 2.50000000001e-08]"),
    ("   a    b\n0  1.0000000001  2", " a   b\n0  1.0  2"),
    ("1.1102230246251565e-16", "0.0"),
    ("<Model object at 0x7f3a5c>", "<Model object at 0x55d0ff>"),
    ("[1. 2.]", "[1.0000000001 2.        ]"),
    ("accuracy: 97.5%", "accuracy: 97.50000001%"),
    ("text\n", "text"),
]
OTHER = [
    ("loss 0.3", "loss 0.31"),
    ("1000000 rows", "1000001 rows"),
    ("there are 1000000.", "there are 1000001."),
    ("1" * 1_000_000 + "a", "1" * 1_000_000 + "b"),
    ("a", "b"),
    ("a\nb", "a"),
    ("a  b", "a b"),
    ("sha 10000000e1f", "sha 10000001e1f"),
    ("1e400", "2e400"),
    ("-0.5", "0.5"),
    ("nan", "0.5"),
    ("0x7f3a5c", "0x55d0ff"),
    ("1.5 2", "1.5"),
    ("took 1.5s", "took 1.5000000001s"),
]


@pytest.mark.parametrize(("before", "now"), SAME)
def test_it_is_the_same(before: str, now: str) -> None:
    assert is_same_text(before, now)
    assert is_same_text(now, before)


@pytest.mark.parametrize(("before", "now"), OTHER)
def test_it_differs(before: str, now: str) -> None:
    assert not is_same_text(before, now)
    assert not is_same_text(now, before)


@given(st.text(), st.text())
def test_what_differs_has_lines_that_show_it(before: str, now: str) -> None:
    assert is_same_text(before, before)
    if not is_same_text(before, now):
        signs = {line[:1] for line in text_difference(before, now)}
        assert signs & {"-", "+"}


def test_a_difference_shows_only_what_differs() -> None:
    before = "".join(f"line {number}: 0.{number}\n" for number in range(1000))
    now = before.replace("line 500: 0.500", "line 500: 0.501").replace(
        "0.498\n", "0.49800000000001\n"
    )
    assert text_difference(before, now) == (
        "@@ -1,7 +1,7 @@",
        " line 497: 0.497",
        " line 498: 0.498",
        " line 499: 0.499",
        "-line 500: 0.500",
        "+line 500: 0.501",
        " line 501: 0.501",
        " line 502: 0.502",
        " line 503: 0.503",
    )


def test_a_line_of_a_million_characters_is_cut() -> None:
    lines = text_difference("x" * 1_000_000, "y" * 1_000_000)
    assert max(map(len, lines)) == 500
