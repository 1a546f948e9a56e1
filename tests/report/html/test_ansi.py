from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.report.html.ansi import ansi_to_html
from tests.report.report_pages import Page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a<b", "a&lt;b"),
        ("\x1b[31mred\x1b[0m", '<span class="ansi-red-fg">red</span>'),
        (
            "\x1b[1;92;44mx\x1b[22my\x1b[m",
            (
                '<span class="ansi-bold ansi-green-intense-fg ansi-blue-bg">x</span>'
                '<span class="ansi-green-intense-fg ansi-blue-bg">y</span>'
            ),
        ),
        ("\x1b[38;5;196mx\x1b[39my", '<span class="ansi-red-intense-fg">x</span>y'),
        ("\x1b[38;2;0;200;0mx", '<span class="ansi-green-fg">x</span>'),
        ("\x1b[48;5;240mx", '<span class="ansi-black-intense-bg">x</span>'),
        ("a\x1b[2K\x1b[1Ab\x1b]8;;https://example.org\x07c\x1b]8;;\x07", "abc"),
        ("\x1b[38;5mx\x1b[38mx\x1b[999mx", "xxx"),
        ("\x1b[", "\ufffd["),
    ],
)
def test_colours_become_classes(text: str, shown: str) -> None:
    assert ansi_to_html(text) == shown


@given(st.text(st.sampled_from("\x1b[];0123458m<&\"'ab\n\ud800"), max_size=60))
def test_any_text_gives_balanced_markup(text: str) -> None:
    Page(ansi_to_html(text).encode().decode())
