"""The repository as DVC has it open: its lock, its fetches, what git tracks and ignores there."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
from typing import TYPE_CHECKING, Any

from nbci.config import dvc_folder
from nbci.dot_nbci import NBCI_FOLDER
from nbci.errors import InfrastructureError, Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.config import Project
    from nbci.data.dvc_documents import Document, ProjectTexts

# each way of writing the line that ignores nbci's folder
_OURS = {NBCI_FOLDER, f"/{NBCI_FOLDER}", f"{NBCI_FOLDER}/", f"/{NBCI_FOLDER}/"}
_SPECIAL = re.compile(r"([\\*?\[\]])")


class DvcScm:
    """Git as DVC uses it in a project; where DVC was set up without git, nothing is tracked."""

    def __init__(self, project: Project) -> None:
        from dvc.scm import NoSCM

        self._root = project.root
        with _open_repo(project) as repo:
            self._scm: Any = repo.scm
        self._has_git = not isinstance(self._scm, NoSCM)

    def tracked(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of the paths that git tracks."""
        if not self._has_git:
            return frozenset()
        return frozenset(path for path in paths if self._scm.is_tracked(self._place(path)))

    def gitignores(self, paths: Iterable[str], texts: ProjectTexts) -> Iterator[Document]:
        """The .gitignore files that take up what DVC keeps, as `dvc add` would write them."""
        if not self._has_git:
            return
        entries: dict[str, list[str]] = {}
        if _OURS.isdisjoint((texts.read(".gitignore") or "").splitlines()):
            # in a clone, DVC writes notes into .nbci before nbci has run there and ignored the
            # folder
            entries[".gitignore"] = [f"/{NBCI_FOLDER}"]
        for path in paths:
            if not self._scm.is_ignored(self._place(path)):
                folder, name = posixpath.split(path)
                # a file name with `*` or `[` would otherwise ignore other files as well
                escaped = _SPECIAL.sub(r"\\\1", name)
                entries.setdefault(posixpath.join(folder, ".gitignore"), []).append(f"/{escaped}")
        for path, lines in sorted(entries.items()):
            yield texts.extended(path, lines)

    def _place(self, path: str) -> str:
        return os.fspath(self._root / path)


@contextlib.contextmanager
def locked_repository(project: Project) -> Iterator[None]:
    """Hold DVC's lock; InfrastructureError while DVC itself is at work here."""
    from dvc.lock import LockError

    with _open_repo(project) as repo:
        try:
            repo.lock.lock()
        except LockError as error:
            raise InfrastructureError(
                "DVC is at work in this repository", hint="try again when it has ended"
            ) from error
        try:
            yield
        finally:
            repo.lock.unlock()


def fetch_tracked(project: Project, dvc_files: Sequence[str]) -> None:
    """Make DVC fetch into its cache what these `.dvc` files track.

    It comes from DVC's remotes, or from where it was imported. InfrastructureError when it cannot.
    """
    from dvc.exceptions import DvcException

    if dvc_folder(project.root) is None:
        return
    try:
        with _open_repo(project) as repo:
            repo.fetch([str(project.root / name) for name in dvc_files])
    except DvcException as error:
        raise InfrastructureError(
            f"DVC cannot fetch what it tracks: {error}",
            where=Location(", ".join(dvc_files)),
            hint="dvc pull says more",
        ) from error


def _open_repo(project: Project) -> Any:
    from dvc.repo import Repo

    folder = dvc_folder(project.root)
    top = project.root
    if folder is not None:
        # a project in a subfolder shares the repository of DVC above it
        top = folder.parent
    return Repo(str(top))
