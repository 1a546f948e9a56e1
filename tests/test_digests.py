"""The digest of files is plain BLAKE3, however large they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from nbci.digests import file_digest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path, size: int) -> None:
    data = bytes(number * 7 % 251 for number in range(size))
    (tmp_path / "file").write_bytes(data)
    assert file_digest(tmp_path / "file") == (blake3(data).hexdigest(), size)
