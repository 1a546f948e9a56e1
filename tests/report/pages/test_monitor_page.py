"""The page of a monitor: what it says, and that nothing in a result breaks it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from msgspec.structs import replace

from nbci.profiles.measure import measure_table
from nbci.records.profile import ColumnDrift
from nbci.report.charts.monitor.distributions import distribution_figure
from nbci.report.data.drift_wording import drift_sentence
from nbci.report.pages.monitor.monitor_page import render_monitor
from tests.report import monitor_samples as samples
from tests.report.pages.test_sweep_page import check_drawings
from tests.report.report_pages import pages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.records.monitoring import MonitorResult
    from tests.report.report_pages import Page

RESULTS: Mapping[str, tuple[MonitorResult, Sequence[MonitorResult]]] = {
    "ordinary": (samples.ordinary(), samples.earlier()),
    "images": (samples.images(), ()),
    "empty": (samples.empty(), ()),
    "nothing known": (samples.result(), (samples.result(id="1"),)),
    "hostile": (samples.hostile(), [samples.hostile_before()]),
}


@cache
def rendered(name: str) -> Mapping[str, bytes]:
    return render_monitor(*RESULTS[name])


def shown(name: str) -> Page:
    return pages(rendered(name))["index.html"]


@pytest.mark.parametrize("name", RESULTS)
def test_pages_keep_to_the_policy_and_pictures_to_their_edges(name: str) -> None:
    page = shown(name)
    for content in rendered(name).values():
        assert b"<script" not in content
        assert b"onload=" not in content.replace(b"&quot; onload=", b"")
    assert [image for image in page.images if len(image["alt"]) < 20] == []
    check_drawings(rendered(name))


def test_the_page_leads_with_the_answer_and_then_the_rules_and_the_worst_column() -> None:
    text = shown("ordinary").text
    order = [
        "Monitor of wine v1.2.0 ✗ failed",
        "PSI of alcohol is 0.314, more than 0.2; accuracy fell to 0.91.",
        "from 2026-01-01 03:04:05 UTC to 2026-01-02 03:04:05 UTC",
        "missed by 0.114",
        "coast is new: the reference has islands, north and south",
        "1 of 14 columns beyond the limit.",
        "1.25\N{NO-BREAK SPACE}%",
        "8 more columns",
        "PSI 0.31, more than 0.2; p < 0.001; missing 1.25",
        "v1.2.0: 2,100 rows, v1.1.0: 300 rows",
    ]
    place = 0
    for each in order:
        place = text.index(each, place)


def test_a_metric_stands_beside_the_reference_and_the_windows_before() -> None:
    text = shown("ordinary").text
    assert re.search(r"accuracy\s*Window0.91Release0.972Change.0.062", text)
    history = rendered("ordinary")["images/metric-1.svg"].decode()
    assert "accuracy over 7 windows: from 0.97 to 0.91" in history
    effect = rendered("ordinary")["images/effect-1.svg"].decode()
    assert "alcohol: PSI over 7 windows: from 0.02 to 0.314" in effect
    assert "asked at most 0.2" in effect


def test_windows_of_other_models_and_later_ones_are_left_out() -> None:
    later = samples.ordinary(id="9", judged_utc="2026-02-02T03:04:05.000Z", sentence="It is later.")
    other = samples.ordinary(id="8", model="beer", judged_utc="2025-01-01T00:00:00.000Z")
    alone = render_monitor(samples.ordinary(), [later, other, samples.ordinary()])
    assert b">Trend<" not in alone["index.html"]
    assert b"none was judged in this checkout" in alone["index.html"]
    assert "the 6 before it that were judged in this checkout" in shown("ordinary").text


def test_what_may_be_chance_is_no_drift_and_says_so() -> None:
    (drift,) = [each for each in samples.ordinary().columns if each.column == "alcohol"]
    excused = replace(drift, limit=None, chance_limit=0.2)
    page = render_monitor(samples.ordinary(columns=(excused,)), ())["index.html"].decode()
    assert "may be chance" in page
    assert "0 of 1 column beyond the limit. 1 may be beyond it by chance, of so few rows." in page
    assert drift_sentence(excused).startswith("PSI 0.31, more than 0.2, which may be chance; ")


def test_an_empty_window_says_so_and_draws_nothing() -> None:
    text = shown("empty").text
    assert "The window has no rows." in text
    assert "None of 13 columns could be compared: the window is empty." in text
    assert "13 columns" in text
    assert sorted(rendered("empty")) == ["index.html", "style.css"]


@pytest.mark.slow
def test_of_many_columns_the_worst_are_drawn_and_all_are_listed() -> None:
    files = render_monitor(samples.many(), ())
    page = pages(files)["index.html"]
    assert sum(path.startswith("images/column-") for path in files) == 50
    assert "The 50 worst of 1,000 columns; the table has all of them." in page.text
    assert "100 of 1,000 columns beyond the limit." in page.text
    names = re.findall(r"feature_\d{4}", page.text)
    assert len(set(names)) == 1000
    assert names[:3] == ["feature_0990", "feature_0980", "feature_0970"]


def test_a_distribution_is_drawn_from_its_quantiles() -> None:
    files = rendered("images")
    drawn = files["images/column-1.svg"].decode()
    assert "image.brightness in the window over the reference: PSI 3.7, more than 0.2" in drawn
    assert drawn.count('class="before"') == 2  # one of them in the legend
    numbers = shown("images").text
    assert re.search(r"median\s*0\.5\d*\s*0\.2\d*", numbers)


def test_categories_that_are_new_have_bars_of_their_own() -> None:
    files = rendered("ordinary")
    regions = next(content for content in files.values() if b">islands<" in content)
    assert b">coast<" in regions
    assert b">2.5\xc2\xa0%<" in regions


@pytest.mark.parametrize(
    ("before", "now", "head"),
    [
        ([number / 7 for number in range(60)], [number / 9 for number in range(40)], ""),
        ([1, 2, 3] * 20, [1, 2, 4] * 20, "Value"),
        ([1, 2, 3] * 20, [number / 9 for number in range(400)], ""),
    ],
)
def test_numbers_are_bars_only_where_they_are_repeated(
    before: Sequence[float], now: Sequence[float], head: str
) -> None:
    (known,) = measure_table(pa.table({"a": before}).to_batches()).columns
    (found,) = measure_table(pa.table({"a": now}).to_batches()).columns
    figure = distribution_figure(ColumnDrift(column="a", kind="number"), known, found, "a.svg")
    assert figure is not None
    assert figure.numbers is not None
    assert figure.numbers.heads[0] == head
