"""What git has checked out, read from its files: starting git costs more than a run with nothing to
do.

Git itself is asked whether something is staged, and of every file that the file system does not
show to be as the index has it: filters, ends of lines and modes are its own affair. What it said is
remembered for that state of things.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GIT_TIMEOUT_SECONDS = 20
_MOST_LINKS = 5
_SHA1_BYTES = 20
_SECOND_NS = 10**9
_SHA256 = re.compile(rb"^\s*objectformat\s*=\s*sha256\s*$", re.IGNORECASE | re.MULTILINE)
_HEADER = struct.Struct(">4sLL")
_STAT = struct.Struct(">LLLLLLLLLL")
_GITLINK = 0o160000
_SKIPPED = 0x4000
_EXTENDED = 0x4000
_ASSUMED = 0x8000
_STAGE = 0x3000


class Checkout(NamedTuple):
    """What a run's record has as its `GitState`; no dataclass, which a run with nothing to do would
    wait for.
    """

    commit: str | None
    branch: str | None
    dirty: bool
    problem: str | None = None
    """Why git could not say whether it is dirty; it counts as dirty then."""


class _Doubt(NamedTuple):
    """A file that may differ, by its path in hexadecimal, and what the file system says of it (not
    of a submodule).
    """

    path: str
    found: tuple[int, ...]


class _Answer(NamedTuple):
    dirty: bool
    problem: str | None = None


class _Said(NamedTuple):
    """How git ended (-1: not at all), what it printed, and what it complained of."""

    status: int
    said: str
    problem: str


class _Entry(NamedTuple):
    """A file as the index has it; `times` of its inode's and its content's last change, in seconds
    and nanoseconds.
    """

    path: bytes
    times: tuple[int, int, int, int]
    mode: int
    size: int
    digest: bytes
    unmerged: bool
    watched: bool


class _Unreadable(Exception):
    """Git's files are in a form that only git reads."""


def read_checkout(
    root: Path, sources: Sequence[str] = (), made: Sequence[str] = ()
) -> Checkout | None:
    """The state of the repository around `root`; None without one. Paths are relative to `root`.

    It is dirty also when one of `sources` is not tracked; what lies in `made` does not count.
    """
    found = _git_folders(root)
    if found is None:
        return None
    top, folder, common = found
    here = os.path.relpath(root, top)
    out_of_count = [os.fsencode(os.path.normpath(os.path.join(here, path))) for path in made]
    try:
        commit, branch = _head(folder, common)
        entries = _index(
            folder / "index", 32 if _SHA256.search(_read(common / "config")) else _SHA1_BYTES
        )
        written_ns = os.stat(folder / "index").st_mtime_ns if entries else 0
        counted = [entry for entry in entries if not _lies_in(entry.path, out_of_count)]
        names = {os.fsencode(os.path.normpath(os.path.join(here, path))) for path in sources}
        is_known_dirty = not names <= {entry.path for entry in entries} or any(
            entry.unmerged for entry in counted
        )
        doubts = [
            doubt for entry in counted if (doubt := _doubt(top, entry, written_ns)) is not None
        ]
    except (_Unreadable, OSError, ValueError, struct.error, IndexError):
        return _asked(root, made)
    if is_known_dirty or commit is None:
        return Checkout(commit=commit, branch=branch, dirty=is_known_dirty or bool(entries))
    answer = _differs(
        root,
        [folder / "index", common / "config", common / "info/attributes"],
        commit,
        made,
        doubts,
    )
    return Checkout(commit=commit, branch=branch, dirty=answer.dirty, problem=answer.problem)


def _lies_in(path: bytes, places: Sequence[bytes]) -> bool:
    return any(path == place or path.startswith(place + b"/") for place in places)


def _git_folders(root: Path) -> tuple[Path, Path, Path] | None:
    """The top of the working tree, its git folder, and the folder that worktrees share."""
    for top in (root, *root.parents):
        place = top / ".git"
        if place.is_file():  # a worktree or a submodule
            text = place.read_text(encoding="utf-8", errors="surrogateescape")
            place = top / text.removeprefix("gitdir:").strip()
        if (place / "HEAD").exists():
            shared = place / "commondir"
            common = (
                place / shared.read_text(encoding="utf-8").strip() if shared.exists() else place
            )
            return top, place, common
    return None


def _head(folder: Path, common: Path) -> tuple[str | None, str | None]:
    """The commit and the branch; no commit yet, or no branch when HEAD is detached."""
    text = _read(folder / "HEAD").decode().strip()
    branch = text.removeprefix("ref: refs/heads/") if text.startswith("ref: refs/heads/") else None
    if branch == ".invalid":  # references are in tables of their own
        raise _Unreadable
    for _ in range(_MOST_LINKS):
        if not text.startswith("ref:"):
            return text, branch
        name = text.removeprefix("ref:").strip()
        place = common / name
        if place.is_file():
            text = _read(place).decode().strip()
        else:
            return _packed(common, name), branch
    raise _Unreadable


def _packed(common: Path, name: str) -> str | None:
    for line in _read(common / "packed-refs").decode(errors="surrogateescape").splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name:
            return commit
    return None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _index(path: Path, digest_bytes: int) -> list[_Entry]:
    data = _read(path)
    if not data:
        return []
    magic, version, count = _HEADER.unpack_from(data)
    if magic != b"DIRC" or version not in (2, 3, 4):
        raise _Unreadable
    entries, at, name = [], _HEADER.size, b""
    for _ in range(count):
        start, numbers = at, _STAT.unpack_from(data, at)
        at += _STAT.size
        digest = data[at : at + digest_bytes]
        (flags,) = struct.unpack_from(">H", data, at + digest_bytes)
        at += digest_bytes + 2
        more = 0
        if version >= 3 and flags & _EXTENDED:
            (more,) = struct.unpack_from(">H", data, at)
            at += 2
        if version == 4:
            cut, at = _number(data, at)
            name = name[: len(name) - cut]
        end = data.index(b"\0", at)
        name = (name if version == 4 else b"") + data[at:end]
        at = end + 1 if version == 4 else start + (end - start + 8) // 8 * 8
        entries.append(
            _Entry(
                path=name,
                times=numbers[:4],
                mode=numbers[6],
                size=numbers[9],
                digest=digest,
                unmerged=bool(flags & _STAGE),
                watched=not (flags & _ASSUMED or more & _SKIPPED),
            )
        )
    if any(signature in (b"link", b"sdir") for signature in _extensions(data, at, digest_bytes)):
        raise _Unreadable
    return entries


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, as git packs it, and where it ends."""
    value = data[at] & 127
    while data[at] & 128:
        at += 1
        value = ((value + 1) << 7) | (data[at] & 127)
    return value, at + 1


def _extensions(data: bytes, at: int, digest_bytes: int) -> Iterator[bytes]:
    while at + 8 <= len(data) - digest_bytes:
        yield data[at : at + 4]
        (size,) = struct.unpack_from(">L", data, at + 4)
        at += 8 + size


def _doubt(top: Path, entry: _Entry, index_written_ns: int) -> _Doubt | None:
    """What the file system says of a file that may be another than the index has; None where it is
    surely the same.

    Filters, ends of lines, file modes that do not count: only git tells what another content comes
    to.
    """
    if not entry.watched:
        return None
    place = Path(top, os.fsdecode(entry.path))
    if entry.mode == _GITLINK:
        found = _git_folders(place)
        return _Doubt(entry.path.hex(), ()) if found is not None and found[0] == place else None
    try:
        now = place.lstat()
    except OSError:
        return _Doubt(entry.path.hex(), (0,))
    times = (*divmod(now.st_ctime_ns, _SECOND_NS), *divmod(now.st_mtime_ns, _SECOND_NS))
    same_kind = stat.S_IFMT(now.st_mode) == stat.S_IFMT(entry.mode)
    same_mode = same_kind and (
        stat.S_ISLNK(now.st_mode) or not (now.st_mode ^ entry.mode) & stat.S_IXUSR
    )
    same = same_mode and times == entry.times and now.st_size & 0xFFFFFFFF == entry.size
    if same and now.st_mtime_ns < index_written_ns:
        return None
    return _Doubt(
        entry.path.hex(), (now.st_ino, now.st_mode, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
    )


def _differs(
    root: Path, settings: Sequence[Path], commit: str, made: Sequence[str], doubts: Sequence[_Doubt]
) -> _Answer:
    """Whether anything differs from the commit: as git said when it was asked about this state of
    things.

    `settings` are files of git's that its answer depends on, the index first.
    """
    memory = root / ".nbci" / "state" / "git.json"
    state = [
        commit,
        [_signature(path) for path in settings],
        list(made),
        [list(doubt) for doubt in doubts],
    ]
    known = json.loads(json.dumps(state))
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        remembered = json.loads(memory.read_bytes())
        if remembered["state"] == known:
            return _Answer(bool(remembered["dirty"]))
    answer = _answer_of_git(root, made, bool(doubts))
    if answer.problem is None and _is_settled(doubts):
        with contextlib.suppress(
            OSError
        ):  # in a project that cannot be written git is asked again next time
            if (root / ".nbci").is_dir():
                memory.parent.mkdir(exist_ok=True)
                temporary = memory.with_name(f".{memory.name}.{os.getpid()}")
                temporary.write_text(
                    json.dumps({"state": known, "dirty": answer.dirty}), encoding="utf-8"
                )
                temporary.replace(memory)
    return answer


def _signature(path: Path) -> list[int]:
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _is_settled(doubts: Sequence[_Doubt]) -> bool:
    """Whether all that was in doubt would show that it changes again; a submodule never does."""
    latest = time.time_ns() - _SECOND_NS
    return all(doubt.found and max(doubt.found[-2:]) < latest for doubt in doubts)


def _answer_of_git(root: Path, made: Sequence[str], whole: bool) -> _Answer:
    """Git's own word: of the whole working tree, or only of what is staged."""
    paths = [":/", *_excluded(made)]
    if whole:
        asked = _git(root, "status", "--porcelain=v2", "--untracked-files=no", paths=paths)
        return _Answer(bool(asked.said)) if asked.status == 0 else _Answer(True, asked.problem)
    asked = _git(root, "diff-index", "--cached", "--quiet", "HEAD", paths=paths)
    return _Answer(asked.status == 1) if asked.status in (0, 1) else _Answer(True, asked.problem)


def _asked(root: Path, made: Sequence[str]) -> Checkout | None:
    """The same from git itself; None where it has no word for it."""
    answer = _answer_of_git(root, made, whole=True)
    commit = _git(root, "rev-parse", "--verify", "-q", "HEAD")
    branch = _git(root, "symbolic-ref", "--short", "-q", "HEAD")
    if answer.problem is not None and commit.status != 0:
        return None
    return Checkout(
        commit=commit.said or None,
        branch=branch.said or None,
        dirty=answer.dirty,
        problem=answer.problem,
    )


def _excluded(made: Sequence[str]) -> list[str]:
    return [f":(exclude,literal){path}" for path in made]


def _git(root: Path, *words: str, paths: Sequence[str] = ()) -> _Said:
    import subprocess

    from nbci.commands import git_command, without_lfs

    try:
        answer = subprocess.run(
            git_command(root, words, paths=paths),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_GIT_TIMEOUT_SECONDS,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **without_lfs(os.environ)},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _Said(-1, "", str(error))
    return _Said(answer.returncode, answer.stdout.strip(), answer.stderr.strip().partition("\n")[0])
