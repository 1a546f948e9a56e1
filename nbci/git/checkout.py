"""What git has checked out, read from its files.

Starting git costs more than a run with nothing to do may take. Git itself is asked whether
something is staged, and of every file that the file system does not show to be as the index has it:
only git applies filters, ends of lines and modes. Its answer is remembered for that state.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import struct
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nbci.dot_nbci import NBCI_FOLDER, STATE_FOLDER
from nbci.file_state import file_signature
from nbci.git.index_file import GITLINK, Entry, Unreadable, parse_index

if TYPE_CHECKING:
    from collections.abc import Sequence

_GIT_TIMEOUT_SECONDS = 20
# Git follows no more symbolic references either: SYMREF_MAXDEPTH of its refs.c.
_MOST_LINKS = 5
_SHA1_BYTES = 20
_SHA256_BYTES = 32
_SECOND_NS = 10**9
_SHA256 = re.compile(rb"^\s*objectformat\s*=\s*sha256\s*$", re.IGNORECASE | re.MULTILINE)


class Checkout(NamedTuple):
    """What a run's record has as its `GitState`.

    A NamedTuple: importing dataclasses takes time that a run with nothing to do does not have.
    """

    commit: str | None
    branch: str | None
    dirty: bool
    problem: str | None = None
    """Why git could not say whether it is dirty; it counts as dirty then."""


class _Doubt(NamedTuple):
    """A file that may differ, by its path in hexadecimal.

    `found` is what the file system says of it; empty for a submodule.
    """

    path: str
    found: tuple[int, ...]


class _Answer(NamedTuple):
    dirty: bool
    problem: str | None = None


class _Ended(NamedTuple):
    """How git ended (-1: not at all), what it printed, and what it complained of."""

    status: int
    printed: str
    problem: str


def is_in_repository(folder: Path) -> bool:
    """Whether there is a `.git` in the folder or above; git itself is not asked."""
    return any((place / ".git").exists() for place in (folder, *folder.parents))


def read_checkout(
    root: Path, sources: Sequence[str] = (), made: Sequence[str] = ()
) -> Checkout | None:
    """The state of the repository around `root`; None without one. Paths are relative to `root`.

    It is dirty also when one of `sources` is not tracked; what lies in `made` does not count.
    """
    place = _find_repository(root)
    if place is None:
        return None
    name_in_index = partial(_name_in_index, os.path.relpath(root, place.top))
    try:
        commit, branch = _head(place)
        entries = _entries(place)
        counted = _counting_entries(entries, list(map(name_in_index, made)))
        tracked = {entry.path for entry in entries}
        is_known_dirty = not tracked.issuperset(map(name_in_index, sources))
        is_known_dirty |= any(entry.unmerged for entry in counted)
        doubts = _doubts(place, counted)
    except (Unreadable, OSError, ValueError, struct.error, IndexError):
        return _ask_all(root, made)
    if is_known_dirty or commit is None:
        return Checkout(commit=commit, branch=branch, dirty=is_known_dirty or bool(entries))
    answer = _compare(root, place, commit, made, doubts)
    return Checkout(commit=commit, branch=branch, dirty=answer.dirty, problem=answer.problem)


def _name_in_index(here: str, path: str) -> bytes:
    """The name that the index has for a path of the project."""
    return os.fsencode(os.path.normpath(os.path.join(here, path)))


def _entries(place: _Place) -> list[Entry]:
    digest_bytes = _SHA1_BYTES
    if _SHA256.search(_read_or_empty(place.common / "config")):
        digest_bytes = _SHA256_BYTES
    return parse_index(_read_or_empty(place.folder / "index"), digest_bytes)


def _counting_entries(entries: Sequence[Entry], out_of_count: Sequence[bytes]) -> list[Entry]:
    """The entries of what a change counts of."""
    if not out_of_count:
        return list(entries)
    return [entry for entry in entries if not _lies_in(entry.path, out_of_count)]


def _doubts(place: _Place, entries: Sequence[Entry]) -> list[_Doubt]:
    if not entries:
        return []
    written_ns = os.stat(place.folder / "index").st_mtime_ns
    doubts = []
    for entry in entries:
        doubt = _doubt(place.top, entry, written_ns)
        if doubt is not None:
            doubts.append(doubt)
    return doubts


def _lies_in(path: bytes, places: Sequence[bytes]) -> bool:
    return any(path == place or path.startswith(place + b"/") for place in places)


class _Place(NamedTuple):
    """The top of the working tree, its git folder, and the folder that worktrees share."""

    top: Path
    folder: Path
    common: Path


def _find_repository(root: Path) -> _Place | None:
    for top in (root, *root.parents):
        folder = top / ".git"
        # In a worktree or a submodule, .git is a file:
        # https://git-scm.com/docs/gitrepository-layout
        if folder.is_file():
            text = folder.read_text(encoding="utf-8", errors="surrogateescape")
            folder = top / text.removeprefix("gitdir:").strip()
        if not (folder / "HEAD").exists():
            continue
        shared = folder / "commondir"
        common = folder
        if shared.exists():
            common = folder / shared.read_text(encoding="utf-8").strip()
        return _Place(top, folder, common)
    return None


def _head(place: _Place) -> tuple[str | None, str | None]:
    """The commit and the branch; no commit yet, or no branch when HEAD is detached."""
    text = _read_or_empty(place.folder / "HEAD").decode().strip()
    branch = None
    if text.startswith("ref: refs/heads/"):
        branch = text.removeprefix("ref: refs/heads/")
    # The reftable format has this in HEAD, and references in tables of its own:
    # https://git-scm.com/docs/reftable
    if branch == ".invalid":
        raise Unreadable
    for _ in range(_MOST_LINKS):
        if not text.startswith("ref:"):
            return text, branch
        name = text.removeprefix("ref:").strip()
        loose = place.common / name
        if not loose.is_file():
            return _packed_commit(place.common, name), branch
        text = _read_or_empty(loose).decode().strip()
    raise Unreadable


def _packed_commit(common: Path, name: str) -> str | None:
    packed = _read_or_empty(common / "packed-refs").decode(errors="surrogateescape")
    for line in packed.splitlines():
        commit, _, reference = line.partition(" ")
        if reference == name:
            return commit
    return None


def _read_or_empty(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _doubt(top: Path, entry: Entry, index_written_ns: int) -> _Doubt | None:
    """A file that may be another than the index has; None where it is surely the same.

    Filters, ends of lines, file modes that do not count: only git tells what another content comes
    to.
    """
    if not entry.watched:
        return None
    path = Path(top, os.fsdecode(entry.path))
    name = entry.path.hex()
    if entry.mode == GITLINK:
        submodule = _find_repository(path)
        if submodule is None or submodule.top != path:
            return None
        return _Doubt(name, ())
    try:
        now = path.lstat()
    except OSError:
        return _Doubt(name, (0,))
    # A file written in the instant in which the index was may differ under the same times:
    # https://git-scm.com/docs/racy-git
    if _is_as_indexed(now, entry) and now.st_mtime_ns < index_written_ns:
        return None
    return _Doubt(name, (now.st_ino, now.st_mode, now.st_size, now.st_mtime_ns, now.st_ctime_ns))


def _is_as_indexed(now: os.stat_result, entry: Entry) -> bool:
    """Whether type, mode, times and size are those of the index."""
    if stat.S_IFMT(now.st_mode) != stat.S_IFMT(entry.mode):
        return False
    # Of a file's mode, git knows only whether its owner may execute it; of a link's, nothing.
    if not stat.S_ISLNK(now.st_mode) and (now.st_mode ^ entry.mode) & stat.S_IXUSR:
        return False
    times = (*divmod(now.st_ctime_ns, _SECOND_NS), *divmod(now.st_mtime_ns, _SECOND_NS))
    return times == entry.times and now.st_size & 0xFFFFFFFF == entry.size


def _compare(
    root: Path, place: _Place, commit: str, made: Sequence[str], doubts: Sequence[_Doubt]
) -> _Answer:
    """Whether anything differs from the commit: git's answer, or the last one to the same state."""
    # The files of git's that its answer depends on.
    settings = (
        place.folder / "index",
        place.common / "config",
        place.common / "info/attributes",
    )
    signatures = list(map(file_signature, settings))
    state = [commit, signatures, list(made), list(map(list, doubts))]
    # Through JSON, as what was remembered: tuples come back as lists.
    known = json.loads(json.dumps(state))
    memory = root / STATE_FOLDER / "git.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        remembered = json.loads(memory.read_bytes())
        if remembered["state"] == known:
            return _Answer(bool(remembered["dirty"]))

    answer = _ask(root, made, whole=bool(doubts))
    if answer.problem is None and _is_settled(doubts) and (root / NBCI_FOLDER).is_dir():
        # In a project that cannot be written, git is asked again the next time.
        with contextlib.suppress(OSError):
            _remember(memory, {"state": known, "dirty": answer.dirty})
    return answer


def _remember(memory: Path, document: dict[str, object]) -> None:
    """Replace the file whole; `store.files` does the same, and takes too long to import."""
    memory.parent.mkdir(exist_ok=True)
    temporary = memory.with_name(f".{memory.name}.{os.getpid()}")
    temporary.write_text(json.dumps(document), encoding="utf-8")
    temporary.replace(memory)


def _is_settled(doubts: Sequence[_Doubt]) -> bool:
    """Whether all that was in doubt would show that it changes again; a submodule never does."""
    latest = time.time_ns() - _SECOND_NS
    return all(doubt.found and max(doubt.found[-2:]) < latest for doubt in doubts)


def _ask(root: Path, made: Sequence[str], *, whole: bool) -> _Answer:
    """Git's answer for the whole working tree, or only for what is staged."""
    # Imported here: most runs with nothing to do need no process.
    from nbci.git.process import paths_without

    paths = paths_without(made)
    if whole:
        asked = _run_git(root, "status", "--porcelain=v2", "--untracked-files=no", paths=paths)
        if asked.status == 0:
            return _Answer(bool(asked.printed))
    else:
        asked = _run_git(root, "diff-index", "--cached", "--quiet", "HEAD", paths=paths)
        if asked.status in (0, 1):
            return _Answer(asked.status == 1)
    return _Answer(True, asked.problem)


def _ask_all(root: Path, made: Sequence[str]) -> Checkout | None:
    """The state from git itself; None where it can tell neither state nor commit."""
    answer = _ask(root, made, whole=True)
    commit = _run_git(root, "rev-parse", "--verify", "-q", "HEAD")
    branch = _run_git(root, "symbolic-ref", "--short", "-q", "HEAD")
    if answer.problem is not None and commit.status != 0:
        return None
    return Checkout(
        commit=commit.printed or None,
        branch=branch.printed or None,
        dirty=answer.dirty,
        problem=answer.problem,
    )


def _run_git(root: Path, *words: str, paths: Sequence[str] = ()) -> _Ended:
    """Run git for at most 20 s: a run does not wait longer to know whether it is dirty."""
    import subprocess

    from nbci.git.process import run_git

    try:
        answer = run_git(root, words, paths=paths, timeout_seconds=_GIT_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return _Ended(-1, "", str(error))
    printed = answer.stdout.decode("utf-8", "replace").strip()
    problem, _, _ = answer.stderr.decode("utf-8", "replace").strip().partition("\n")
    return _Ended(answer.returncode, printed, problem)
