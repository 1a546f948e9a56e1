from __future__ import annotations

import sys
from typing import Any

import pytest

from nbci.report.data.view import ShownCell
from nbci.report.html.plotly_figures import with_plotly_drawn
from tests.report import report_samples as samples

TRACE = {"type": "scatter", "y": [1, 3, 2]}


def cell(*traces: Any, **more: Any) -> ShownCell:
    figure = {
        "data": list(traces),
        "layout": {"title": {"text": "loss"}, "images": [{"source": "http://x.example"}]},
    }
    output = samples.shown(
        {"application/vnd.plotly.v1+json": figure, "text/plain": "Figure()", **more}
    )
    return ShownCell(
        anchor="cell-1", kind="code", source="fig.show()", outputs=(samples.stream("a"), output)
    )


@pytest.mark.needs("chromium")
def test_figures_are_drawn_by_one_browser() -> None:
    drawn = with_plotly_drawn([cell(TRACE)])
    assert list(drawn) == [("cell-1", 1)]
    assert drawn["cell-1", 1]["data"]["image/png"].startswith("iVBOR")
    assert drawn["cell-1", 1]["data"]["text/plain"] == "Figure()"


def test_without_kaleido_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    assert with_plotly_drawn([cell(TRACE)]) == {}


@pytest.mark.parametrize(
    "shown",
    [
        cell(TRACE, **{"image/png": samples.PNG}),
        cell({"type": "choropleth"}),
        cell("no trace"),
        ShownCell(
            anchor="cell-1", kind="code", source="", outputs=(None, {"data": 1}, samples.shown({}))
        ),
        ShownCell(
            anchor="cell-1",
            kind="code",
            source="",
            outputs=(samples.shown({"application/vnd.plotly.v1+json": {"data": 1, "layout": {}}}),),
        ),
    ],
)
def test_what_has_a_picture_or_would_ask_for_a_map_is_left_as_it_is(shown: ShownCell) -> None:
    assert with_plotly_drawn([shown]) == {}
