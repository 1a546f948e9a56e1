from __future__ import annotations

from importlib.resources import files

import pytest

from nbci.report.html.colours import colour_rules, look


def sheet(rules: str) -> tuple[str, ...]:
    return colour_rules(f'<style type="text/css">{rules}</style><table></table>')


def test_colours_of_a_styler_are_kept() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"digit": [1, 2], "share": [0.25, 0.75]})
    style = frame.style.background_gradient(subset=["digit"]).bar(subset=["share"]).set_uuid("a")
    rules = "\n".join(colour_rules(style.to_html()))
    assert "#u-T_a_row0_col0 { background-color: #fff7fb; color: #000000; }" in rules
    assert (
        "#u-T_a_row1_col1 { background: linear-gradient(90deg, "
        "color-mix(in srgb, #d65f5f 70%, transparent) 100.0%, transparent 100.0%); }"
    ) in rules


@pytest.mark.parametrize(
    ("background", "text"), [("#ffff00", "#000000"), ("#08306b", "#ffffff"), ("yellow", "#000000")]
)
def test_text_can_be_read_on_its_background(background: str, text: str) -> None:
    assert sheet(f"#T_a_row0_col0 {{ background-color: {background} }}") == (
        f"#u-T_a_row0_col0 {{ background-color: {background}; color: {text}; }}",
    )


@pytest.mark.parametrize(
    "background", ["rgba(214, 95, 95, 0.2)", "rgba(214, 95, 95, .1)", "#d65f5f33", "#d653"]
)
def test_text_on_a_translucent_background_is_the_pages_own(background: str) -> None:
    assert look(f"background-color: {background}; color: #000") == {"background-color": background}


@pytest.mark.parametrize(
    ("stops", "kept"),
    [
        ("#ffffff 20%, transparent 20%", "color-mix(in srgb, #ffffff 30%, transparent) 20%"),
        ("transparent 5%, #000 5% 9%", "color-mix(in srgb, #000 40%, transparent) 5% 9%"),
        ("rgb(0, 0, 255) 9%", "color-mix(in srgb, rgb(0, 0, 255) 50%, transparent) 9%"),
        ("tomato 9%", "color-mix(in srgb, tomato 30%, transparent) 9%"),
        ("rgba(214, 95, 95, 0.2) 9%", "rgba(214, 95, 95, 0.2) 9%"),
        ("rgba(9, 9, 9, ...) 9%", "rgba(9, 9, 9, ...) 40%"),
    ],
)
def test_a_bar_lets_the_page_through_for_its_text_to_be_read(stops: str, kept: str) -> None:
    shown = look(f"background: linear-gradient(90deg, {stops}); color: red")
    assert shown.keys() == {"background"}
    assert kept in shown["background"]


def test_a_translucent_background_is_thinned_where_it_hides_the_text() -> None:
    assert look("background-color: #ffffff80") == {
        "background-color": "color-mix(in srgb, #ffffff80 60%, transparent)"
    }


def test_the_pages_colours_are_those_of_the_style_sheet() -> None:
    sheet = files("nbci.report").joinpath("style.css").read_text()
    light, dark = sheet.split("prefers-color-scheme: dark", 1)
    assert "--text: #1d2329" in light
    assert "--page: #fff;" in light
    assert "--text: #dce2e8" in dark
    assert "--page: #14181c" in dark


def test_text_on_an_opaque_background_is_not() -> None:
    assert look("background-color: rgba(214, 95, 95, 1)")["color"] == "#000000"


def test_text_that_its_author_made_hard_to_read_is_black_or_white() -> None:
    assert look("background-color: #75a9cf; color: #f1f1f1")["color"] == "#000000"
    assert look("background-color: #023858; color: #f1f1f1")["color"] == "#f1f1f1"


@pytest.mark.parametrize(
    "rule",
    [
        "#content { color: red }",
        "body { color: red }",
        "#T_a, main { color: red }",
        "#T_a_row0_col0:hover { color: red }",
        "#T_a { position: fixed; width: 10em; --x: red }",
        "#T_a { background: url(https://outside.example/) }",
        "#T_a { background: linear-gradient(90deg, url(x) 10%) }",
        "#T_a { color: red !important }",
        "#T_a { color: expression(alert(1)) }",
        "#T_a { color: r\\65 d }",
        "#T_a { color: var(--x) }",
        "@import 'https://outside.example/a.css';",
        "@media print { #T_a { color: red } }",
        "@font-face { font-family: x; src: url(x) }",
        "#T_a { color: red",
    ],
)
def test_nothing_else_is_kept(rule: str) -> None:
    kept = sheet(rule)
    assert not kept or rule.startswith("@media")
    assert all(part == "#u-T_a { color: var(--bad); }" for part in kept)


def test_rules_of_a_table_do_not_end_a_style_sheet() -> None:
    html = "<style>#T_a { color: red; }</style><script>alert(1)</script><style>#T_b { color: blue}"
    assert colour_rules(html) == ("#u-T_a { color: var(--bad); }", "#u-T_b { color: var(--link); }")


@pytest.mark.parametrize(
    ("colour", "own"),
    [
        ("red", "var(--bad)"),
        ("#c00000", "var(--bad)"),
        ("orange", "var(--warm)"),
        ("rgb(0, 128, 0)", "var(--good)"),
        ("#00f", "var(--link)"),
        ("purple", "var(--keyword)"),
        ("black", None),
        ("#fafafa", None),
        ("gray", None),
        ("unheard", None),
    ],
)
def test_colour_of_text_alone_is_one_that_can_be_read_on_any_page(
    colour: str, own: str | None
) -> None:
    assert look(f"color: {colour}") == ({"color": own} if own else {})
