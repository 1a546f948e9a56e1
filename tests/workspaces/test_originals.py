from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbci.workspaces.workspace import Originals

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_new_goes_and_what_has_changed_is_named(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "folder/c.txt", "gone.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    originals = Originals(tmp_path)
    (tmp_path / "a.txt").write_text("longer")
    (tmp_path / "gone.txt").unlink()
    for name in ("dvclive/plots/loss.tsv", "folder/new.txt", "data/kept.csv", ".nbci/index"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    os.symlink(tmp_path / "b.txt", tmp_path / "link")

    assert sorted(originals.clear(kept=["data"])) == ["a.txt", "gone.txt"]

    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    expected = [".nbci", "a.txt", "b.txt", "data/kept.csv", "folder/c.txt"]
    assert left == expected
    assert not (tmp_path / "dvclive").exists()
    assert not os.path.lexists(tmp_path / "link")
