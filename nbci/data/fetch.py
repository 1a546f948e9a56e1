"""Fetch tracked data that is not on this machine, with DVC.

It comes from the remotes, or from where it was imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.config import dvc_folder
from nbci.errors import InfrastructureError, Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.config import Project


def fetch_tracked(project: Project, dvc_files: Sequence[str]) -> None:
    """Make DVC fetch into its cache what these `.dvc` files track.

    InfrastructureError when it cannot.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    folder = dvc_folder(project.root)
    if folder is None:
        return
    try:
        with Repo(str(folder.parent)) as repo:
            repo.fetch([str(project.root / name) for name in dvc_files])
    except DvcException as error:
        raise InfrastructureError(
            f"DVC cannot fetch what it tracks: {error}",
            where=Location(", ".join(dvc_files)),
            hint="dvc pull says more",
        ) from error
