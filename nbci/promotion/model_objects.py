"""Check the model's objects that the run kept, try the model, and send them to the DVC remote."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nbci.data.remotes import ARTIFACTS
from nbci.errors import InfrastructureError, IntegrityError, Location
from nbci.formatting.numbers import and_more
from nbci.git.process import GitFailed
from nbci.promotion.packaging import check_package, needed_files
from nbci.store.file_index import FileIndex
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from nbci.data.remotes import Remote
    from nbci.git.process import Git
    from nbci.pipeline.models import Model
    from nbci.promotion.packaging import Packaged
    from nbci.records.run_record import FileRef
    from nbci.store.artifacts import Artifacts


def check_kept(artifacts: Artifacts, root: Path, refs: Iterable[FileRef], index: FileIndex) -> None:
    """Check that every object of these outs is here and unaltered, or still in the workspace.

    Objects from the workspace are kept again. IntegrityError names an out that is neither.
    """
    for ref in refs:
        if not artifacts.missing_objects(ref.digest):
            continue
        place = root / ref.path
        if place.exists() and index.fingerprint(root, ref.path).digest == ref.digest:
            artifacts.keep(root, ref.path, index)
            continue
        raise IntegrityError(
            "what the run made is not here any more, or was altered",
            where=Location(ref.path),
            hint="run again",
        )


def try_model(
    model: Model,
    refs: Sequence[FileRef],
    *,
    artifacts: Artifacts,
    git: Git,
    commit: str,
    folder: Path,
) -> Packaged:
    """Try the model's files in an empty folder.

    Outs are taken as the run made them, other files as the commit has them.
    """
    index = FileIndex(folder / ".digests")
    for ref in refs:
        artifacts.restore(folder, ref, index)
    for path in needed_files(model):
        if not (folder / path).exists():
            # `check_package` names the files that the commit does not have either
            with contextlib.suppress(GitFailed):
                # --filters: as a checkout has it, with its ends of lines and large files
                source = f"{commit}:{git.prefix}{path}"
                text = git.bytes("cat-file", "--filters", operands=[source])
                write_atomic(folder / path, text)
    return check_package(model, folder)


def push_objects(remote: Remote, artifacts: Artifacts, refs: Iterable[FileRef]) -> None:
    """Send the objects to the remote; objects that are there already stay.

    IntegrityError when the content of such an object is not what its name says.
    """
    files: dict[str, Path] = {}
    for ref in refs:
        # a folder is a listing and the files that the listing names
        names = [ref.digest, *(artifacts.listing(ref.digest) or {}).values()]
        files |= {name: artifacts.objects.path(name) for name in names}
    try:
        there = remote.present(ARTIFACTS, files)
        # an altered object would otherwise be taken for the right one and never be replaced
        altered = sorted(remote.altered(ARTIFACTS, there))
        if not altered:
            missing = {name: path for name, path in files.items() if name not in there}
            remote.send(ARTIFACTS, missing)
    except InfrastructureError as error:
        raise InfrastructureError(
            f"the model could not be brought to the DVC remote: {error.message}",
            where=error.where,
            hint="nothing was promoted; try again: what arrived is not sent twice",
        ) from error
    if altered:
        others = ""
        if len(altered) > 1:
            others = f",{and_more(len(altered), 1)}"
        raise IntegrityError(
            f"this object on the DVC remote was altered{others}",
            where=Location(remote.address(ARTIFACTS, altered[0])),
            hint="find out who did it; "
            "once it is removed there, a new promotion brings the right one",
        )
