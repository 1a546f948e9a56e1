"""The model's objects: those that the run kept, and on their way to the DVC remote."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.errors import InfrastructureError, IntegrityError, Location, NbciError, UsageError
from nbci.promotion.packaging import needed_files, packaged
from nbci.registry.git import GitFailed
from nbci.store.files import write_atomic
from nbci.store.index import FileIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.pipeline.models import Model
    from nbci.promotion.packaging import Packaged
    from nbci.records.model import FileRef
    from nbci.registry.git import Git
    from nbci.store.artifacts import Artifacts

_NO_REMOTE = "dvc remote add --default storage URL, and commit .dvc/config"


@contextlib.contextmanager
def open_repo(root: Path) -> Iterator[Any]:
    """The project's DVC repository; UsageError when there is none. DVC's own errors become ours."""
    from dvc.config import NoRemoteError
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            yield repo
    except NbciError:
        raise
    except NotDvcRepoError as error:
        raise UsageError(
            "the project has no DVC repository, where models are kept", hint=f"dvc init; {_NO_REMOTE}"
        ) from error
    except NoRemoteError as error:
        raise UsageError("the project's DVC repository has no default remote", hint=_NO_REMOTE) from error
    except (DvcException, OSError) as error:
        raise InfrastructureError(
            f"DVC could not do it: {str(error) or type(error).__name__}", hint="nothing was promoted; try again"
        ) from error


def check_kept(artifacts: Artifacts, root: Path, refs: Iterable[FileRef], index: FileIndex) -> None:
    """Every object of these outs is here and whole, or is in the workspace still; IntegrityError that names one."""
    for ref in refs:
        if not artifacts.lacking(ref.digest):
            continue
        place = root / ref.path
        if place.exists() and index.fingerprint(root, ref.path).digest == ref.digest:
            artifacts.keep(root, ref.path, index)
            continue
        raise IntegrityError(
            "what the run made is not here any more, or was altered", where=Location(ref.path), hint="run again"
        )


def try_model(model: Model, refs: Sequence[FileRef], *, artifacts: Artifacts, git: Git, commit: str) -> Packaged:
    """The model's files are tried in a folder of their own, as the run made them and as the commit has them."""
    with tempfile.TemporaryDirectory(prefix="nbci-") as name:
        folder = Path(name)
        index = FileIndex(folder / ".digests")
        for ref in refs:
            artifacts.restore(folder, ref, index)
        for path in needed_files(model):
            if not (folder / path).exists():
                with contextlib.suppress(GitFailed):  # what the commit has not either is named by `packaged`
                    write_atomic(folder / path, git.bytes("cat-file", "--filters", f"{commit}:{git.prefix}{path}"))
        return packaged(model, folder)


def push_objects(root: Path, artifacts: Artifacts, refs: Sequence[FileRef]) -> None:
    """Bring the objects to the default remote of the project's DVC repository; what is there already is left."""
    from dvc.fs import localfs
    from dvc_data.hashfile.db.local import LocalHashFileDB
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.transfer import transfer

    with open_repo(root) as repo:
        remote = repo.cloud.get_remote_odb()
        here = LocalHashFileDB(localfs, str(artifacts.objects.root))
        wanted = {HashInfo("md5", ref.digest) for ref in refs}
        try:
            result = transfer(here, remote, wanted, shallow=False)
        except Exception as error:  # each kind of remote has errors of its own, without a common root
            raise InfrastructureError(
                f"the model could not be brought to the DVC remote: {str(error) or type(error).__name__}",
                hint="nothing was promoted; try again",
            ) from error
        if result.failed:
            raise InfrastructureError(
                f"{len(result.failed)} of the model's objects could not be brought to the DVC remote",
                hint="nothing was promoted; try again",
            )
