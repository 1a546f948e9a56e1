"""Tables that pandas writes, and those that people write by hand."""

from __future__ import annotations

import pandas as pd  # type: ignore[import-untyped]  # it has no types
import pytest

from nbci.outputs.tables import has_table, table_difference

FRAME = pd.DataFrame({"model": ["svm", "tree"], "accuracy": [0.1 + 0.2, 0.9]})


def _html(frame: pd.DataFrame) -> str:
    html = frame._repr_html_()
    assert isinstance(html, str)
    return html


def test_a_table_is_compared_by_its_cells() -> None:
    now = FRAME.copy()
    now.loc[1, "accuracy"] = 0.85
    found = table_difference(_html(FRAME), _html(now))
    assert found is not None
    assert found.message == "1 cell of the table differs"
    assert found.lines == ("-row 3, accuracy: 0.9", "+row 3, accuracy: 0.85")


def test_numbers_are_compared_by_tolerance() -> None:
    html = "<table><tr><td>0.3</td></tr></table>"
    assert table_difference(html, html.replace("0.3", "0.30000000000000004")) is None
    assert table_difference(html, html.replace("0.3", "0.31")) is not None


def test_random_ids_of_styles_are_no_difference() -> None:
    first, second = (FRAME.style.to_html() for _ in range(2))
    assert first != second
    assert table_difference(first, second) is None


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (FRAME.head(1), "the table has 2 rows, stored are 3"),
        (FRAME.assign(extra=1), "row 1 of the table has 4 cells, stored are 3"),
        (FRAME[["accuracy", "model"]], "6 cells of the table differ"),
    ],
)
def test_what_differs_is_said(now: pd.DataFrame, message: str) -> None:
    found = table_difference(_html(FRAME), _html(now))
    assert found is not None
    assert found.message == message


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        ("<p>a</p><table></table>", "<p>b</p><table></table>", "the text around the table differs"),
        (
            "<table><td><img src='data:a'></td></table>",
            "<table><td><img src='data:b'></td></table>",
            "1 cell of the table differs",
        ),
        ("<table><tr><td>1<td>2<tr><td>3", "<table><tr><td>1<td>2<tr><td>4", "1 cell"),
        ("<table><td>1</table></td>2", "<table><td>1</table></td>3", "the text around"),
        ("<table><td><td></table>", "<table><td></table>", "row 1 of the table has 1 cell"),
        ("<table><script><td>1", "<table><script><td>1<td>2</script>x", "the text around"),
    ],
)
def test_html_by_hand(before: str, now: str, message: str) -> None:
    found = table_difference(before, now)
    assert found is not None
    assert found.message.startswith(message)
    assert table_difference(before, before) is None


def test_html_without_a_table_is_none() -> None:
    assert has_table("<TABLE>")
    assert not has_table("<p>")
    assert not has_table(["<table>"])
