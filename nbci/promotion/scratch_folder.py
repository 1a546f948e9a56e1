"""Make a temporary folder for a promotion in the project.

A folder that a killed promotion left is removed by the next promotion.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.kernels.private import lock_folder
from nbci.store.files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.config import Project


@contextlib.contextmanager
def scratch_folder(project: Project) -> Iterator[Path]:
    """Yield an empty folder that only this process uses; it is removed on exit."""
    place = project.state_folder / "promotions"
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(place)
        path, lock = _make_folder(place)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make_folder(place: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(dir=place))
        lock = lock_folder(path)
        if lock is not None:  # else another promotion took it for one that was left
            return path, lock


def _remove_abandoned(place: Path) -> None:
    for path in place.iterdir():
        # the lock of a process ends with it, so a folder that can be locked is not in use
        lock = lock_folder(path)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
