"""Read `.dvc` files: the data that DVC tracks with them, as references to artifacts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nbci.errors import Location, UsageError
from nbci.params.yaml_quick import yaml_loader
from nbci.records.run_record import FileRef

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".dvc"


def tracking_file(root: Path, path: str) -> str | None:
    """The `.dvc` file that a dependency is, or that stands beside data which is not there."""
    if path.endswith(SUFFIX) and (root / path).is_file():
        return path
    beside = f"{path.rstrip('/')}{SUFFIX}"
    # lexists: a dangling link counts as data that is there
    if os.path.lexists(root / path) or not (root / beside).is_file():
        return None
    return beside


def tracked(root: Path, path: str) -> tuple[FileRef, ...]:
    """Return the data that a `.dvc` file tracks; UsageError when it does not say that."""
    import yaml

    where = Location(path)
    try:
        text = (root / path).read_bytes()
        document = yaml.load(text, Loader=yaml_loader())  # noqa: S506 - it makes plain data only
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"this .dvc file cannot be read: {error}", where=where) from error
    outs = None
    if isinstance(document, dict):
        outs = document.get("outs")
    if not isinstance(outs, list) or not all(map(_has_path, outs)):
        raise UsageError(
            "this .dvc file tracks nothing", where=where, hint="dvc add DATA makes one"
        )
    # a .dvc file names its data relative to its `wdir`, which is relative to the file
    folder = os.path.join(os.path.dirname(path), str(document.get("wdir") or "."))
    refs = []
    for out in outs:
        data = os.path.normpath(os.path.join(folder, str(out["path"])))
        refs.append(_ref(data, out, where))
    return tuple(refs)


def _has_path(out: Any) -> bool:
    return isinstance(out, dict) and isinstance(out.get("path"), str)


def _ref(path: str, out: dict[str, Any], where: Location) -> FileRef:
    if path.startswith("..") or os.path.isabs(path):
        raise UsageError(
            f"it tracks {path}, outside the project",
            where=where,
            hint="copy the data into the project",
        )
    digest = out.get("md5")
    if not isinstance(digest, str):
        raise UsageError(
            f"it does not say what {path} holds", where=where, hint=f"dvc update {where.path}"
        )
    # DVC before 3.0 wrote no `hash` and digested text files with their line ends converted
    if out.get("hash") != "md5":
        raise UsageError(
            f"an old DVC tracked {path}, with digests of its own",
            where=where,
            hint="dvc cache migrate --dvc-files",
        )
    return FileRef(
        path=path, digest=digest, bytes=int(out.get("size") or 0), files=int(out.get("nfiles") or 1)
    )
