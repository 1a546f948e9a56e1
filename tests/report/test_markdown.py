from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nbci.report.markdown import code, fenced, prose

TEXT = st.text(st.sampled_from("ab1 \\`|*_[]()<>&@#!~$:/-=+.\n\x00\ud800é\u202e"), max_size=40)


def html(markdown: str) -> str:
    return str(
        MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)
    )


@given(TEXT)
def test_prose_means_nothing_to_markdown(text: str) -> None:
    shown = html(f"a {prose(text)} b")
    assert re.sub(r"&(amp|lt|gt|quot);", "", shown).count("<") == 2, shown
    assert not re.search(r"[@#]\w", re.sub(r"&#\w+;", "", shown))


@given(TEXT)
def test_code_keeps_to_its_cell(text: str) -> None:
    shown = html(f"| a | b |\n| --- | --- |\n| {code(text)} | end |\n")
    cells = re.findall(r"<td>(.*?)</td>", shown, flags=re.DOTALL)
    assert len(cells) == 2
    assert cells[1] == "end"
    assert re.fullmatch(r"(<code>[^<]*</code>)?", cells[0])


@given(TEXT)
def test_block_of_code_ends_where_it_should(text: str) -> None:
    shown = html(f"{fenced(text)}\n\nend")
    assert shown.endswith("</code></pre>\n<p>end</p>\n")
    assert shown.count("<") == 6


@pytest.mark.parametrize(
    ("text", "shown"), [("a", "`a`"), ("", ""), ("a|b", "<code>a&#124;b</code>")]
)
def test_code_is_plain_where_it_can_be(text: str, shown: str) -> None:
    assert code(text) == shown
