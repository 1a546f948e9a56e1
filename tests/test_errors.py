from __future__ import annotations

import pytest

from nbci.errors import nearest


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("c", ["gamma", "C"], "C"),
        ("Gama", ["gamma", "C"], "gamma"),
        ("test_size", ["TEST_SIZE"], "TEST_SIZE"),
        ("alpha", ["C"], None),
        ("c", [], None),
    ],
)
def test_the_nearest_name_is_found_whatever_its_case(
    name: str, known: list[str], meant: str | None
) -> None:
    assert nearest(name, known) == meant
