"""The pages of sweeps in a real browser, under the policy of Jenkins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nbci.report.pages.sweep.sweep_page import render_sweep
from nbci.report.write import write_report
from nbci.sweeps.importance import Importance, Importances
from tests.report import sweep_samples as samples
from tests.report.test_in_chromium import faults
from tests.support.browser import WIDTHS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Reader

pytestmark = pytest.mark.needs("chromium")

_IMPORTANCES = Importances(
    objective="loss", method="fANOVA", shares=(Importance(parameter="C", share=0.9, trials=9),)
)
SWEEPS = {
    # What is linked from outside of the folder is not there.
    "ordinary": replace(samples.ordinary(), importances=(_IMPORTANCES,), pages={}),
    "hostile": samples.hostile(),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_pages_are_shown_whole_and_keep_nobody_from_reading(
    name: str, tmp_path: Path, reader: Reader
) -> None:
    write_report(tmp_path, render_sweep(SWEEPS[name]))
    reading = reader.read(tmp_path)
    for width in WIDTHS:
        reading.page.set_viewport_size({"width": width, "height": 900})
        assert faults(reading) == [], f"{width} pixels"
    for dark in (False, True):
        plain = reader.read_plain(tmp_path, dark=dark)
        assert reader.serious_faults(plain) == []
