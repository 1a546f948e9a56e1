"""The tables of docs/reuse.md are those of the code; NBCI_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from nbci.engine.observed.table import kinds_table, limits_table

PAGE = Path(__file__).parents[3] / "docs" / "reuse.md"
UPDATE = bool(
    os.environ.get("NBCI_UPDATE_GOLDEN")
)  # read here: the guards clear the environment before tests run


@pytest.mark.parametrize(("name", "table"), [("kinds", kinds_table()), ("limits", limits_table())])
def test_the_page_has_the_table(name: str, table: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    place = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
    assert re.search(place, text, flags=re.DOTALL)
    now = re.sub(place, lambda found: f"{found[1]}{table}\n{found[2]}", text, flags=re.DOTALL)
    if UPDATE:
        PAGE.write_text(now, encoding="utf-8")
    assert UPDATE or now == text
