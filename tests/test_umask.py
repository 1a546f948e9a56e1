from __future__ import annotations

import os

import pytest

from nbci import umask


@pytest.mark.parametrize("asked", ["/proc/self/status", "/nowhere"])
def test_the_umask_is_told_and_left(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setattr(umask, "_STATUS", asked)
    before = os.umask(0o027)
    try:
        assert umask.current_umask() == 0o027
    finally:
        assert os.umask(before) == 0o027
