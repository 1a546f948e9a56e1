"""Charts as SVG: what they show, for light and dark, from any numbers."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib")

from typing import TYPE_CHECKING

from nbci.report.charts.chart import Chart, Confusion, Curves, Line, confusion, curves, importance
from nbci.report.charts.draw import draw_chart
from nbci.report.charts.draw_confusion import folded_classes
from nbci.report.charts.draw_curves import highlighted_lines

if TYPE_CHECKING:
    from nbci.report.charts.canvas import Drawing

SVG = "{http://www.w3.org/2000/svg}"


def roc(*heights: float, name: str = "") -> Curves:
    steps = len(heights) - 1
    return curves(
        "roc", [Line(name=name, x=tuple(at / steps for at in range(steps + 1)), y=heights)]
    )


def texts(drawing: Drawing) -> list[str]:
    tree = ElementTree.fromstring(drawing.content)
    return [node.text or "" for node in tree.iter(f"{SVG}text")]


MATRIX = confusion(["cat", "dog"], [[8, 2], [1, 9]])
IMPORTANCE = importance(["hue", "alcohol"], [0.2, -0.5])


@pytest.mark.parametrize(
    ("chart", "baseline", "words"),
    [
        (
            roc(0, 0.8, 1),
            roc(0, 0.6, 1),
            ["this run (AUC 0.65)", "baseline (AUC 0.55)", "false positive rate"],
        ),
        (roc(0, 0.8, 1), None, ["this run (AUC 0.65)"]),
        (roc(0, 0.8, 1), MATRIX, ["this run (AUC 0.65)"]),
        (
            MATRIX,
            confusion(["cat", "dog"], [[9, 1], [1, 9]]),
            ["8", "-1", "2", "+1", "9", "actual", "predicted"],
        ),
        (MATRIX, None, ["cat", "8", "2"]),
        (IMPORTANCE, importance(["hue"], [0.1]), ["hue", "alcohol", "this run", "baseline"]),
        (IMPORTANCE, None, ["hue"]),
    ],
)
def test_a_picture_shows_the_run_and_its_baseline(
    chart: Chart, baseline: Chart | None, words: list[str]
) -> None:
    shown = texts(draw_chart(chart, baseline))
    assert not set(words) - set(shown)


@pytest.mark.parametrize("chart", [roc(0, 0.8, 1), MATRIX, IMPORTANCE])
def test_it_is_a_small_file_for_light_and_dark_that_can_do_nothing(chart: Chart) -> None:
    drawing = draw_chart(chart, None)
    text = drawing.content.decode()
    assert draw_chart(chart, None) == drawing
    assert len(text) < 30_000
    tree = ElementTree.fromstring(text)
    assert tree.get("width") == str(drawing.width)
    assert tree.get("height") == str(drawing.height)
    assert not any("style" in node.attrib for node in tree.iter())
    assert not {node.tag.removeprefix(SVG) for node in tree.iter()} & {
        "script",
        "image",
        "a",
        "foreignObject",
    }
    style = "".join(node.text or "" for node in tree.iter(f"{SVG}style"))
    dark = style.partition("prefers-color-scheme:dark")[2]
    used = {
        colour
        for node in tree.iter()
        for key in ("fill", "stroke")
        if (colour := node.get(key, "none")) != "none"
    }
    assert all(f'="{colour}"' in dark for colour in used), used


def test_sizes_of_letters_can_be_read() -> None:
    for chart in (roc(0, 0.8, 1), MATRIX, IMPORTANCE):
        found = [
            float(size.removesuffix("px"))
            for size in re.findall(r'font-size="([^"]*)"', draw_chart(chart, None).content.decode())
        ]
        assert found
        assert min(found) >= 11


def test_labels_are_text_whatever_they_are() -> None:
    names = [
        "$x^2$",
        "<b>&amp;",
        "日本語 🎉",
        "\x00\ud800",
        "a" * 500,
        "${env}",
        'style="color:red"',
    ]
    for chart in (
        importance(names, [0.1] * len(names)),
        confusion(names, [[1] * len(names)] * len(names)),
        curves("roc", [Line(name=name, x=(0, 1), y=(0, 1)) for name in names]),
    ):
        shown = texts(draw_chart(chart, None))
        assert any("$x^2$" in text for text in shown)


@pytest.mark.parametrize("value", [0.0, 1e100, -1e100, 1e-300, 5.0])
def test_flat_and_extreme_curves_are_drawn(value: float) -> None:
    line = Line(name="loss", x=(1, 2, 3), y=(value, value, -value))
    assert draw_chart(curves("learning_curve", [line]), curves("learning_curve", [line])).content
    assert draw_chart(importance(["a", "b"], [value, -value]), None).content


def test_one_point_and_gaps_are_drawn() -> None:
    lines = [Line(name="a", x=(1,), y=(2,)), Line(name="b", x=(1, 2, 3), y=(math.nan, 2, math.nan))]
    assert draw_chart(curves("learning_curve", lines), None).content


def test_of_many_curves_the_worst_have_colours() -> None:
    lines = [Line(name=str(at), x=(0, 0.5, 1), y=(0, 0.9 - at / 50, 1)) for at in range(10)]
    chart = curves("roc", lines)
    assert [line.name for line in highlighted_lines(chart)] == ["7", "8", "9"]
    assert "7 others" in texts(draw_chart(chart, None))


def many(count: int, wrong: int) -> Confusion:
    rows = [[0.0] * count for _ in range(count)]
    for at in range(count):
        rows[at][at] = 10.0
    rows[wrong][0] = 7.0
    return confusion([f"class {at}" for at in range(count)], rows)


def test_a_thousand_classes_are_those_that_are_mistaken_most_and_the_others() -> None:
    matrix = many(1000, 421)
    shown, _ = folded_classes(matrix, None)
    assert len(shown.labels) == 16
    assert {"class 0", "class 421", "985 others"} <= set(shown.labels)
    assert sum(map(sum, shown.counts)) == 10_007
    drawing = draw_chart(matrix, many(1000, 422))
    assert drawing.width < 1000
    assert "class 421" in texts(drawing)
    assert "+7" in texts(drawing)


def test_curves_of_a_hundred_thousand_points_are_small() -> None:
    count = 100_000
    line = Line(
        name="",
        x=tuple(at / count for at in range(count)),
        y=tuple((at / count) ** 0.2 for at in range(count)),
    )
    assert len(draw_chart(curves("roc", [line]), None).content) < 60_000
