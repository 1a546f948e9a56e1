from __future__ import annotations

import pytest

from nbci.formatting.sizes import size


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, ""),
        (0, "0 B"),
        (1500, "1.5 kB"),
        (187_300_000, "187 MB"),
        (999_999, "1 MB"),
        (2 * 10**15, "2000 TB"),
    ],
)
def test_sizes(count: int | None, shown: str) -> None:
    assert size(count) == shown
