"""What a step opened below Python, as far as the system tells.

It is added to what the step's kernel saw.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from itertools import filterfalse
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from nbci.engine.observed.opens import Opens, Window
    from nbci.kernels.job import Seen, Sight
    from nbci.plan.model import PlannedStep

_THROUGH_PYTHON = frozenset(
    "numpy scipy pandas sklearn matplotlib contourpy kiwisolver PIL yaml msgspec zmq tornado "
    "psutil debugpy markupsafe charset_normalizer _cffi_backend cryptography rpds regex "
    "threadpoolctl joblib IPython ipykernel wrapt orjson ujson _nbci".split()
)
"""Packages with machine code that open files by Python, which tells of it."""
_SOURCES = tuple(".py .pyc .ipynb .md .rst .html .css .js .ts .toml .lock .swp ~".split())
"""What editors open beside a run, and no library reads by itself."""
_OF_THE_SYSTEM = tuple("/usr/ /etc/ /proc/ /sys/ /dev/ /run/ /bin/ /sbin/ /lib/ /lib64/".split())
_WHOLE_PATH = re.compile(rb"/[^\s\"'<>|:;,()\[\]{}\0]+")
_LONGEST_SETTINGS_BYTES = 1 << 18
_QUOTED = re.compile(r"""["']([^"'\n]*/[^"'\n]*)["']""")


def readers(seen: Seen) -> list[str]:
    """What may have opened files that Python did not see."""
    return list(filterfalse(_THROUGH_PYTHON.__contains__, seen.native))


def with_opened(seen: Seen, opens: Opens, window: Window) -> Seen:
    """What was seen, with what was opened in that time and no other step claimed."""
    has_children = seen.has_workers or bool(seen.programs)
    if not has_children and not readers(seen):
        return seen
    # What is not known in full is no answer: such a step says that it may have read more.
    if opens.trouble is not None or window.lost:
        seen = replace(seen, unwatched=tuple(readers(seen)))

    # Child processes may read sources; a library in the step's own process does not.
    ignored: tuple[str, ...] = _SOURCES
    if has_children:
        ignored = ()
    read = set()
    for path in window.read - {*files_claimed(seen), *window.claimed}:
        if not path.endswith(ignored) and os.path.isfile(path):
            read.add(path)
    written = {path for path in window.written - window.claimed if not path.endswith(ignored)}

    sights: list[Sight] = []
    for path in sorted(read):
        sights.append(("file", path, ()))
    for folder in _folders_listed(seen, window, read):
        sights.append(("folder", folder, _suffixes(folder, read, seen)))
    return replace(
        seen, sights=(*seen.sights, *sights), written=tuple(sorted({*seen.written, *written}))
    )


def _folders_listed(seen: Seen, window: Window, read: Iterable[str]) -> list[str]:
    """The folders of the files that were read which were opened, and not by Python's own calls."""
    known = set(_paths_of(seen, "folder"))
    if seen.has_workers:
        # A Python that starts lists the folders of its path, whatever it is for.
        known.update(seen.search_path)
    folders = set(map(os.path.dirname, read))
    return sorted(folders & window.folders - known)


def _suffixes(folder: str, read: Iterable[str], seen: Seen) -> tuple[str, ...]:
    """Of the names that count in a folder; all, where none is given.

    An import lists a folder as a library's glob does. Where there were imports, what is like the
    files that were read counts, as far as a name tells that.
    """
    if folder not in _paths_of(seen, "import"):
        return ()
    found = set()
    for path in read:
        if os.path.dirname(path) == folder:
            found.add(os.path.splitext(path)[1])
    return tuple(sorted(found))


def _paths_of(seen: Seen, wanted: str) -> list[str]:
    """The paths of the sights of this kind."""
    return [path for kind, path, _ in seen.sights if kind == wanted]


def paths_named(step: PlannedStep, root: Path) -> Iterator[str]:
    """Files and folders outside the project that the step may open.

    They are those that the step's code or its parameters name.
    """
    # Each path costs system calls: of those named several times, once is enough.
    for text in dict.fromkeys(_path_texts(step)):
        relative = os.path.expanduser(text.removeprefix("file://"))
        path = os.path.normpath(os.path.join(root, step.cwd, relative))
        if _may_be_watched(path, str(root)):
            yield path


def paths_in(files: Iterable[Path], root: Path) -> Iterator[str]:
    """Files and folders outside the project that stand in these files with their whole paths.

    Large files are data, and not where a path is configured.
    """
    found: dict[str, None] = {}
    for file in files:
        with suppress(OSError):
            if os.stat(file).st_size <= _LONGEST_SETTINGS_BYTES:
                found.update(dict.fromkeys(_WHOLE_PATH.findall(file.read_bytes())))
    for path in map(os.path.normpath, map(os.fsdecode, found)):
        if _may_be_watched(path, str(root)):
            yield path


def _path_texts(step: PlannedStep) -> Iterator[str]:
    for cell in step.cells:
        yield from _QUOTED.findall(cell.source)
    for value in (step.params or {}).values():
        if isinstance(value, str) and "/" in value:
            yield value


def _may_be_watched(path: str, root: str) -> bool:
    """Whether a path may be watched.

    Excluded are the project's own paths and the system's, and any folder that contains the project
    or all files of a user.
    """
    # Each folder below takes one of the system's watches (fs.inotify.max_user_watches), and to find
    # all of a home may take minutes.
    around = (root, os.path.expanduser("~"), f"{tempfile.gettempdir()}/.")
    is_around = any(f"{other}/".startswith(f"{path.rstrip('/')}/") for other in around)
    is_elsewhere = not f"{path}/".startswith((f"{root}/", *_OF_THE_SYSTEM))
    return is_elsewhere and not is_around and os.path.exists(path)


def files_claimed(seen: Seen) -> Iterable[str]:
    """The files that the step's own kernel reported, so that they are no other step's."""
    return [*_paths_of(seen, "file"), *seen.written, *seen.modules]
