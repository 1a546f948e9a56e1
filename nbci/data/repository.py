"""Read from DVC's configuration where objects lie, and how a workspace links to them.

DVC itself is asked once, because importing it takes longer than a short run. Its answer is
remembered as long as none of its configuration files has changed.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from nbci.config import dvc_folder
from nbci.dot_nbci import NBCI_FOLDER
from nbci.errors import InfrastructureError, Location, UsageError
from nbci.file_state import file_signature
from nbci.store.cache import Cache, user_cache
from nbci.store.files import write_atomic
from nbci.store.objects import LINKS, Objects
from nbci.trust.change import change_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbci.config import Project

_DEFAULT_LINKS = ("reflink", "copy")
_FORMAT = 1


class DataSettings(Struct, frozen=True, kw_only=True):
    """DVC's settings: its cache, ways of linking, whether a group shares it, its remote.

    `remote` is the name of the default remote.
    """

    cache: str
    links: tuple[str, ...] = _DEFAULT_LINKS
    shared: bool = False
    remote: str | None = None


class _Remembered(msgspec.Struct):
    format: int
    files: dict[str, list[int] | None]
    settings: DataSettings


def data_settings(project: Project) -> DataSettings | None:
    """Return DVC's settings in this project; None when it is no DVC repository.

    UsageError when the configuration cannot be read.
    """
    folder = dvc_folder(project.root)
    if folder is None:
        return None
    memory = project.state_folder / "dvc.json"
    try:
        known = msgspec.json.decode(memory.read_bytes(), type=_Remembered)
    except (OSError, msgspec.MsgspecError):
        known = None
    if known is not None and _still_stands(known, folder):
        return known.settings
    config = dvc_config(folder)
    settings = _settings(config, folder)
    files = _signatures(config.files.values())
    if (project.root / NBCI_FOLDER).is_dir():  # a command that only looks leaves nothing behind
        # a project that cannot be written to can still be read
        with contextlib.suppress(InfrastructureError):
            write_atomic(memory, msgspec.json.encode(_Remembered(_FORMAT, files, settings)))
    return settings


def project_cache(project: Project, environ: Mapping[str, str]) -> Cache:
    """The user's cache, with artifacts in the project's DVC cache if it has one.

    The build of a fork has a cache of its own, and takes artifacts from those.
    """
    objects = dvc_objects(project)
    prefix = prefix_of(project, environ)
    if prefix is None:
        return user_cache(environ, objects)
    # without the objects of DVC, which a fork may read but not write
    trusted = user_cache(environ)
    others = [trusted.own]
    if objects is not None:
        others.append(objects)
    return Cache(trusted.root / prefix, others=tuple(others))


def prefix_of(project: Project, environ: Mapping[str, str]) -> str | None:
    """Return the prefix under which a fork's build keeps things; None in a trusted build."""
    change = change_of(environ)
    if project.prefix:
        return project.prefix
    if change is None:
        return None
    return change.prefix


def store_cache(project: Project, folder: Path) -> Cache:
    """Return a cache in a folder that is carried between machines and holds everything.

    What DVC's cache has on this machine is taken from there.
    """
    objects = dvc_objects(project)
    if objects is None:
        return Cache(folder)
    return Cache(folder, others=(objects,))


def dvc_objects(project: Project) -> Objects | None:
    """The objects in the project's DVC cache; None when it is no DVC repository."""
    settings = data_settings(project)
    if settings is None:
        return None
    return Objects(Path(settings.cache) / "files" / "md5", settings.links, settings.shared)


def dvc_config(folder: Path) -> Any:
    """DVC's whole configuration: of the system, the user, the repository, and `config.local`."""
    from dvc.config import Config, ConfigError

    try:
        return Config(dvc_dir=str(folder))
    except ConfigError as error:
        raise UsageError(
            f"DVC's configuration cannot be read: {error}",
            where=Location(str(folder / "config")),
            hint="dvc config --list says more",
        ) from error


def _settings(config: Any, folder: Path) -> DataSettings:
    cache = config["cache"]
    # `cache.local` names a remote whose URL is the folder of the cache
    named = cache.get("local")
    place = cache.get("dir")
    if named:
        place = config["remote"].get(named, {}).get("url")
    folder_of_cache = str(folder / "cache")
    if place:
        folder_of_cache = os.path.abspath(os.path.expanduser(str(place)))
    links = tuple(cache.get("type") or _DEFAULT_LINKS)
    for link in links:
        if link not in LINKS:
            where = Location(str(folder / "config"))
            raise UsageError(f"cache.type: there is no way of linking {link!r}", where=where)
    return DataSettings(
        cache=folder_of_cache,
        links=links,
        shared=bool(cache.get("shared")),
        remote=config["core"].get("remote"),
    )


def _signatures(files: Iterable[object]) -> dict[str, list[int] | None]:
    return {name: file_signature(name) for name in map(str, files)}


def _still_stands(known: _Remembered, folder: Path) -> bool:
    return (
        known.format == _FORMAT
        # the project may have moved since: the remembered paths are then those of another place
        and str(folder / "config") in known.files
        and _signatures(known.files) == known.files
    )
