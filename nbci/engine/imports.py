"""Imports that were brought up to date for a plan, on machines that have the commit's."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from nbci.data.repository import project_cache
from nbci.data.tracked import tracked
from nbci.engine.steps.declared_files import stands
from nbci.store.file_index import project_index
from nbci.store.files import disk_errors, remove, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.config import Project
    from nbci.plan.model import Plan


@contextlib.contextmanager
def put_back(project: Project, names: Iterable[str]) -> Iterator[None]:
    """Leave these `.dvc` files and their data as they are now, whatever is placed meanwhile.

    Data that stands as its file says is kept in the cache first, and put back from there.
    """
    artifacts = project_cache(project, os.environ).artifacts
    texts: dict[str, str] = {}
    stood = {}
    index = project_index(project)
    for name in names:
        if not (project.root / name).is_file():
            continue
        texts[name] = (project.root / name).read_text(encoding="utf-8")
        for ref in tracked(project.root, name):
            if stands(project.root, ref, index):
                # It may be kept nowhere else: a cache is emptied at any time.
                artifacts.keep(project.root, ref.path, index)
                stood[ref.path] = ref
    try:
        yield
    finally:
        place_texts(project, texts)
        index = project_index(project)
        for ref in stood.values():
            if not stands(project.root, ref, index) and not artifacts.missing_objects(ref.digest):
                artifacts.restore(project.root, ref, index)
        index.save()


def place_imports(project: Project, plan: Plan) -> None:
    """Put the plan's `.dvc` files in their places.

    Data that is exactly what the old `.dvc` files describe is removed.
    """
    place_texts(project, plan.imports or {})


def place_texts(project: Project, texts: Mapping[str, str]) -> None:
    """The same of `.dvc` files by path."""
    for path, text in texts.items():
        place = project.root / path
        if place.is_file():
            if place.read_text(encoding="utf-8") == text:
                continue
            index = project_index(project)
            for ref in tracked(project.root, path):
                if stands(project.root, ref, index):
                    with disk_errors(project.root / ref.path):
                        remove(project.root / ref.path)
        # Last: if removal fails, the old file still says what the next run has to remove.
        write_atomic(place, text)
