"""What a step opened below Python, as far as the system tells, put with what its kernel told."""

from __future__ import annotations

import os
import re
import tempfile
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from nbci.engine.observed.opens import Opens, Window
    from nbci.kernels.job import Seen, Sight
    from nbci.plan.model import PlannedStep

_THROUGH_PYTHON = frozenset(
    (
        *(
            "numpy",
            "scipy",
            "pandas",
            "sklearn",
            "matplotlib",
            "contourpy",
            "kiwisolver",
            "PIL",
            "yaml",
            "msgspec",
        ),
        *(
            "zmq",
            "tornado",
            "psutil",
            "debugpy",
            "markupsafe",
            "charset_normalizer",
            "_cffi_backend",
            "cryptography",
        ),
        *(
            "rpds",
            "regex",
            "threadpoolctl",
            "joblib",
            "IPython",
            "ipykernel",
            "wrapt",
            "orjson",
            "ujson",
            "_nbci",
        ),
    )
)
"""Packages with machine code that open files by Python, which tells of it."""
_SOURCES = (
    ".py",
    ".pyc",
    ".ipynb",
    ".md",
    ".rst",
    ".html",
    ".css",
    ".js",
    ".ts",
    ".toml",
    ".lock",
    ".swp",
    "~",
)
"""What editors open beside a run, and no library reads by itself."""
_OF_THE_SYSTEM = (
    "/usr/",
    "/etc/",
    "/proc/",
    "/sys/",
    "/dev/",
    "/run/",
    "/bin/",
    "/sbin/",
    "/lib/",
    "/lib64/",
)
_QUOTED = re.compile(r"""["']([^"'\n]*/[^"'\n]*)["']""")


def readers(seen: Seen) -> list[str]:
    """What may have opened files that Python did not see."""
    return [name for name in seen.native if name not in _THROUGH_PYTHON]


def with_opened(seen: Seen, opens: Opens, window: Window) -> Seen:
    """What was seen, with what was opened in that time and nobody else told of."""
    others = seen.has_workers or bool(seen.programs)
    if not others and not readers(seen):
        return seen
    if opens.trouble is not None or window.lost:
        seen = replace(seen, unwatched=tuple(readers(seen)))
    known = {*told_by(seen), *window.told}
    listed = {path for kind, path, _ in seen.sights if kind == "folder"}
    unseen = (path for path in window.read - known if others or not path.endswith(_SOURCES))
    read = {path for path in unseen if os.path.isfile(path)}
    written = {
        path for path in window.written - window.told if others or not path.endswith(_SOURCES)
    }
    if seen.has_workers:
        listed.update(seen.search_path)  # a Python that starts lists them, whatever it is for
    folders = {os.path.dirname(path) for path in read} & window.folders - listed
    sights: tuple[Sight, ...] = (
        *(("file", path, ()) for path in sorted(read)),
        *(("folder", path, _suffixes(path, read, seen)) for path in sorted(folders)),
    )
    return replace(
        seen, sights=(*seen.sights, *sights), written=tuple(sorted({*seen.written, *written}))
    )


def _suffixes(folder: str, read: Iterable[str], seen: Seen) -> tuple[str, ...]:
    """Of the names that count in a folder; all, where none is given.

    An import lists a folder as a library's glob does. Where there were imports, what is like the
    files that were read counts, as far as a name tells that.
    """
    if ("import", folder) not in {sight[:2] for sight in seen.sights}:
        return ()
    return tuple(
        sorted({os.path.splitext(path)[1] for path in read if os.path.dirname(path) == folder})
    )


def paths_named(step: PlannedStep, root: Path) -> Iterator[str]:
    """Files and folders outside the project that the step may open.

    They are those that the step's code or its parameters name.
    """
    texts = [text for cell in step.cells for text in _QUOTED.findall(cell.source)]
    texts += [
        value for value in (step.params or {}).values() if isinstance(value, str) and "/" in value
    ]
    # Each path costs system calls: of those named several times, once is enough.
    for text in dict.fromkeys(texts):
        path = os.path.normpath(
            os.path.join(root, step.cwd, os.path.expanduser(text.removeprefix("file://")))
        )
        if _may_be_watched(path, str(root)):
            yield path


def _may_be_watched(path: str, root: str) -> bool:
    """Whether a path may be watched.

    Excluded are the project's own paths and the system's, and any folder that contains the project
    or all files of a user.
    """
    around = (root, os.path.expanduser("~"), f"{tempfile.gettempdir()}/.")
    is_around = any(f"{other}/".startswith(f"{path.rstrip('/')}/") for other in around)
    is_elsewhere = not f"{path}/".startswith((f"{root}/", *_OF_THE_SYSTEM))
    return is_elsewhere and not is_around and os.path.exists(path)


def told_by(seen: Seen) -> Iterable[str]:
    """The files of which the kernel told itself."""
    return [
        *(path for kind, path, _ in seen.sights if kind == "file"),
        *seen.written,
        *seen.modules,
    ]
