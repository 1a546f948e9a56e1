"""Keep the Python environments made from lock files: find them by key, remove the unused."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sysconfig
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.store.files import disk_errors, remove, try_lock, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

_MADE = "made.json"
_INCLUDES = ("-r", "--requirement", "-c", "--constraint")
_ARCHIVES = (".whl", ".tar.gz", ".zip")
_PLACES = ("-e", "--editable", "-f", "--find-links")


def lock_files(root: Path, name: str) -> tuple[Path, ...]:
    """The lock file, the files that it includes, and the archives that it names.

    As far as they are on this machine.
    """
    found: dict[Path, None] = {}
    waiting = [root / name]
    while waiting:
        path = waiting.pop(0)
        # Files may include each other.
        if path in found:
            continue
        found[path] = None
        for option, value in _entries(path):
            # What lies at a URL is not known before it is fetched; a lock file should not name one.
            if option in _INCLUDES and "://" not in value:
                waiting.append(path.parent / value)
            elif option == "" and (root / value).is_file():
                found[root / value] = None
    return tuple(found)


def environment_key(root: Path, name: str) -> str:
    """The key of an environment: its lock file's content, the Python, the platform.

    Where the lock names folders, it also counts where these are, and the archives in them. Raises
    OSError when the lock cannot be read.
    """
    facts = [platform.python_implementation(), platform.python_version(), sysconfig.get_platform()]
    for path in lock_files(root, name):
        facts.append(_digest(path.read_bytes()))
        for option, value in _entries(path):
            if option in ("", *_PLACES) and "://" not in value and (root / value).is_dir():
                facts += [str((root / value).resolve()), *_archives(root / value)]
    return _digest(json.dumps(facts).encode())


def _archives(folder: Path) -> list[str]:
    """The wheels and source archives that lie in it, with their digests."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.endswith(_ARCHIVES):
            found.append(f"{path.name} {_digest(path.read_bytes())}")
    return found


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a requirements file: an option with its value, or '' with a requirement."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    # Hashes stand on lines of their own, each behind a backslash.
    for line in text.replace("\\\n", " ").splitlines():
        words = line.split()
        # `--find-links=DIR` is the same as `--find-links DIR`.
        if line.startswith("-"):
            words = line.partition(" #")[0].replace("=", " ", 1).split()
        if not words or words[0].startswith("#"):
            continue
        if not words[0].startswith("-"):
            yield "", words[0]
        elif len(words) == 1:
            yield words[0], ""
        else:
            yield words[0], words[1]


class Environments:
    """A folder of environments. What no `made.json` names is never used."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, key: str) -> Path | None:
        """The complete environment of that key.

        None when there is none whose Python still exists.
        """
        try:
            name = json.loads((self.root / key / _MADE).read_bytes())["folder"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        # The interpreter that it was made of may have been removed or replaced since.
        folder = self.root / key / str(name)
        if not interpreter_of(folder).exists():
            return None
        return folder

    def try_hold(self, key: str, *, alone: bool) -> int | None:
        """Hold the environment so that it stays, or `alone`, to make or remove it.

        None while others hold it.
        """
        return try_lock(self.root / "locks" / key, shared=not alone)

    def begin(self, key: str) -> Path:
        """A new folder to make the environment in, which the caller holds alone.

        What others left unfinished is removed.
        """
        place = self.root / key
        with disk_errors(place):
            place.mkdir(parents=True, exist_ok=True)
            (place / _MADE).unlink(missing_ok=True)
            for unfinished in place.iterdir():
                # An installer that outlived its nbci may still write there.
                shutil.rmtree(unfinished, ignore_errors=True)
            return Path(tempfile.mkdtemp(dir=place, prefix="env-"))

    def complete(self, key: str, folder: Path, lock: str) -> None:
        """Let the environment be found from now on."""
        # The last thing written: an installation that was cut off has no such file.
        write_atomic(self.root / key / _MADE, json.dumps({"folder": folder.name, "lock": lock}))

    def mark_used(self, key: str) -> None:
        """Note that it was used just now."""
        with suppress(OSError):
            os.utime(self.root / key / _MADE)

    def find_unused(self, before: float) -> tuple[Path, ...]:
        """Those that were last made or used before that time, and that nobody holds."""
        found = []
        for place in sorted(self.root.glob("*")):
            if place.name != "locks" and _last_used(place) < before:
                # A step that runs in it holds it, however long ago it was made.
                descriptor = self.try_hold(place.name, alone=True)
                if descriptor is not None:
                    os.close(descriptor)
                    found.append(place)
        return tuple(found)

    def remove_unused(self, before: float) -> None:
        """Remove those that `find_unused` finds."""
        for place in self.find_unused(before):
            descriptor = self.try_hold(place.name, alone=True)
            if descriptor is None:
                continue
            try:
                if _last_used(place) < before:
                    with disk_errors(place):
                        (place / _MADE).unlink(missing_ok=True)
                    remove(place)
            finally:
                os.close(descriptor)


def interpreter_of(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / "bin" / "python"


def _last_used(place: Path) -> float:
    for path in (place / _MADE, place):
        with suppress(OSError):
            return path.lstat().st_ctime
    return 0.0
