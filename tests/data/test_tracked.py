"""`.dvc` files, as DVC itself writes them, and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.data.tracked import tracked, tracking_file
from nbci.errors import UsageError
from nbci.store.file_index import FileIndex
from tests.support.dvc import dvc, make_repository

if TYPE_CHECKING:
    from pathlib import Path


def test_what_dvc_adds_is_what_nbci_finds(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "project")
    (root / "data/folder/deep").mkdir(parents=True)
    (root / "data/file.csv").write_text("1,2\n")
    (root / "data/folder/deep/a").write_text("a")
    (root / "data/folder/b").write_text("b")
    dvc(root, "add", "-q", "data/file.csv", "data/folder")
    index = FileIndex(tmp_path / "index")
    for name in ("data/file.csv", "data/folder"):
        assert tracked(root, f"{name}.dvc") == (index.fingerprint(root, name),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("", "tracks nothing"),
        ("outs: 3", "tracks nothing"),
        ("outs: [a]", "tracks nothing"),
        ("outs: [{path: a}]", "does not say what data/a holds"),
        ("outs: [{path: ../../a, md5: '0', hash: md5}]", "outside the project"),
        ("outs: [{path: /etc/a, md5: '0', hash: md5}]", "outside the project"),
        ("outs: [{path: a, md5: '0'}]", "an old DVC"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.dvc").write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        tracked(tmp_path, "data/a.dvc")
    assert caught.value.where is not None
    assert caught.value.where.path == "data/a.dvc"


def test_the_folder_that_paths_start_from_may_be_another(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.dvc").write_text(
        "wdir: ../raw\nouts: [{path: deep/b, md5: '0', hash: md5, size: 7, nfiles: 3}]"
    )
    (ref,) = tracked(tmp_path, "data/a.dvc")
    assert (ref.path, ref.bytes, ref.files) == ("raw/deep/b", 7, 3)


def test_data_that_is_not_there_is_told_by_the_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.dvc").touch()
    assert tracking_file(tmp_path, "a.dvc") == "a.dvc"
    assert tracking_file(tmp_path, "a") == "a.dvc"
    assert tracking_file(tmp_path, "b.dvc") is None
    (tmp_path / "a").touch()
    assert tracking_file(tmp_path, "a") is None
