"""Users without a home have a private folder instead."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from nbci.errors import InfrastructureError
from nbci.home import ensure_home
from nbci.store.cache import user_cache

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"nbci-{os.getuid()}"


def test_a_user_whom_nobody_knows_gets_a_private_folder(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    environ: dict[str, str] = {}
    ensure_home(environ)

    assert environ == {"HOME": str(temporary)}
    assert temporary.stat().st_mode & 0o777 == 0o700


def test_a_home_stays(temporary: Path) -> None:
    environ = {"HOME": "/home/me"}
    ensure_home(environ)

    assert environ == {"HOME": "/home/me"}
    assert not temporary.exists()


def test_the_cache_of_a_user_whose_home_is_not_there(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(temporary / "gone"))

    assert user_cache({}).root == temporary / "cache"


def test_a_folder_that_others_can_enter_is_refused(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary.mkdir(mode=0o755)
    monkeypatch.setenv("HOME", str(temporary / "gone"))
    with pytest.raises(InfrastructureError, match="is no private one"):
        user_cache({})
