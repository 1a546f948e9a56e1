"""Check that a release can be fetched by a user who has only its commit.

The commit itself must name the DVC remote.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.config import dvc_folder
from nbci.data.repository import dvc_config
from nbci.errors import UsageError
from nbci.git.process import Git, GitFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.config import Project

_LEVELS_OF_OTHERS = ("global", "system")
"""Configuration outside the repository, which a group may share in its own ways."""


def check_remote_of(git: Git, project: Project, commit: str) -> None:
    """Raise UsageError where the commit does not name the DVC remote that the model goes to.

    Otherwise nobody could fetch the model.
    """
    folder = dvc_folder(project.root)
    if folder is None:
        return
    config = dvc_config(folder)
    committed = _config_at(git, folder, commit)
    url = _default_remote(committed).get("url")
    if url is not None and "://" not in url and not os.path.isabs(os.path.expanduser(url)):
        # DVC takes it from where the file lies, which is elsewhere in every clone.
        raise UsageError(
            f"the DVC remote of commit {commit[:10]} is the relative path {url}, "
            "which leads nowhere from a clone in another place",
            hint="name the remote by a URL or an absolute path in .dvc/config, commit, "
            "and run again",
        )
    here = _address(_load(str(folder / "config")))
    there = _address(committed)
    outside = any(_address(config.read(level)) for level in _LEVELS_OF_OTHERS)
    # the remote may be configured for the user or the system, which then holds for others as well
    if there == here and (there or outside):
        return
    hint = "commit .dvc/config, and run again: a release is a child of the commit that ran"
    if there is None:
        raise UsageError(
            f"commit {commit[:10]} names no default remote of DVC, "
            "so nobody could fetch a release of it",
            hint=hint,
        )
    raise UsageError(
        f"commit {commit[:10]} names another DVC remote than the one the model would go to",
        hint=hint,
    )


def _config_at(git: Git, folder: Path, commit: str) -> Mapping[str, Any]:
    """The repository's configuration of DVC in that commit."""
    top = git("rev-parse", "--show-toplevel")
    # git shows its top folder without symbolic links, so the other path is resolved as well
    path = os.path.relpath(os.path.realpath(folder), os.path.realpath(top))
    try:
        text = git.bytes("cat-file", "blob", operands=[f"{commit}:{path}/config"])
    except GitFailed:
        return {}
    with tempfile.NamedTemporaryFile(prefix="nbci-") as file:
        file.write(text)
        file.flush()
        return _load(file.name)


def _load(path: str) -> Mapping[str, Any]:
    """One file of DVC's configuration, with its paths as they are written."""
    from dvc.config import Config

    try:
        found: Mapping[str, Any] = Config.load_file(path)
    except FileNotFoundError:
        return {}
    return found


def _address(config: Mapping[str, Any]) -> str | None:
    """The URL of the default remote that one level of configuration names."""
    url = _default_remote(config).get("url")
    name = (config.get("core") or {}).get("remote")
    if url is None:
        return None
    # with its name: credentials in `config.local` go by that
    return f"{name} at {url}"


def _default_remote(config: Mapping[str, Any]) -> Mapping[str, Any]:
    name = (config.get("core") or {}).get("remote")
    return (config.get("remote") or {}).get(name) or {}


def access_of(project: Project) -> dict[str, Any]:
    """Return the configuration that DVC has outside the repository, credentials above all.

    A clone needs it, too.
    """
    folder = dvc_folder(project.root)
    found: dict[str, Any] = {"core": {}, "remote": {}}
    if folder is None:
        return found
    config = dvc_config(folder)
    for level in (*reversed(_LEVELS_OF_OTHERS), "local"):
        # later levels win, as in DVC: https://dvc.org/doc/command-reference/config
        read = config.read(level)
        found["core"] |= read.get("core") or {}
        for name, settings in (read.get("remote") or {}).items():
            found["remote"][name] = {**found["remote"].get(name, {}), **settings}
    return found


@contextmanager
def clone_of(git: Git) -> Iterator[str]:
    """Yield the URL of a temporary clone with the commits and tags of this repository only.

    Nothing else of this checkout can be seen from it.
    """
    top = git("rev-parse", "--show-toplevel")
    with tempfile.TemporaryDirectory(prefix="nbci-") as name:
        place = Path(name) / "clone.git"
        # --shared: the clone reads the objects from here, so nothing is copied
        git("clone", "--quiet", "--bare", "--shared", operands=[top, str(place)])
        yield place.as_uri()
