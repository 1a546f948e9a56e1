from __future__ import annotations

from pathlib import Path

import pytest

from nbci.engine.steps.declared_files import (
    Files,
    clear_outs,
    missing_deps,
    missing_outs,
    restore_artifacts,
)
from nbci.errors import IntegrityError, StepError
from nbci.store.cache import Cache
from nbci.store.file_index import FileIndex


def _index() -> FileIndex:
    return FileIndex(Path("/nonexistent"))


def _files(tmp_path: Path) -> Files:
    return Files(Cache(tmp_path / "cache").artifacts, _index())


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_is_its_bytes(tmp_path: Path) -> None:
    _written(tmp_path / "a", "one")
    _written(tmp_path / "b", "one")
    _written(tmp_path / "c", "two")
    a, b, c = (_index().fingerprint(tmp_path, name) for name in "abc")
    assert a.digest == b.digest != c.digest
    assert (a.path, a.bytes, a.files) == ("a", 3, 1)


def test_a_folder_is_its_files_names_and_bytes(tmp_path: Path) -> None:
    for root in ("one", "two", "renamed", "changed"):
        _written(tmp_path / root / "x/deep.txt", "deep")
        _written(tmp_path / root / "y.txt", "y")
    (tmp_path / "renamed/y.txt").rename(tmp_path / "renamed/z.txt")
    _written(tmp_path / "changed/x/deep.txt", "Deep")
    one, two, renamed, changed = (
        _index().fingerprint(tmp_path, name) for name in ("one", "two", "renamed", "changed")
    )
    assert one.digest == two.digest
    assert len({one.digest, renamed.digest, changed.digest}) == 3
    assert (one.bytes, one.files) == (5, 2)


def test_a_moved_boundary_between_name_and_folder_is_a_difference(tmp_path: Path) -> None:
    _written(tmp_path / "one/a/b", "x")
    _written(tmp_path / "two/a_b", "x")
    assert (
        _index().fingerprint(tmp_path, "one").digest != _index().fingerprint(tmp_path, "two").digest
    )


def test_a_broken_link_in_a_folder_is_named(tmp_path: Path) -> None:
    _written(tmp_path / "out/a", "x")
    (tmp_path / "out/link").symlink_to("nowhere")
    with pytest.raises(StepError, match=r"out/link: cannot be read"):
        _index().fingerprint(tmp_path, "out")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    _written(tmp_path / "there", "x")
    assert missing_deps(tmp_path, ["there"]) is None
    assert missing_outs(tmp_path, ["there"]) is None
    dependency = missing_deps(tmp_path, ["there", "gone.csv"])
    assert dependency is not None
    assert dependency.kind == "missing"
    assert "gone.csv" in dependency.message
    assert "there" not in dependency.message.partition(": ")[2]
    out = missing_outs(tmp_path, ["gone.csv", "lost"])
    assert out is not None
    assert "gone.csv, lost" in out.message


@pytest.mark.parametrize(
    ("target", "is_kept"),
    [
        ("data/not-mounted", True),
        ("link", True),
        ("/c/files/md5/0a/" + "b" * 30, False),
        ("/c/files/md5/0a/" + "b" * 30 + ".dir", False),
    ],
)
def test_a_link_that_leads_nowhere_is_kept_unless_it_led_into_a_cache(
    tmp_path: Path, target: str, is_kept: bool
) -> None:
    (tmp_path / "link").symlink_to(target)
    moved = clear_outs(tmp_path, ["link"], frozenset(), tmp_path / "aside", _files(tmp_path))
    assert not (tmp_path / "link").is_symlink()
    assert moved == (["link"] if is_kept else [])
    if is_kept:
        assert (tmp_path / "aside/link").readlink() == Path(target)


def test_a_link_to_another_out_is_cleared_with_it(tmp_path: Path) -> None:
    _written(tmp_path / "model-1", "one")
    (tmp_path / "latest").symlink_to("model-1")
    known = {(name, _index().fingerprint(tmp_path, name).digest) for name in ("model-1", "latest")}
    assert (
        clear_outs(tmp_path, ["model-1", "latest"], known, tmp_path / "aside", _files(tmp_path))
        == []
    )
    assert not any(tmp_path.iterdir())


def test_what_nbci_made_is_cleared_and_what_somebody_edited_is_kept(tmp_path: Path) -> None:
    root, aside = tmp_path / "project", tmp_path / "aside"
    _written(root / "made.txt", "by a run")
    _written(root / "edited.txt", "by a run")
    _written(root / "folder/f.txt", "by a run")
    paths = ["made.txt", "edited.txt", "folder", "never-there"]
    known = frozenset((path, _index().fingerprint(root, path).digest) for path in paths[:3])
    _written(root / "edited.txt", "by hand")
    assert clear_outs(root, paths, known, aside, _files(tmp_path)) == ["edited.txt"]
    assert list(root.iterdir()) == []
    assert (aside / "edited.txt").read_text() == "by hand"


def test_the_second_hand_made_version_is_kept_beside_the_first(tmp_path: Path) -> None:
    """A retry, or a resumed run, displaces again: neither content may be lost."""
    root, aside = tmp_path / "project", tmp_path / "aside"
    for text in ("first", "second"):
        _written(root / "out/file.txt", text)
        clear_outs(root, ["out/file.txt"], frozenset(), aside, _files(tmp_path))
        _written(root / "folder/file.txt", text)
        clear_outs(root, ["folder"], frozenset(), aside, _files(tmp_path))
    kept = [path.read_text() for path in sorted(aside.rglob("file.txt*"))]
    assert sorted(kept) == ["first", "first", "second", "second"]


def test_a_dangling_link_is_removed_and_its_target_never_touched(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "target")
    clear_outs(tmp_path, ["out"], frozenset(), tmp_path / "aside", _files(tmp_path))
    assert not (tmp_path / "out").is_symlink()
    _written(tmp_path / "target/data", "precious")
    (tmp_path / "out").symlink_to(tmp_path / "target")
    known = frozenset({("out", _index().fingerprint(tmp_path, "out").digest)})
    clear_outs(tmp_path, ["out"], known, tmp_path / "aside", _files(tmp_path))
    assert (tmp_path / "target/data").read_text() == "precious"


def test_artifacts_travel_by_digest(tmp_path: Path) -> None:
    here, there, files = tmp_path / "here", tmp_path / "there", _files(tmp_path)
    _written(here / "model/weights.bin", "w")
    _written(here / "report.txt", "r")
    refs = [files.artifacts.keep(here, path, files.index) for path in ("model", "report.txt")]
    _written(there / "report.txt", "by hand")
    aside = tmp_path / "aside"
    assert restore_artifacts(there, refs, (), aside, files) == ["report.txt"]
    assert restore_artifacts(there, refs, (), aside, files) == []
    assert [_index().fingerprint(there, ref.path) for ref in refs] == refs
    assert (aside / "report.txt").read_text() == "by hand"


def test_what_is_kept_elsewhere_is_replaced_without_a_copy(tmp_path: Path) -> None:
    root, files = tmp_path / "project", _files(tmp_path)
    old = _written(root / "out", "old")
    files.artifacts.keep(root, "out", files.index)
    old.write_text("new")
    new = files.artifacts.keep(root, "out", files.index)
    old.write_text("old")
    assert restore_artifacts(root, [new], (), tmp_path / "aside", files) == []
    assert old.read_text() == "new"
    assert not (tmp_path / "aside").exists()


def test_nothing_is_touched_when_an_object_is_damaged(tmp_path: Path) -> None:
    root, files = tmp_path / "project", _files(tmp_path)
    _written(root / "good", "good")
    _written(root / "folder/a", "a")
    refs = [files.artifacts.keep(root, path, files.index) for path in ("good", "folder")]
    damaged = files.artifacts.objects.path(files.index.listing(root / "folder")["a"])
    damaged.chmod(0o644)
    damaged.write_text("A")
    _written(root / "good", "by hand")
    _written(root / "folder/a", "by hand")
    with pytest.raises(IntegrityError, match=f"folder: .*{damaged}"):
        restore_artifacts(root, refs, (), tmp_path / "aside", files)
    assert not damaged.exists()
    assert (root / "good").read_text() == "by hand"
