from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.report.html.markdown_tokens import find_headings


def found(source: str) -> list[tuple[int, str, str]]:
    return [(heading.level, heading.text, heading.wanted_id) for heading in find_headings(source)]


def test_headings_are_plain_text_with_the_ids_of_jupyter() -> None:
    assert found("# Two words\n\ntext\n\nUnder *line*\n---\n### `x` of [it](http://e.org)\n") == [
        (1, "Two words", "Two-words"),
        (2, "Under line", "Under-*line*"),
        (3, "x of it", "`x`-of-[it](http://e.org)"),
    ]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("# a <b>bold</b> one", "a bold one"),
        ("# $x^2$ grows", "x^2 grows"),
        ("# ![a plot](p.png) of x", "a plot of x"),
        ("# one\u202etwo", "one\ufffdtwo"),
        ("first\nsecond\n===", "first second"),
        ("# " + "x" * 1000, "x" * 199 + "…"),
    ],
)
def test_what_markup_hides_is_no_part_of_a_heading(source: str, text: str) -> None:
    assert [heading.text for heading in find_headings(source)] == [text]


@pytest.mark.parametrize("source", ["", "#", "#hashtag", "```\n# comment\n```", "    # code", "# "])
def test_what_says_nothing_is_no_heading(source: str) -> None:
    assert found(source) == []


@given(st.text(alphabet="#=-`*_[]()!<>&$\\|: \nab\u202e\ufdd0", max_size=60))
def test_any_text_has_headings_or_none(source: str) -> None:
    for heading in find_headings(source):
        assert 1 <= heading.level <= 6
        assert heading.text.strip()
        assert "\n" not in heading.text
