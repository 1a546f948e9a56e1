"""What git has checked out, read from its files: starting git costs more than a run with nothing to do.

Only whether something is staged needs git's object database: git is asked that once for each state of its index.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import struct
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
    """What a run's record has as its `GitState`; no dataclass, which a run with nothing to do would wait for."""

    commit: str | None
    branch: str | None
    dirty: bool


class _Entry(NamedTuple):
    """A file as the index has it; `times` of its inode's and its content's last change, in seconds and nanoseconds."""

    path: bytes
    times: tuple[int, int, int, int]
    mode: int
    size: int
    digest: bytes
    unmerged: bool
    watched: bool


class _Unreadable(Exception):
    """Git's files are in a form that only git reads."""


def read_checkout(root: Path, sources: Sequence[str] = (), made: Sequence[str] = ()) -> Checkout | None:
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
        entries = _index(folder / "index", 32 if _SHA256.search(_read(common / "config")) else _SHA1_BYTES)
        written_ns = os.stat(folder / "index").st_mtime_ns if entries else 0
        names = {os.fsencode(os.path.normpath(os.path.join(here, path))) for path in sources}
        differs = not names <= {entry.path for entry in entries} or any(
            _differs(top, entry, written_ns) for entry in entries if not _lies_in(entry.path, out_of_count)
        )
    except (_Unreadable, OSError, ValueError, struct.error, IndexError):
        return _asked(root, made)
    if not differs:
        differs = bool(entries) if commit is None else _is_staged(root, folder / "index", commit, made)
    return Checkout(commit=commit, branch=branch, dirty=differs)


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
            common = place / shared.read_text(encoding="utf-8").strip() if shared.exists() else place
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


def _differs(top: Path, entry: _Entry, index_written_ns: int) -> bool:
    """Whether the file is another than the index has; read only where the file system does not tell."""
    if entry.unmerged or not entry.watched:
        return entry.unmerged
    place = Path(top, os.fsdecode(entry.path))
    if entry.mode == _GITLINK:
        return _is_elsewhere(place, entry.digest.hex())
    try:
        found = place.lstat()
        kind, runs = stat.S_IFMT(found.st_mode), bool(found.st_mode & stat.S_IXUSR)
        if kind != stat.S_IFMT(entry.mode) or (kind == stat.S_IFREG and runs != bool(entry.mode & stat.S_IXUSR)):
            return True
        times = (*divmod(found.st_ctime_ns, _SECOND_NS), *divmod(found.st_mtime_ns, _SECOND_NS))
        same = times == entry.times and found.st_size & 0xFFFFFFFF == entry.size
        if same and found.st_mtime_ns < index_written_ns:
            return False
        content = os.fsencode(place.readlink()) if kind == stat.S_IFLNK else place.read_bytes()
    except OSError:
        return True
    digest = hashlib.sha1(usedforsecurity=False) if len(entry.digest) == _SHA1_BYTES else hashlib.sha256()
    digest.update(b"blob %d\0" % len(content) + content)
    return digest.digest() != entry.digest


def _is_elsewhere(submodule: Path, commit: str) -> bool:
    """Whether a submodule that was fetched is at another commit."""
    found = _git_folders(submodule)
    return found is not None and found[0] == submodule and _head(found[1], found[2])[0] != commit


def _is_staged(root: Path, index: Path, commit: str, made: Sequence[str]) -> bool:
    """Whether the index differs from the commit: as git said when it was asked about this state of the index."""
    memory = root / ".nbci" / "state" / "git.json"
    found = os.stat(index) if index.exists() else None
    times = [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns] if found is not None else []
    state = [commit, times, list(made)]
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        remembered = json.loads(memory.read_bytes())
        if remembered["state"] == state:
            return bool(remembered["staged"])
    staged = _git(root, "diff-index", "--cached", "--quiet", "HEAD", paths=[":/", *_excluded(made)]) is None
    with contextlib.suppress(OSError):  # in a project that cannot be written git is asked again next time
        if (root / ".nbci").is_dir():
            memory.parent.mkdir(exist_ok=True)
            temporary = memory.with_name(f".{memory.name}.{os.getpid()}")
            temporary.write_text(json.dumps({"state": state, "staged": staged}), encoding="utf-8")
            temporary.replace(memory)
    return staged


def _asked(root: Path, made: Sequence[str]) -> Checkout | None:
    """The same from git itself."""
    status = _git(root, "status", "--porcelain", "--untracked-files=no", paths=[":/", *_excluded(made)])
    if status is None:
        return None
    commit = _git(root, "rev-parse", "--verify", "-q", "HEAD")
    branch = _git(root, "symbolic-ref", "--short", "-q", "HEAD")
    return Checkout(commit=commit or None, branch=branch or None, dirty=bool(status))


def _excluded(made: Sequence[str]) -> list[str]:
    return [f":(exclude,literal){path}" for path in made]


def _git(root: Path, *words: str, paths: Sequence[str] = ()) -> str | None:
    import subprocess

    from nbci.commands import git_command

    try:
        answer = subprocess.run(
            git_command(root, words, paths=paths),
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_SECONDS,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
