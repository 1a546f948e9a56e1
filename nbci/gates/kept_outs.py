"""Where the outs of runs are: among the project's artifacts, or still where a step wrote them."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.data.repository import project_cache
from nbci.data.sharing import share
from nbci.errors import NbciError
from nbci.store.file_index import project_index
from nbci.store.safe_paths import place_inside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.records.run_record import FileRef
    from nbci.store.artifacts import Artifacts
    from nbci.store.objects import Objects


class KeptOuts:
    """The outs of runs of a project; `others` are more places on this machine to take them from."""

    def __init__(
        self, project: Project, environ: Mapping[str, str], others: tuple[Objects, ...] = ()
    ) -> None:
        self._project = project
        self._environ = environ
        self._others = others

    @cached_property
    def _artifacts(self) -> Artifacts:
        cache = project_cache(self._project, self._environ)
        share(self._project, cache, self._environ)
        artifacts = cache.artifacts
        return replace(artifacts, others=(*self._others, *artifacts.others))

    def place(self, ref: FileRef) -> Path | None:
        """Where the file lies, whole; None where it is kept neither here nor at a remote."""
        if not self._artifacts.missing_objects(ref.digest):
            return self._artifacts.objects.path(ref.digest)
        # What is not kept, of a step without cache, may still stand where the step wrote it.
        root = self._project.root
        with contextlib.suppress(NbciError):
            place = place_inside(root, ref.path)
            if project_index(self._project).fingerprint(root, ref.path).digest == ref.digest:
                return place
        return None
