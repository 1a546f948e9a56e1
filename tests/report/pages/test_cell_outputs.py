from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from nbci.report.data.addresses import Addresses
from nbci.report.html.pictures import Album
from nbci.report.pages.cell_outputs import OutputPlace, render_outputs
from tests.report import report_samples as samples
from tests.report.report_pages import Page


def place(album: Album) -> OutputPlace:
    return OutputPlace(
        album=album,
        stem="s/cell-1",
        describes="cell 1",
        notebook="steps/s/notebook.ipynb",
        cell="steps/s.html#cell-1",
        ids=set(),
    )


def drawn(*outputs: Any) -> tuple[str, dict[str, bytes]]:
    album = Album(root="../")
    markup = "".join(render_outputs(outputs, place(album)))
    Page(markup)
    return markup, album.files


def test_figure_becomes_a_file() -> None:
    markup, files = drawn(samples.shown({"image/png": [samples.PNG], "text/plain": "<Figure>"}))
    assert files == {"images/s/cell-1-1.png": samples.png()}
    assert '<img src="../images/s/cell-1-1.png" alt="Figure made by cell 1">' in markup


def figure(width: int = 4, height: int = 3) -> dict[str, Any]:
    data = base64.b64encode(samples.png(width, height)).decode()
    return samples.shown({"image/png": data, "text/plain": "<Figure>"})


def test_each_figure_leads_to_its_full_size() -> None:
    markup, files = drawn(figure())
    assert Page(markup).links == ["../images/s/cell-1-1.png"]
    assert list(files) == ["images/s/cell-1-1.png"]


def test_many_figures_of_a_cell_stand_side_by_side() -> None:
    two, _ = drawn(figure(), figure())
    assert "side-by-side" not in two

    words = samples.stream("between")
    markup, _ = drawn(words, figure(), figure(9, 3), figure(), words, figure())
    row = markup.partition('<div class="side-by-side">')[2].partition("</div>")[0]
    assert row.count("<figure") == 3
    assert row.count('<figure class="wide">') == 1
    assert markup.count("<figure") == 4


def test_a_figure_that_is_broken_ends_the_row() -> None:
    broken = samples.shown({"image/png": "AAAA", "text/plain": "<Figure>"})
    markup, _ = drawn(figure(), figure(), broken, figure(), figure())
    assert "side-by-side" not in markup
    assert "cannot be shown" in markup


def test_alternative_text_and_size_of_the_notebook_are_kept() -> None:
    metadata = {
        "image/png": {
            "alt": "Confusion matrix of 10 digits",
            "width": 640,
            "height": "40; color: red",
        }
    }
    markup, _ = drawn(samples.shown({"image/png": samples.PNG}, metadata))
    assert (
        '<img src="../images/s/cell-1-1.png" alt="Confusion matrix of 10 digits" width="640">'
        in markup
    )


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


BROKEN = {
    "not base64!": "it is no base64",
    encoded(b"<html>"): "it is no PNG",
    "": "it is empty",
    encoded(samples.png()[:-20]): "it is cut off",
    encoded(samples.png(grey=1).replace(b"\x00\x01\x01", b"\x00\x01\x02")[:50]): "it is cut off",
    encoded(samples.png(width=200_000, height=2)[:33] + b"x"): "it is cut off",
}


@pytest.mark.parametrize("data", BROKEN)
def test_broken_picture_is_said_to_be_broken(data: str) -> None:
    markup, files = drawn(samples.shown({"image/png": data, "text/plain": "<Figure size 1x1>"}))
    assert not files
    assert f"The picture (image/png) cannot be shown, {BROKEN[data]}" in markup
    assert "<code>steps/s/notebook.ipynb</code>" in markup
    assert "Figure size" not in markup


def test_words_of_an_output_stand_for_its_broken_picture() -> None:
    markup, _ = drawn(samples.shown({"image/png": "", "text/plain": "confusion of 10 digits"}))
    assert "confusion of 10 digits" in markup


def test_a_form_that_is_whole_stands_for_a_broken_one() -> None:
    markup, files = drawn(
        samples.shown({"image/png": "x", "image/svg+xml": '<svg><rect width="5"/></svg>'})
    )
    assert list(files) == ["images/s/cell-1-1.svg"]
    assert "cannot be shown" not in markup


PLOTLY = {
    "application/vnd.plotly.v1+json": {"x": 1},
    "text/html": '<div id="plotly"></div><script>1</script>',
}


def test_lively_output_shows_its_static_form_and_says_so() -> None:
    markup, files = drawn(samples.shown({**PLOTLY, "image/png": samples.PNG}))
    assert list(files) == ["images/s/cell-1-1.png"]
    assert "The notebook shows a Plotly figure here" in markup


def test_lively_output_without_a_static_form_is_told_with_its_file() -> None:
    markup, _ = drawn(samples.shown({**PLOTLY, "text/plain": "<IPython.core.display.HTML object>"}))
    assert "This output is a Plotly figure, which a page without scripts cannot show" in markup
    assert "<code>steps/s/notebook.ipynb</code>" in markup
    assert "IPython" not in markup


WIDGET = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "IntSlider(value=3)"}
SOUND = {
    "text/html": "<audio src='data:audio/wav;base64,AAAA'></audio>",
    "text/plain": "<A.B object>",
}
CHART = {"application/vnd.vegalite.v5+json": {"mark": "bar"}, "text/plain": "alt.Chart(...)"}


def test_a_chart_of_altair_that_is_not_drawn_is_named_once() -> None:
    text = (
        "<VegaLite 5 object>\n\nIf you see this message, it means the renderer has not been "
        "properly enabled\nfor the frontend that you are using."
    )
    data = {"application/vnd.vegalite.v5+json": {"mark": "bar"}, "text/plain": text}
    album = Album(root="../")
    notebook = "steps/s/notebook.ipynb"
    beside = replace(place(album), addresses=Addresses(notebooks={notebook: f"../{notebook}"}))
    page = Page("".join(render_outputs([samples.shown(data)], beside)))
    assert page.text == (
        "This output is a Vega-Lite chart, which a page without scripts cannot show; "
        "it is in steps/s/notebook.ipynb."
    )
    assert page.links == ["../../steps/s/notebook.ipynb"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (WIDGET, "IntSlider(value=3)"),
        (WIDGET, "a Jupyter widget"),
        (SOUND, "a sound"),
        ({"video/mp4": "AAAA"}, "a video"),
        ({"text/html": "<div>Loading</div><script>Bokeh.embed()</script>"}, "a Bokeh plot"),
        (CHART, "a Vega-Lite chart"),
        ({"application/javascript": "alert(1)"}, "JavaScript"),
        ({"application/x-unheard-of": "1"}, "Not shown here: application/x-unheard-of"),
        ({"text/html": "<iframe src='https://example.org'></iframe>"}, "another page in a frame"),
    ],
)
def test_outputs_that_need_more_than_a_page(data: dict[str, Any], words: str) -> None:
    markup, files = drawn(samples.shown(data))
    assert words in Page(markup).text
    assert not files


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"text/html": "<div id='p1001'></div>"},
        {"application/javascript": "load()", "application/vnd.bokehjs_load.v0+json": ""},
    ],
)
def test_outputs_that_show_nothing_are_left_out(data: dict[str, Any]) -> None:
    assert drawn(samples.shown(data)) == ("", {})


def test_the_same_is_not_said_twice() -> None:
    markup, _ = drawn(*[samples.shown({"application/javascript": "x"})] * 3)
    assert markup.count("JavaScript") == 1


def test_a_table_with_a_script_is_still_a_table() -> None:
    markup, _ = drawn(
        samples.shown({"text/html": "<table><tr><td>178</td></tr></table><script>sort()</script>"})
    )
    assert "<td>178</td>" in markup
    assert "HTML with a script" in markup


def test_estimators_are_shown_by_their_text() -> None:
    html = (
        "<style>#sk-1 {display: none}</style>"
        "<div><pre>SVC()</pre><b>please rerun this cell</b></div>"
    )
    markup, _ = drawn(samples.shown({"text/html": html, "text/plain": "SVC(C=10)"}))
    assert Page(markup).text == "\nSVC(C=10)"


def test_coloured_text_keeps_its_colours() -> None:
    data = {
        "text/html": '<pre style="x"><span style="color: red">bad</span></pre>',
        "text/plain": "\x1b[31mbad\x1b[0m",
    }
    markup, _ = drawn(samples.shown(data))
    assert '<span class="ansi-red-fg">bad</span>' in markup


def test_colours_of_a_styler_become_a_style_sheet() -> None:
    html = (
        "<style>#T_1_row0_col0 {background-color: #08306b; width: 9em}</style>"
        "<table><td id='T_1_row0_col0'>1</td>"
    )
    album = Album(root="../")
    markup = "".join(render_outputs([samples.shown({"text/html": html})], place(album)))
    assert '<td id="u-T_1_row0_col0">1</td>' in markup
    assert album.keep_sheet("outputs/s/cells.css") == "../outputs/s/cells.css"
    assert album.files == {
        "outputs/s/cells.css": b"#u-T_1_row0_col0 { background-color: #08306b; color: #ffffff; }\n"
    }


def test_a_styler_that_is_shown_twice_has_its_colours_twice() -> None:
    html = (
        "<style>#T_1_row0_col0 {background: red}</style>"
        "<table id='T_1'><tr><td id='T_1_row0_col0'>1</td></tr></table>"
    )
    album = Album(root="../")
    markup = "".join(render_outputs([samples.shown({"text/html": html})] * 3, place(album)))
    assert [f'<td id="u-T_1{at}_row0_col0">' in markup for at in ("", "-2", "-3")] == [True] * 3
    assert [rule.partition(" ")[0] for rule in album.rules] == [
        f"#u-T_1{at}_row0_col0" for at in ("", "-2", "-3")
    ]


def test_colours_written_into_html_become_classes() -> None:
    html = (
        "<table style='border: 0'>"
        + "<tr><td style='background: #ffff00; width: 9em'>1</td></tr>" * 2
        + "</table>"
    )
    album = Album(root="../")
    markup = "".join(render_outputs([samples.shown({"text/html": html})], place(album)))
    assert markup.count('<td class="u-look-1">1</td>') == 2
    assert album.rules == [".u-look-1 { background: #ffff00; color: #000000; }"]


def test_table_of_pandas_needs_no_style_sheet() -> None:
    album = Album(root="../")
    render_outputs(
        [samples.shown({"text/html": samples.FRAME.replace(' style="color: red"', "")})],
        place(album),
    )
    assert album.keep_sheet("outputs/s/cells.css") is None


def test_pictures_within_html_become_files() -> None:
    html = (
        f'<div><img src="data:image/png;base64,{samples.PNG}">'
        '<svg><title>A plan</title><rect width="1"/></svg></div>'
    )
    markup, files = drawn(samples.shown({"text/html": html}))
    assert sorted(files) == ["images/s/cell-1-1-inside-1.svg", "images/s/cell-1-1-inside-2.png"]
    assert '<img alt="Picture in the notebook" src="../images/s/cell-1-1-inside-2.png">' in markup
    assert 'alt="A plan"' in markup


def test_formulas_are_mathml() -> None:
    markup, _ = drawn(samples.shown({"text/latex": r"$\displaystyle x^{2}$", "text/plain": "x**2"}))
    assert "<msup><mi>x</mi><mrow><mn>2</mn></mrow></msup>" in markup


def test_latex_that_is_no_formula_stays_text() -> None:
    source = r"\begin{tabular}{l}digit \\ 3 \end{tabular}"
    assert source in Page(drawn(samples.shown({"text/latex": source}))[0]).text


def test_records_of_scrapbook_are_no_output() -> None:
    data = {"application/scrapbook.scrap.json+json": {"name": "accuracy", "data": 1}}
    assert drawn(samples.shown(data)) == ("", {})


def test_json_is_laid_out() -> None:
    markup, _ = drawn(samples.shown({"application/json": {"a": [1]}}))
    assert json.dumps({"a": [1]}, indent=1).replace('"', "&quot;") in markup


def test_long_json_is_folded() -> None:
    markup, _ = drawn(samples.shown({"application/json": list(range(20))}))
    assert "<summary>JSON: 22 lines</summary>" in markup


def test_huge_output_is_shortened_and_leads_to_the_whole() -> None:
    markup, files = drawn(samples.stream("first\n" + "x" * 500_000 + "\n\x1b[31mlast\x1b[0m ש\n"))
    assert len(markup) < 32_000
    assert "first" in markup
    assert "last</span> ש\n</pre>" in markup
    assert '470,023 characters are left out here: <a href="../outputs/s/cell-1-1.txt">' in markup
    whole = files["outputs/s/cell-1-1.txt"].decode("utf-8-sig")
    assert whole.startswith("first\nxxx")
    assert whole.endswith("xxx\nlast ש\n")


def test_long_table_is_on_a_page_of_its_own() -> None:
    source = "<table>" + "<tr><td>1</td></tr>" * 20_000 + "</table>"
    markup, files = drawn(samples.shown({"text/html": source, "text/plain": "20,000 rows"}))
    assert "<table" not in markup
    assert "20,000 rows" in markup
    assert '<a href="../outputs/s/cell-1-1.html">The whole output</a>' in markup
    assert files["outputs/s/cell-1-1.html"].count(b"<td>1</td>") == 20_000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"text/html": "<p>a</p>" * 700_000, "text/plain": "many"}, "many"),
        (
            {"text/html": "<p>a</p>" * 700_000},
            "The HTML of this output is too large to be shown: 5.6 MB",
        ),
        (
            {"image/svg+xml": "<svg>" + "<g/>" * 3_000_000 + "</svg>"},
            "cannot be shown, it is too large: 12 MB",
        ),
        ({"image/png": "A" * 60_000_000}, "cannot be shown, it is too large: 60 MB"),
    ],
)
def test_what_is_too_large_to_be_shown_is_told(data: dict[str, Any], words: str) -> None:
    markup, files = drawn(samples.shown(data))
    assert words in Page(markup).text
    assert "<code>steps/s/notebook.ipynb</code>" in markup
    assert not files


@pytest.mark.parametrize(
    "output",
    [
        None,
        {},
        {"output_type": "stream"},
        {"output_type": "display_data", "data": None},
        {"output_type": "error"},
        {"output_type": "error", "traceback": 7},
        {
            "output_type": "display_data",
            "data": {"image/png": 7, "text/html": {"a": 1}, "text/markdown": None},
        },
        7,
    ],
)
def test_malformed_outputs_are_borne(output: Any) -> None:
    drawn(output)
