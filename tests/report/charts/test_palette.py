"""Pictures have the colours of the pages that show them."""

from __future__ import annotations

import re

from nbci.report.charts import palette
from tests.support.console import ROOT

_STYLE = ROOT / "nbci/report/style.css"


def _variables(rules: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+);", rules))


def test_the_colours_are_those_of_the_report() -> None:
    light, dark, *_ = re.findall(r":root \{(.*?)\}", _STYLE.read_text(), re.DOTALL)
    colours = {
        name.lower(): colour
        for name, colour in vars(palette).items()
        if isinstance(colour, palette.Colour)
    }
    assert len(colours) == 8
    for name, colour in colours.items():
        assert colour == (_variables(light)[name], _variables(dark)[name]), name
