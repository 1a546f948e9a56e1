"""Merge the stages that nbci writes with those of the project's own dvc.yaml."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.data.dvc_files import LOCK_SCHEMA, MARK, OUT_KINDS, DvcStages, literal, without_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """Who else makes a file, and the digest that it has there, where it is known."""

    by: str
    digest: str | None


def merged_documents(
    stages: DvcStages,
    *,
    target: str,
    own: Mapping[str, Any] | None,
    own_lock: Mapping[str, Any] | None,
    artifacts: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(dvc.yaml, dvc.lock) with what the user's own hold besides.

    What nbci wrote before for the target is replaced, and so are artifacts of a same name.
    """
    document = dict(own or {})
    others = own_stages(own, target)
    # stages of an earlier run that have since been renamed or removed must leave dvc.lock, too
    before = (document.get("stages") or {}).keys() - others.keys()
    document["stages"] = {**others, **stages.stages}
    if artifacts or document.get("artifacts"):
        document["artifacts"] = {**(document.get("artifacts") or {}), **artifacts}

    lock = dict(own_lock or {})
    lock["schema"] = LOCK_SCHEMA
    locked = dict(lock.get("stages") or {})
    for name in before:
        locked.pop(name, None)
    lock["stages"] = {**locked, **stages.locked}
    return document, lock


def own_stages(own: Mapping[str, Any] | None, target: str) -> dict[str, Mapping[str, Any]]:
    """The stages of a dvc.yaml that nbci did not write for this target."""
    stages = (own or {}).get("stages") or {}
    return {name: stage for name, stage in stages.items() if _is_of_others(stage, target)}


def _is_of_others(stage: Any, target: str) -> bool:
    # what is no mapping is no stage: DVC would refuse the whole file
    return isinstance(stage, dict) and not _is_ours(stage, target)


def _is_ours(stage: Mapping[str, Any], target: str) -> bool:
    meta = stage.get("meta")
    # dvc.yaml holds the target escaped, as all texts in which DVC would substitute
    return isinstance(meta, dict) and meta.get(MARK) == literal(target)


def outs_of(stage: Mapping[str, Any]) -> list[str]:
    """Return the paths that a stage of a dvc.yaml makes, relative to the file.

    Paths with `${...}` in them are left out, since their values are not known here.
    """
    # the paths of a stage are relative to its `wdir`, that to dvc.yaml
    folder = str(stage.get("wdir") or ".").strip("/")
    paths = []
    for kind in OUT_KINDS:
        for item in stage.get(kind) or ():
            path = path_of(item)
            if "${" in path:
                continue
            if folder != ".":
                path = f"{folder}/{path}"
            paths.append(path)
    return paths


def locked_digests(stages: Mapping[str, Any]) -> dict[str, str]:
    """The digests of what these stages of a dvc.lock made, by path.

    Raises AttributeError, KeyError or TypeError for stages of another shape.
    """
    digests: dict[str, str] = {}
    for stage in stages.values():
        for entry in (stage or {}).get("outs") or ():
            digests[entry["path"]] = str(entry.get("md5"))
    return digests


def owned_outs(
    others: Mapping[str, Mapping[str, Any]],
    lock: Mapping[str, Any] | None,
    made: Iterable[str],
    read: Callable[[str], Mapping[str, Any] | None],
) -> dict[str, Owned]:
    """Return the files that have another maker: stages of others, or `.dvc` files.

    `read` reads the `.dvc` files beside what was `made`.
    """
    locked = (lock or {}).get("stages") or {}
    digests = locked_digests({name: locked[name] for name in locked if name in others})

    owned = {}
    for name, stage in others.items():
        for path in outs_of(stage):
            owned[path] = Owned(by=f"stage {name} of dvc.yaml", digest=digests.get(path))

    for path in made:
        for out in (read(f"{path}.dvc") or {}).get("outs") or ():
            # a .dvc file names its data relative to itself
            tracked = posixpath.join(posixpath.dirname(path), str(out.get("path")))
            owned[tracked] = Owned(by=f"{path}.dvc", digest=str(out.get("md5")))
    return owned


def without_outs(stages: DvcStages, paths: set[str]) -> DvcStages:
    """The stages without these outs, which others make."""
    return DvcStages(
        stages=_without_outs(stages.stages, paths), locked=_without_outs(stages.locked, paths)
    )


def _without_outs(
    stages: Mapping[str, Mapping[str, Any]], paths: set[str]
) -> dict[str, dict[str, Any]]:
    remaining = {}
    for name, stage in stages.items():
        fields = dict(stage)
        for kind in OUT_KINDS:
            if kind in fields:
                fields[kind] = [item for item in fields[kind] if path_of(item) not in paths]
        remaining[name] = without_empty(fields)
    return remaining


def path_of(item: str | Mapping[str, Any]) -> str:
    """The path of an out as dvc.yaml or dvc.lock has it, with settings or without."""
    if isinstance(item, str):
        return item
    # dvc.lock has {"path": PATH, ...}, dvc.yaml {PATH: {"cache": false}}
    return str(item.get("path") or next(iter(item)))
