from __future__ import annotations

import difflib
import re

from hypothesis import given
from hypothesis import strategies as st

from nbci.report.html.text_diff import counts, diff_block
from tests.report.report_pages import Page

LINES = st.lists(
    st.text(alphabet="ab+-@ <&\n", max_size=8).map(lambda line: line.replace("\n", "")), max_size=8
)


def unified(old: list[str], new: list[str]) -> list[str]:
    return list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]


def test_lines_keep_their_signs() -> None:
    markup = diff_block(["@@ -1,2 +1,2 @@", "-old", "+new", " same"])
    assert "<del>-old\n</del><ins>+new\n</ins> same" in markup
    assert "@@" not in markup


def test_the_words_that_differ_are_marked_in_lines_that_are_alike() -> None:
    lines = ["-fit(x, y)", "+# why", "+fit(x, y, weight=1)"]
    assert "<ins>+fit(x, y<mark>, weight=1</mark>)\n</ins>" in diff_block(lines)
    assert "<mark>" not in diff_block(["-alpha", "+omega"])


def test_a_later_part_says_where_it_begins() -> None:
    assert "line 12\n" in diff_block(["@@ -10,2 +12,2 @@", "+x"])


def test_a_very_long_difference_is_cut() -> None:
    page = Page(diff_block(["+x"] * 1000))
    assert page.tags.count("ins") == 400
    assert "600 lines more" in page.text
    assert len(Page(diff_block(["+" + "x" * 100_000])).text) < 3000


@given(LINES, LINES)
def test_nothing_is_lost_and_nothing_is_markup(old: list[str], new: list[str]) -> None:
    lines = unified(old, new)
    shown = re.sub(r"^line \d+\n", "", Page(diff_block(lines)).text, flags=re.MULTILINE)
    kept = [line for line in lines if not line.startswith("@@")]
    assert shown.lstrip("\n") == "".join(f"{line}\n" for line in kept).lstrip("\n")
    assert counts(kept) == (
        sum(line[:1] == "+" for line in kept),
        sum(line[:1] == "-" for line in kept),
    )
