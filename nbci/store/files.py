"""Files written so that a reader never sees half of one, and locks that a dead holder lets go."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from nbci.dot_nbci import lock_file
from nbci.errors import InfrastructureError, Location

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the disk (full, read-only, no permission) into InfrastructureErrors."""
    try:
        yield
    except OSError as error:
        raise InfrastructureError(
            f"cannot write: {error.strerror or error}",
            where=Location(str(path)),
            hint="free space or make the folder writable, then try again",
        ) from error


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace the file as a whole.

    InfrastructureError when the disk refuses; the old content then stands.
    """
    if isinstance(data, str):
        data = data.encode("utf-8", errors="surrogatepass")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder: a rename is atomic only within a file system.
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            # mkstemp lets only the owner read, and a CI serves reports as another user.
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def write_whole(file: FileIO, data: bytes) -> None:
    """Write all of it to an unbuffered file, which may take it in pieces."""
    while data:
        data = data[file.write(data) :]


def link_or_copy(source: Path, target: Path) -> None:
    """Put the file into a second place too: by a hard link where possible, else as a copy."""
    if target.exists():
        return
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        # Another process was quicker.
        except FileExistsError:
            return
        except OSError:
            shutil.copyfile(source, target)


def remove(path: Path) -> None:
    """Remove a file, link or folder; nothing happens when it is not there."""
    with disk_errors(path):
        # rmtree refuses a link, and what it leads to is not ours.
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def lock_path(folder: Path, name: str) -> Path:
    """The lock file, in that folder, of what has this name."""
    return folder / lock_file(name)


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """Take a lock, an exclusive one if it is not `shared`; None when somebody else holds it.

    The lock ends when the returned descriptor is closed, also by the holder's death. It is not
    inherited by children.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # The file stays: removing it would let two processes lock two files of one name.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    kind = fcntl.LOCK_EX
    if shared:
        kind = fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
