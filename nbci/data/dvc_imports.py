"""Poll the sources of data that DVC imported, and fetch the data that changed there."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.config import dvc_folder
from nbci.data.tracked import SUFFIX, tracked
from nbci.errors import InfrastructureError, Location, UsageError
from nbci.silence import without_logs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from nbci.config import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """The result of a poll.

    `seen` maps each import to its state at its source, `texts` maps those that have changed to
    their new `.dvc` files.
    """

    seen: Mapping[str, str]
    texts: Mapping[str, str]


def seen_in(text: str) -> dict[str, str]:
    """Read what an earlier poll saw from its own text; empty when that is not understood."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(key): str(value) for key, value in found.items()}


def poll(project: Project, paths: Iterable[str], seen: Mapping[str, str]) -> Polled:
    """Poll the sources of the imports among these dependencies, and fetch new states.

    A state is new when it is neither pinned here nor in `seen`. `.dvc` files and data in the
    workspace are replaced, as by `dvc update`; for other machines, the data is pushed to DVC's
    default remote, if there is one. InfrastructureError when a source cannot be reached.
    """
    folder = dvc_folder(project.root)
    names = list(_import_files(project.root, paths))
    if folder is None or not names:
        return Polled(seen=seen, texts={})
    found = dict(seen)
    texts = {}
    with _dvc(names), _open(folder.parent) as repo:
        for name in names:
            pinned, now = _states(repo.stage.load_one(str(project.root / name)))
            if now in (pinned, seen.get(name)):
                continue
            before = tracked(project.root, name)
            repo.update([str(project.root / name)])
            found[name] = now
            # a new commit or version of the source may hold the same data
            if tracked(project.root, name) != before:
                texts[name] = (project.root / name).read_text(encoding="utf-8")
        # other machines run with the new .dvc files and fetch their data from there
        if texts and repo.config["core"].get("remote"):
            repo.push([str(project.root / name) for name in texts])
    return Polled(seen=found, texts=texts)


def _import_files(root: Path, paths: Iterable[str]) -> Iterator[str]:
    """The `.dvc` files that stand for a dependency and that an import wrote."""
    import yaml

    for path in dict.fromkeys(map(_tracking_name, paths)):
        if not (root / path).is_file():
            continue
        try:
            document = yaml.safe_load((root / path).read_bytes())
        except yaml.YAMLError as error:
            raise UsageError(
                f"this .dvc file cannot be read: {error}", where=Location(path)
            ) from error
        if isinstance(document, dict) and document.get("deps"):
            yield path


def _tracking_name(path: str) -> str:
    """The `.dvc` file that a dependency is or that would stand beside it."""
    if path.endswith(SUFFIX):
        return path
    return f"{path.rstrip('/')}{SUFFIX}"


def _states(stage: Any) -> tuple[str, str]:
    """Return the state that the import is pinned to, and the state that its source has now.

    A state is a commit, an ETag or a digest. No data is fetched.
    """
    dependency = stage.deps[0]
    if stage.is_repo_import:
        pinned = dependency.def_repo.get("rev_lock")
        dependency.update()
        return str(pinned), str(dependency.def_repo["rev_lock"])
    # such a filesystem pins a version of the object, not its digest
    if dependency.fs.version_aware:
        pinned = dependency.meta.version_id
        dependency.update()
        return str(pinned), str(dependency.meta.version_id)
    return str(dependency.hash_info), str(dependency.get_hash())


@contextlib.contextmanager
def _dvc(names: Sequence[str]) -> Iterator[None]:
    """Raise DVC's errors as InfrastructureError, and suppress what it prints."""
    from dvc.exceptions import DvcException

    try:
        with without_logs(), contextlib.redirect_stdout(io.StringIO()):
            yield
    except (DvcException, OSError) as error:
        raise InfrastructureError(
            f"DVC cannot bring what was imported up to date: {error.__cause__ or error}",
            where=Location(", ".join(names)),
            hint="dvc update says more",
        ) from error


def _open(folder: Path) -> Any:
    from dvc.repo import Repo

    return Repo(str(folder))
