"""Files of the project that are opened by code in which Python sees nothing.

Such code is in libraries and child processes.

Linux reports them through inotify, to each process that may read the folders
(https://man7.org/linux/man-pages/man7/inotify.7.html). It does not tell who opened a file, so what
is opened counts for every step that runs at that time, but for what another one has claimed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from msgspec import Struct, field

from nbci.engine.observed.states import OF_TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_OPEN, _MODIFY, _CREATE, _MOVED_TO = 0x20, 0x2, 0x100, 0x80
_MASK = _OPEN | _MODIFY | _CREATE | _MOVED_TO
_IS_FOLDER, _OVERFLOW = 0x40000000, 0x4000
_EVENT = struct.Struct("iIII")
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC  # IN_NONBLOCK and IN_CLOEXEC are the same numbers
_READ_BYTES = 1 << 16
_NO_WATCH = -1
_OF_TOOLS = frozenset(map(os.fsencode, OF_TOOLS))
_LONGEST_SECONDS = 3.0
"""To find all folders; a project in which that takes longer is not watched to its end."""
_LEAF_LINKS = 2
"""Links to a folder without folders, where the file system counts them: itself and its own `.`."""


class Window(Struct):
    """What was opened while a step ran.

    Files that were made in that time are left out; they are in `written`.

    `outs` are the paths that the step declares to make; `claimed` is what other steps said they had
    opened meanwhile, or declared to make; what happened is not known in full when it is `lost`.
    """

    outs: tuple[str, ...] = ()

    read: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)
    lost: bool = False


class Opens:
    """Watches the folders of a project from `start` to `close`.

    `trouble` says why not all of them can be watched.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.fsencode(root)
        self.trouble: str | None = None
        self._folders: dict[int, bytes] = {}
        self._windows: list[Window] = []
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._descriptor = -1
        self._wake: tuple[int, int] | None = None
        self._is_started = False

    def start(self) -> None:
        """Begin, in a thread of its own: kernels take longer to start than folders to be found."""
        if self._is_started:
            return
        self._is_started = True
        if not sys.platform.startswith("linux"):
            self.trouble = f"{sys.platform} does not tell which files are opened"
            self._ready.set()
            return
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(_FLAGS)
        if self._descriptor < 0:
            self.trouble = f"the system gives no inotify: {os.strerror(ctypes.get_errno())}"
            self._ready.set()
            return
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._watch, name="nbci-opens", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and let go of the watches."""
        if self._thread is not None and self._wake is not None:
            # select() does not notice that a descriptor is closed; a byte in the pipe ends it.
            os.write(self._wake[1], b"x")
            self._thread.join()
            for descriptor in (*self._wake, self._descriptor):
                os.close(descriptor)
            self._thread = None

    def begin(self, more: Iterable[str] = (), outs: Iterable[str] = ()) -> Window:
        """Begin to watch for a step; returns once everything is watched.

        `more` are paths outside the project that the step may open.

        `outs` are the paths that it declares to make, which no step that runs meanwhile can be said
        to have written.
        """
        # Begun before the folders are watched, a step could open a file unseen.
        self._ready.wait()
        for path in more:
            self._add_elsewhere(path)
        # What happened before the step began must not count for it.
        self._drain()
        window = Window(outs=tuple(outs))
        with self._lock:
            self._windows.append(window)
        return window

    def end(self, window: Window, claimed: Iterable[str] = ()) -> None:
        """Until now; `claimed` are files that the step reported itself: they count for no other."""
        # The thread may not have read yet what the step did last.
        self._drain()
        with self._lock:
            # By identity: two windows in which nothing was opened yet are equal.
            self._windows = [other for other in self._windows if other is not window]
            for other in self._windows:
                other.claimed.update(claimed, _made_by(window, other))
                window.claimed.update(_made_by(other, window))

    def _watch(self) -> None:
        try:
            leaves = self._add_tree(self._root, time.monotonic() + _LONGEST_SECONDS)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to
            # Said first: a watch that is not whole must not pass for one.
            self.trouble = f"its folders could not be watched: {error}"
            return
        finally:
            self._ready.set()
        # Links in leaves are found late, so that steps need not wait for a listing of each leaf.
        for folder in leaves:
            self._add_links(folder)
        wake = -1
        if self._wake is not None:
            wake = self._wake[0]
        while wake not in select.select([self._descriptor, wake], [], [])[0]:
            self._drain()

    def _add_tree(self, top: bytes, until: float) -> list[bytes]:
        """Watch a folder and all folders below it.

        Returns the folders without subfolders, as far as the file system tells that quickly.

        Each costs two system calls. A folder that is reached again, through a link, gives the watch
        that it has.
        """
        watch = self._add(top)
        if watch == _NO_WATCH:
            return []
        leaves: list[bytes] = []
        waiting = [top]
        seen = {watch, _NO_WATCH}
        while waiting:
            folder = waiting.pop()
            with suppress(OSError), _open_folder(folder) as descriptor:
                for entry in self._below(folder):
                    watch = self._watch_for(entry.path)
                    if watch in seen:
                        continue
                    seen.add(watch)
                    self._folders[watch] = entry.path
                    # Only now: a folder that is made in it from here on causes an event.
                    if _links(entry.name, descriptor) == _LEAF_LINKS:
                        leaves.append(entry.path)
                    else:
                        waiting.append(entry.path)
                    if time.monotonic() > until:
                        self.trouble = "it has too many folders to watch them all"
                        return leaves
        return leaves

    def _below(self, folder: bytes) -> Iterator[os.DirEntry[bytes]]:
        """The folders in it, also those reached through links.

        Links to files are watched, since the files lie elsewhere.
        """
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError:
            return
        # An environment: its packages count by their versions.
        if b"pyvenv.cfg" in [entry.name for entry in entries]:
            return
        for entry in entries:
            if entry.name in _OF_TOOLS:
                continue
            if _is_folder(entry):
                yield entry
            elif entry.is_symlink():
                self._add(entry.path)

    def _add_links(self, folder: bytes) -> None:
        for _ in self._below(folder):
            pass

    def _add_elsewhere(self, path: str) -> None:
        if os.path.isdir(path):
            self._add_tree(os.fsencode(path), time.monotonic() + 1.0)
        elif os.path.isfile(path):
            self._add(os.fsencode(path))

    def _add(self, path: bytes) -> int:
        watch = self._watch_for(path)
        if watch != _NO_WATCH:
            self._folders[watch] = path
        return watch

    def _watch_for(self, path: bytes) -> int:
        """Watch what lies there; returns the number of the watch, or `_NO_WATCH`.

        The number is the same for every path that leads to the same place.
        """
        watch: int = self._libc.inotify_add_watch(self._descriptor, path, _MASK)
        if watch == _NO_WATCH and ctypes.get_errno() == errno.ENOSPC:
            self.trouble = "the system allows no more watches (fs.inotify.max_user_watches)"
        return watch

    def _drain(self) -> None:
        """Take in what has happened."""
        if self._thread is None:
            return
        with self._lock, suppress(BlockingIOError):
            while True:
                events = os.read(self._descriptor, _READ_BYTES)
                for path, mask in self._decode(events):
                    self._note(path, mask)

    def _decode(self, events: bytes) -> Iterator[tuple[str, int]]:
        place = 0
        while place < len(events):
            number, mask, _, length = _EVENT.unpack_from(events, place)
            name = events[place + _EVENT.size : place + _EVENT.size + length].rstrip(b"\0")
            place += _EVENT.size + length
            path = self._folders.get(number, b"")
            # Without a name it is the watched file itself, or its folder.
            if name:
                path = b"%b/%b" % (path, name)
            yield os.fsdecode(path), mask

    def _note(self, path: str, mask: int) -> None:
        # The kernel's queue was full and events are lost, so no window is complete.
        if mask & _OVERFLOW:
            for window in self._windows:
                window.lost = True
            return
        is_new_folder = mask & _IS_FOLDER and mask & (_CREATE | _MOVED_TO)
        if is_new_folder and os.path.basename(path) not in OF_TOOLS:
            self._add_tree(os.fsencode(path), time.monotonic() + 1.0)
        for window in self._windows:
            _note_in(window, path, mask)


def _note_in(window: Window, path: str, mask: int) -> None:
    if not mask & _OPEN:
        # A file that was read before, or is only changed, existed before the step.
        if path not in window.read and not mask & _MODIFY:
            window.made.add(path)
        window.written.add(path)
        return
    # What a step made itself is no input of it.
    if path in window.made:
        return
    if mask & _IS_FOLDER:
        window.folders.add(path)
    else:
        window.read.add(path)


def _made_by(step: Window, other: Window) -> list[str]:
    """What was written while the other step ran, and this step declares to make.

    The system does not tell which process wrote it.
    """
    folders = tuple(f"{path}/" for path in step.outs)
    return [path for path in other.written if path in step.outs or path.startswith(folders)]


@contextmanager
def _open_folder(folder: bytes) -> Iterator[int]:
    """A descriptor of the folder, from which other files are looked up.

    That is quicker than by their whole paths, and `O_PATH` causes no event of inotify.
    """
    descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    """Whether it is one, or leads to one; a link that leads to itself does not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _links(name: bytes, folder: int) -> int:
    """How many links there are to what has this name in an open folder."""
    try:
        return os.stat(name, dir_fd=folder).st_nlink
    except OSError:
        return 0
