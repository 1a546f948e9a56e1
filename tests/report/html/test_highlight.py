from __future__ import annotations

import pytest

from nbci.report.html.highlight import source_code
from tests.report.report_pages import Page


@pytest.mark.parametrize("language", ["python", "r", "no-such-language"])
def test_source_is_shown_whole(language: str) -> None:
    source = "\n\nx = '<b>' # \U0001f600 \u05e9\n  y"
    assert Page(source_code(source, language)).text == "\n" + source


@pytest.mark.parametrize("language", ["python", "no-such-language"])
def test_characters_that_turn_the_text_around_are_written_out(language: str) -> None:
    """The example of https://trojansource.codes."""
    shown = Page(source_code("access = 'user\u202e \u2066# admin\u2069 \u2066'", language)).text
    assert "userU+202E U+2066# admin" in shown
    assert not set(shown) & set("\u202e\u2066\u2069")
    assert "characters that change the order" in shown


def test_unseen_characters_are_written_out() -> None:
    shown = Page(source_code("admin\u200b = 'a\u00adb\ufeff\U000e0041'", "python")).text
    assert "adminU+200B = 'aU+00ADbU+FEFFU+E0041'" in shown
    assert "change the order" not in shown


def test_joined_emoji_and_letters_stay() -> None:
    source = "x = '\U0001f469\u200d\U0001f4bb \u0645\u06cc\u200c\u062e'"
    assert source in Page(source_code(source, "python")).text
