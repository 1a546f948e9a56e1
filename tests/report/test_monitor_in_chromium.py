"""The page of a monitor in a real browser, under the policy of Jenkins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.report.pages.monitor.monitor_page import render_monitor
from nbci.report.write import write_report
from tests.report import monitor_samples as samples
from tests.report.test_in_chromium import faults

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Reader

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow]

RESULTS = {
    "ordinary": (samples.ordinary(), samples.earlier()),
    "hostile": (samples.hostile(), [samples.hostile_before()]),
}


@pytest.mark.parametrize("name", RESULTS)
def test_pages_are_shown_whole_and_keep_nobody_from_reading(
    name: str, tmp_path: Path, reader: Reader
) -> None:
    write_report(tmp_path, render_monitor(*RESULTS[name]))
    reading = reader.read(tmp_path)
    for width in (390, 1280):
        reading.page.set_viewport_size({"width": width, "height": 900})
        assert faults(reading) == [], f"{width} pixels"
    for dark in (False, True):
        plain = reader.read_plain(tmp_path, dark=dark)
        assert reader.serious_faults(plain) == []
