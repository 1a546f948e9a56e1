"""Names and paths from records, plans, caches and remotes, checked before they are used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbci.errors import IntegrityError, Location
from nbci.pipeline.paths import leaves_project

if TYPE_CHECKING:
    from pathlib import Path

_HINT = "nbci writes inside the project only: what names this was altered, or nbci did not write it"


def place_inside(root: Path, path: str) -> Path:
    """The place of a recorded path.

    IntegrityError where that is not in the project, or leaves it through a link.
    """
    # The last part may be a link, which is replaced. Links among the folders above are followed.
    place = root / path
    if leaves_project(path) or not _is_within(
        os.path.realpath(place.parent), os.path.realpath(root)
    ):
        raise IntegrityError(
            f"{path!r} is no place inside the project", where=Location(str(root)), hint=_HINT
        )
    return place


def checked_run(run: str) -> str:
    """A run's id as it is; IntegrityError for what is none.

    >>> checked_run("20261128-120000-0000c0de")
    '20261128-120000-0000c0de'
    """
    # A separator or two dots would lead out of the folder of runs.
    if run.replace("-", "").isalnum():
        return run
    raise IntegrityError(f"{run!r} is no id of a run", hint=_HINT)


def _is_within(place: str, folder: str) -> bool:
    return place == folder or place.startswith(f"{folder}/")
