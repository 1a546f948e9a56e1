"""The files of hybrids of two runs, one hybrid after another in one workspace."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from nbci.app.reruns.recorded_files import KEPT_AS_OBJECTS, digest_as
from nbci.data.tracked import SUFFIX as TRACKING
from nbci.engine.observed.kinds import WRITTEN
from nbci.engine.steps.declared_files import stands
from nbci.errors import IntegrityError
from nbci.records.run_record import FileRef
from nbci.store.file_index import project_index
from nbci.store.files import remove, write_atomic
from nbci.store.safe_paths import place_inside

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.app.reruns.mixture import Side
    from nbci.app.reruns.recorded_files import RecordedFile
    from nbci.blame.factors import Content, Mixture
    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.store.cache import Cache

_FIRST_SECOND = 1_000_000_000
_SECONDS = 300_000_000
"""The times of placed files lie in so many seconds from 2001 on, by their content."""


class HybridFiles:
    """Places files in a workspace, and removes what a hybrid wrote there."""

    def __init__(self, project: Project, mixture: Mixture, cache: Cache) -> None:
        self._project = project
        self._root = project.root
        self._mixture = mixture
        self._artifacts = cache.artifacts
        # Each with the data of the later run.
        self._tracking = [path for path in mixture.same if path.endswith(TRACKING)]
        self._placed: dict[str, Content] = {}

    def place(self, contents: Mapping[str, Content]) -> None:
        """Make the files those."""
        for path, content in contents.items():
            if path not in self._placed or self._placed[path] != content:
                self._put(path, content)
                self._placed[path] = content

    def restore(self, side: Side, path: str) -> bool:
        """Have a file that no hybrid changes as the run used it; False where that is gone."""
        mixture = self._mixture
        if path in mixture.files or path in mixture.notebooks or path in mixture.same:
            return True
        if self._stands(side.files[path]):
            return True
        content = side.find(path)
        if content is None:
            return False
        self._put(path, content)
        return True

    def clear(self, plan: Plan, record: RunRecord) -> None:
        """Remove what a hybrid wrote, so that the next one finds nothing of it."""
        written = dict.fromkeys(plan.writes)
        for step in record.steps:
            for part in step.observed:
                if part.kind == WRITTEN and not part.label.startswith("/"):
                    written[part.label] = None
        for path in written:
            # What lies behind a link that leads out of the workspace is the user's.
            with contextlib.suppress(IntegrityError):
                remove(place_inside(self._root, path))
        for path in [*self._placed]:
            if not os.path.lexists(self._root / path):
                del self._placed[path]

    def _stands(self, file: RecordedFile) -> bool:
        place = self._root / file.path
        if file.kind in KEPT_AS_OBJECTS:
            ref = FileRef(path=file.path, digest=file.digest, bytes=0)
            return stands(self._root, ref, project_index(self._project))
        return place.is_file() and digest_as(file.kind, place.read_bytes()) == file.digest

    def _put(self, path: str, content: Content) -> None:
        if isinstance(content, FileRef):
            self._restore_artifact(content)
            return
        place = place_inside(self._root, path)
        remove(place)
        if content is None:
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(place, content)
        # Python knows a compiled module by size and second: no two contents may share both.
        second = int(content_digest(content)[:12], 16) % _SECONDS + _FIRST_SECOND
        os.utime(place, (second, second))

    def _restore_artifact(self, ref: FileRef) -> None:
        if self._artifacts.missing_objects(ref.digest):
            raise IntegrityError(f"{ref.path} as it was is no longer kept")
        index = project_index(self._project)
        self._artifacts.restore(self._root, ref, index)
        index.save()
        self._note_tracked(ref)

    def _note_tracked(self, ref: FileRef) -> None:
        """Let the `.dvc` files that steps name as deps say what the data is now."""
        digests = set()
        for content in self._mixture.files.get(ref.path, ()):
            if isinstance(content, FileRef):
                digests.add(content.digest)
        for path in self._tracking:
            place = place_inside(self._root, path)
            text = before = place.read_text(encoding="utf-8")
            for digest in digests:
                text = text.replace(digest, ref.digest)
            if text != before:
                remove(place)
                write_atomic(place, text)


def content_digest(content: Content) -> str:
    """What tells one content from another."""
    if content is None:
        return ""
    if isinstance(content, FileRef):
        return content.digest
    return digest_as("module", content)
