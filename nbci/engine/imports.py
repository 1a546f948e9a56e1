"""Imports that were brought up to date for a plan, on machines that have the commit's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.data.tracked import tracked
from nbci.engine.steps.declared_files import stands
from nbci.store.file_index import project_index
from nbci.store.files import disk_errors, remove, write_atomic

if TYPE_CHECKING:
    from nbci.config import Project
    from nbci.plan.model import Plan


def place_imports(project: Project, plan: Plan) -> None:
    """Put the plan's `.dvc` files in their places.

    Data that is exactly what the old `.dvc` files describe is removed.
    """
    for path, text in (plan.imports or {}).items():
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
