from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.errors import InfrastructureError
from nbci.report.write import write_report

if TYPE_CHECKING:
    from pathlib import Path


def test_files_are_written_and_replaced(tmp_path: Path) -> None:
    write_report(tmp_path / "report", {"index.html": b"old", "images/a/b.png": b"1"})
    write_report(tmp_path / "report", {"index.html": b"new"})
    found = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert found == {"report/index.html": b"new", "report/images/a/b.png": b"1"}
    assert (tmp_path / "report/index.html").stat().st_mode & 0o444 == 0o444


def test_what_cannot_be_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "index.html").mkdir()
    with pytest.raises(InfrastructureError, match="directory"):
        write_report(tmp_path, {"index.html": b"x"})
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
