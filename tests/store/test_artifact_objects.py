"""Artifacts kept as objects: as DVC does it, whole or not at all, and back."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbci.errors import IntegrityError, StepError
from nbci.store.artifacts import Artifacts, read_listing
from nbci.store.cache import Cache
from nbci.store.file_index import FileIndex, listing_bytes, listing_digest
from nbci.store.objects import Altered, Objects
from nbci.store.seen import Seen, md5_of
from tests.support.console import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

LINKS = {
    "reflink": ("reflink", "copy"),
    "hardlink": ("hardlink",),
    "symlink": ("symlink",),
    "copy": ("copy",),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with a folder and a file."""
    root = tmp_path / "work"
    (root / "out/deep").mkdir(parents=True)
    (root / "out/a").write_text("a")
    (root / "out/deep/b").write_text("b")
    (root / "out/deep/empty").touch()
    (root / "file").write_text("file")
    return root


def make(folder: Path, kind: str = "copy") -> Artifacts:
    return Artifacts(Objects(folder / "files/md5", LINKS[kind]), Seen(folder / "seen"))


def index(path: Path = Path("/nonexistent")) -> FileIndex:
    return FileIndex(path)


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


@given(
    st.dictionaries(
        st.text('aä/ "\\é漢', min_size=1).filter(lambda name: name.strip("/") == name),
        st.binary(),
        max_size=8,
    )
)
@settings(max_examples=50)
def test_a_listing_is_what_dvc_writes(files: dict[str, bytes]) -> None:
    import hashlib

    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.meta import Meta
    from dvc_data.hashfile.tree import Tree

    digests = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    tree = Tree()
    for name, digest in digests.items():
        tree.add(tuple(name.split("/")), Meta(), HashInfo("md5", digest))
    tree.digest()
    assert listing_bytes(digests) == tree.as_bytes()
    assert listing_digest(digests) == tree.hash_info.value


def test_a_folder_is_to_nbci_what_it_is_to_dvc(tmp_path: Path, root: Path) -> None:
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import get_odb
    from dvc_objects.fs.local import LocalFileSystem

    (root / "out/link").symlink_to(root / "file")
    (root / "out/.git").mkdir()
    (root / "out/.git/config").touch()
    odb = get_odb(LocalFileSystem(), str(tmp_path / "odb"), hash_name="md5")
    for name in ("file", "out"):
        if name == "out":
            (root / "out/.git/config").unlink()
            (root / "out/.git").rmdir()
        _, _, built = build(odb, str(root / name), LocalFileSystem(), "md5", dry_run=True)
        assert index().fingerprint(root, name).digest == built.hash_info.value


@pytest.mark.parametrize("kind", LINKS)
def test_what_was_kept_comes_back(tmp_path: Path, root: Path, kind: str) -> None:
    artifacts, before = make(tmp_path / "cache", kind), content(root / "out")
    refs = [artifacts.keep(root, name, index()) for name in ("out", "file")]
    assert content(root / "out") == before
    assert [index().fingerprint(root, ref.path) for ref in refs] == refs
    other = tmp_path / "other"
    for ref in refs:
        assert artifacts.missing_objects(ref.digest) == []
        artifacts.restore(other, ref, index())
    assert content(other / "out") == before
    linked = stat.S_IMODE((other / "file").stat().st_mode) == 0o444
    assert linked == (kind in ("hardlink", "symlink"))
    assert (other / "file").is_symlink() == (kind == "symlink")
    objects = [path for path in (tmp_path / "cache/files").rglob("*") if path.is_file()]
    assert len(objects) == 5
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o444 for path in objects)


@pytest.mark.parametrize("kind", LINKS)
def test_a_new_file_in_place_of_a_link_leaves_the_object_alone(
    tmp_path: Path, root: Path, kind: str
) -> None:
    """nbci clears the place of an out before each try, so opening for append makes a new file."""
    artifacts = make(tmp_path / "cache", kind)
    ref = artifacts.keep(root, "file", index())
    (root / "file").unlink()
    with (root / "file").open("a") as file:
        file.write("appended")
    assert artifacts.objects.path(ref.digest).read_text() == "file"
    new = artifacts.keep(root, "file", index())
    assert {artifacts.objects.path(r.digest).read_text() for r in (ref, new)} == {
        "file",
        "appended",
    }


def test_a_folder_is_brought_up_to_date_in_place(tmp_path: Path, root: Path) -> None:
    artifacts = make(tmp_path / "cache")
    first = artifacts.keep(root, "out", index())
    before = content(root / "out")
    untouched = (root / "out/a").stat()
    (root / "out/deep/b").write_text("changed")
    (root / "out/extra").write_text("extra")
    (root / "out/deep/empty").unlink()
    (root / "out/deep/empty").mkdir()
    (root / "out/deep/empty/file").touch()
    artifacts.keep(root, "out", index())
    artifacts.restore(root, first, index())
    assert content(root / "out") == before
    now = (root / "out/a").stat()
    assert (now.st_ino, now.st_ctime_ns) == (untouched.st_ino, untouched.st_ctime_ns)


def test_an_empty_folder_and_odd_names_come_back(tmp_path: Path) -> None:
    artifacts, root = make(tmp_path / "cache"), tmp_path / "work"
    (root / "empty").mkdir(parents=True)
    (root / "odd").mkdir()
    names = ["-dash", " space ", "ünïcode", "new\nline", "l" * 250, os.fsdecode(b"\xff")]
    for name in names:
        (root / "odd" / name).write_text(repr(name))
    refs = [artifacts.keep(root, name, index()) for name in ("empty", "odd")]
    for ref in refs:
        assert artifacts.missing_objects(ref.digest) == []
        artifacts.restore(tmp_path / "other", ref, index())
    assert list((tmp_path / "other/empty").iterdir()) == []
    assert sorted(os.listdir(tmp_path / "other/odd")) == sorted(names)


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/../../b", ""])
def test_a_listing_that_leads_outside_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "listing").write_bytes(listing_bytes({name: "0" * 32}))
    with pytest.raises(IntegrityError, match="outside its folder"):
        read_listing(tmp_path / "listing")


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", '[{"md5": "0"}]', "null"])
def test_a_listing_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "listing").write_text(text)
    if text == "{}":
        assert read_listing(tmp_path / "listing") == {}
        return
    with pytest.raises(IntegrityError, match="no listing"):
        read_listing(tmp_path / "listing")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def change(path: Path) -> None:
    path.write_bytes(b"?" * path.stat().st_size)


def lose(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [truncate, change, lose])
@pytest.mark.parametrize("which", ["file", "listing", "in the folder"])
def test_a_damaged_object_is_found_and_made_again(
    tmp_path: Path, root: Path, which: str, damage: Callable[[Path], None]
) -> None:
    artifacts = make(tmp_path / "cache")
    known = index()
    out, file = (artifacts.keep(root, name, known) for name in ("out", "file"))
    name = {"file": file.digest, "listing": out.digest, "in the folder": md5_of(root / "out/a")}[
        which
    ]
    place = artifacts.objects.path(name)
    place.chmod(0o644)
    damage(place)
    for seen in (
        artifacts,
        make(tmp_path / "cache"),
    ):  # one that trusted the object, and one that never saw it
        assert seen.missing_objects(file.digest) + seen.missing_objects(out.digest) == [name]
        assert not place.exists()
    assert [artifacts.keep(root, ref.path, known) for ref in (out, file)] == [out, file]
    assert artifacts.missing_objects(file.digest) + artifacts.missing_objects(out.digest) == []


def test_objects_of_another_checkout_are_taken_over(tmp_path: Path, root: Path) -> None:
    theirs, before = make(tmp_path / "theirs"), content(root / "out")
    ref = theirs.keep(root, "out", index())
    ours = Artifacts(
        Objects(tmp_path / "ours/files/md5"), Seen(tmp_path / "seen"), (theirs.objects,)
    )
    assert ours.has(ref)
    assert ours.missing_objects(ref.digest) == []
    ours.restore(tmp_path / "other", ref, index())
    assert content(tmp_path / "other/out") == before
    damaged = theirs.objects.path(md5_of(root / "out/a"))
    damaged.chmod(0o644)
    damaged.write_text("?")
    third = Artifacts(
        Objects(tmp_path / "third/files/md5"), Seen(tmp_path / "seen"), (theirs.objects,)
    )
    assert third.missing_objects(ref.digest) == [md5_of(root / "out/a")]
    assert damaged.exists()  # it is not ours to remove


def test_each_object_is_read_once_on_a_machine(tmp_path: Path, root: Path) -> None:
    artifacts = make(tmp_path / "cache")
    digest = artifacts.keep(root, "file", index()).digest
    artifacts.seen.save()
    place = artifacts.objects.path(digest)
    times = place.stat()
    place.chmod(0o644)
    place.write_text("FILE")  # nothing that nbci does; it shows what is looked at
    place.chmod(0o444)
    os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert make(tmp_path / "cache").missing_objects(digest) == []
    assert make(tmp_path / "elsewhere").seen.holds(artifacts.objects, digest) is False


_WRITE = """
import resource, signal, sys
from pathlib import Path
from nbci.errors import InfrastructureError
from nbci.store.artifacts import Artifacts
from nbci.store.file_index import FileIndex
from nbci.store.objects import Objects
from nbci.store.seen import Seen
signal.signal(signal.SIGXFSZ, signal.SIG_IGN); \
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
root = Path(sys.argv[1])
artifacts = Artifacts(Objects(root / "cache/files/md5", ("copy",)), Seen(root / "seen"))
try: artifacts.keep(root / "work", "out", FileIndex(root / "index"))
except InfrastructureError as error: print(int(error.exit_code), error)
"""


def test_a_full_disk_leaves_no_half_object(tmp_path: Path, root: Path) -> None:
    (root / "out/large").write_bytes(b"x" * 1_000_000)
    done = subprocess.run(
        [sys.executable, "-c", _WRITE, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("4 ")
    assert "cannot write" in done.stdout
    for path in (tmp_path / "cache").rglob("*"):
        assert path.is_dir() or md5_of(path) == path.parent.name + path.name
    artifacts = make(tmp_path / "cache")
    ref = artifacts.keep(root, "out", index())
    assert artifacts.missing_objects(ref.digest) == []


def test_many_writers_keep_the_same_at_once(tmp_path: Path, root: Path) -> None:
    for number in range(200):
        (root / f"out/{number}").write_text(str(number))
    refs = []

    def keep(kind: str) -> None:
        copy = tmp_path / threading.current_thread().name
        subprocess.run(["cp", "-r", root, copy], check=True)
        refs.append(make(tmp_path / "cache", kind).keep(copy, "out", index()))

    threads = [threading.Thread(target=keep, args=(kind,)) for kind in (*LINKS, *LINKS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refs) == len(threads)
    assert len(set(refs)) == 1
    assert make(tmp_path / "cache").missing_objects(refs[0].digest) == []
    assert not list((tmp_path / "cache").rglob(".nbci-*"))


def test_a_file_that_is_written_all_the_time_is_never_kept_wrongly(tmp_path: Path) -> None:
    root, artifacts = tmp_path / "work", make(tmp_path / "cache")
    root.mkdir()
    (root / "log").write_bytes(os.urandom(4_000_000))
    ended = threading.Event()

    def write() -> None:
        source = random.Random(1)
        with (root / "log").open("r+b") as file:
            while not ended.is_set():
                file.seek(source.randrange(4_000_000 - 100))
                file.write(source.randbytes(100))
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        # On a busy machine the writer may not get to write while the file is read.
        refused = any(_is_refused_or_right(artifacts, root) for _ in range(50))
    finally:
        ended.set()
        writer.join()
    assert refused
    ref = artifacts.keep(root, "log", index())
    assert md5_of(artifacts.objects.path(ref.digest)) == ref.digest == md5_of(root / "log")


def _is_refused_or_right(artifacts: Artifacts, root: Path) -> bool:
    """Whether the changing file was refused; what is kept must be what its digest says."""
    try:
        ref = artifacts.keep(root, "log", index())
    except StepError as error:
        return "changes while it is read" in error.message
    assert md5_of(artifacts.objects.path(ref.digest)) == ref.digest
    return False


def test_a_file_that_changes_after_it_was_digested_is_not_kept_under_that_digest(
    tmp_path: Path, root: Path
) -> None:
    objects = Objects(tmp_path / "objects", ("copy",))
    digest = md5_of(root / "file")
    (root / "file").write_text("FILE")
    with pytest.raises(Altered):
        objects.add_file(digest, root / "file")
    assert [path for path in (tmp_path / "objects").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_linking_a_file_elsewhere_does_not_make_it_read_again(
    tmp_path: Path, root: Path, kind: str
) -> None:
    artifacts = make(tmp_path / "cache", kind)
    known = index(tmp_path / "index.json")
    ref = artifacts.keep(root, "file", known)
    old = time.time() - 100
    os.utime(artifacts.objects.path(ref.digest), (old, old))
    assert known.fingerprint(root, "file") == ref
    known.save()
    artifacts.restore(tmp_path / "other", ref, index())
    place = artifacts.objects.path(ref.digest)
    place.chmod(0o644)
    place.write_text("FILE")
    os.utime(place, (old, old))
    place.chmod(0o444)
    assert index(tmp_path / "index.json").fingerprint(root, "file") == ref


def test_the_cache_is_laid_out_as_dvcs(tmp_path: Path, root: Path) -> None:
    cache = Cache(tmp_path / "cache")
    ref = cache.artifacts.keep(root, "out", index())
    assert (cache.root / "files/md5" / ref.digest[:2] / ref.digest[2:]).is_file()
    assert ref.digest.endswith(".dir")
    assert cache.value_path("abcdef") == cache.root / "files/blake3/ab/cdef"
