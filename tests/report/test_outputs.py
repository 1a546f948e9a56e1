from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import report_samples as samples

from nbci.report.outputs import OutputPlace, rendered

PLACE = OutputPlace(images="images/s/cell-1", root="../", describes="cell 1", notebook="steps/s/notebook.ipynb")


def test_figure_becomes_a_file() -> None:
    markup, files = rendered([samples.shown({"image/png": [samples.PNG], "text/plain": "<Figure>"})], PLACE)
    assert files == {"images/s/cell-1-1.png": samples.png()}
    assert '<img src="../images/s/cell-1-1.png" alt="Figure made by cell 1">' in markup


def test_alternative_text_and_size_of_the_notebook_are_kept() -> None:
    metadata = {"image/png": {"alt": "Confusion matrix of 10 digits", "width": 640, "height": "40; color: red"}}
    markup, _ = rendered([samples.shown({"image/png": samples.PNG}, metadata)], PLACE)
    assert '<img src="../images/s/cell-1-1.png" alt="Confusion matrix of 10 digits" width="640">' in markup


@pytest.mark.parametrize("data", ["not base64!", base64.b64encode(b"<html>").decode(), ""])
def test_broken_picture_is_said_to_be_broken(data: str) -> None:
    markup, files = rendered([samples.shown({"image/png": data, "text/plain": "<Figure size 1x1>"})], PLACE)
    assert not files
    assert "&lt;Figure size 1x1&gt;" in markup
    assert "The picture (image/png) cannot be read; it is in <code>steps/s/notebook.ipynb</code>" in markup


def test_svg_loses_what_could_act() -> None:
    source = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="alert(1)">'
        '<script>alert(2)</script><a xlink:href="javascript:alert(3)"><rect width="5" onclick="x()"/></a>'
        "<style>rect {fill: red}</style></svg>"
    )
    _, files = rendered([samples.shown({"image/svg+xml": source})], PLACE)
    kept = files["images/s/cell-1-1.svg"].decode()
    assert "alert" not in kept
    assert "onclick" not in kept
    assert '<rect width="5" />' in kept
    assert "rect {fill: red}" in kept


def test_svg_with_entities_is_no_picture() -> None:
    source = '<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>'
    _, files = rendered([samples.shown({"image/svg+xml": source})], PLACE)
    assert not files


def test_lively_output_shows_its_static_form_and_says_so() -> None:
    data = {
        "application/vnd.plotly.v1+json": {"x": 1},
        "text/html": "<div></div><script>1</script>",
        "text/plain": "Figure()",
    }
    markup, _ = rendered([samples.shown(data)], PLACE)
    assert "Figure()" in markup
    assert "Not shown here: application/vnd.plotly.v1+json, text/html" in markup


def test_records_of_scrapbook_are_no_output() -> None:
    data = {"application/scrapbook.scrap.json+json": {"name": "accuracy", "data": 1}}
    assert rendered([samples.shown(data)], PLACE) == ("", {})


def test_json_is_laid_out() -> None:
    markup, _ = rendered([samples.shown({"application/json": {"a": [1]}})], PLACE)
    assert json.dumps({"a": [1]}, indent=1).replace('"', "&quot;") in markup


def test_huge_output_is_shortened_and_says_where_the_whole_is() -> None:
    markup, _ = rendered([samples.stream("first\n" + "x" * 500_000 + "\nlast\n")], PLACE)
    assert len(markup) < 110_000
    assert "first" in markup
    assert "last\n</pre>" in markup
    assert "400,012 characters of this output are left out; it is in <code>steps/s/notebook.ipynb</code>" in markup


def test_huge_table_is_shown_as_text() -> None:
    source = "<table>" + "<tr><td>1</td></tr>" * 20_000 + "</table>"
    markup, _ = rendered([samples.shown({"text/html": source, "text/plain": "1"})], PLACE)
    assert "<table" not in markup
    assert "Not shown here: text/html" in markup


@pytest.mark.parametrize(
    "output",
    [None, {}, {"output_type": "stream"}, {"output_type": "display_data", "data": None}, {"output_type": "error"}, 7],
)
def test_malformed_outputs_are_borne(output: Any) -> None:
    rendered([output], PLACE)
