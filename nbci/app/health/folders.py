"""Whether the folders that runs write to are there, writable, and large enough."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from nbci.config import find_project
from nbci.dot_nbci import NBCI_FOLDER, TEMPORARY_PREFIX
from nbci.errors import NbciError
from nbci.formatting.sizes import size
from nbci.health_check import Check

_LITTLE_DISK_BYTES = 1 << 30


def check_project(here: Path) -> Check:
    try:
        project = find_project(here)
    except NbciError as error:
        return Check(name="project", state="missing", found=str(error), advice=error.hint)

    place = project.root / NBCI_FOLDER
    # Before the first run, that folder has yet to be made.
    if not place.exists():
        place = project.root
    if _is_writable(place):
        return Check(name="project", state="ok", found=str(project.root))
    return Check(
        name="project",
        state="missing",
        found=f"{place} cannot be written",
        advice="run where you may write files",
    )


def _is_writable(folder: Path) -> bool:
    """Whether a file can be made there."""
    # Tried by making one: modes do not tell about read-only mounts.
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=f"{TEMPORARY_PREFIX}doctor-"):
            return True
    except OSError:
        return False


def check_disk(here: Path) -> Check:
    free = shutil.disk_usage(here).free
    if free >= _LITTLE_DISK_BYTES:
        return Check(name="disk", state="ok", found=f"{size(free)} free")
    return Check(
        name="disk",
        state="note",
        found=f"only {size(free)} free",
        advice=f"runs keep values and notebooks in {NBCI_FOLDER}",
    )


def check_temporary() -> Check:
    try:
        # It tries to write into each candidate, so that an answer is a writable folder.
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        return Check(
            name="temporary",
            state="missing",
            found=str(error),
            advice="set TMPDIR to a folder you may write",
        )
    return Check(name="temporary", state="ok", found=str(folder))


def check_runtime() -> Check:
    from jupyter_core.paths import jupyter_runtime_dir

    folder = Path(jupyter_runtime_dir())
    # Jupyter makes the folder with the first kernel, in the nearest one that is there.
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if _is_writable(existing):
        return Check(name="runtime", state="ok", found=str(folder))
    return Check(
        name="runtime",
        state="missing",
        found=f"{existing} cannot be written, so no kernel can start",
        advice="set JUPYTER_RUNTIME_DIR to a folder you may write",
    )
