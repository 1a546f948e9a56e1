from __future__ import annotations

from nbci.formatting.tables import table, width


def test_wide_and_combining_characters_have_their_width() -> None:
    assert [width(text) for text in ("abc", "漢字", "e\u0301", "\u200b")] == [3, 4, 1, 0]


def test_columns_stand_straight() -> None:
    rows = [("name", "count"), ("漢字", "7"), ("x", "1,000")]
    assert table(rows, right=frozenset({1})) == ["name  count", "漢字      7", "x     1,000"]
