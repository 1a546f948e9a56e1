"""The pipelines and notebooks that lie in a project: what a command could have meant."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.config import find_project
from nbci.errors import nearest
from nbci.notebook.read import SUFFIXES
from nbci.notebook.tags import FIRST_CELL_TAGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.config import Project

PIPELINE_SUFFIXES = (".yaml", ".yml")
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages"})
_FIRST_CELL_PREFIXES = tuple(f"{tag}:" for tag in FIRST_CELL_TAGS)


def pipelines_of(project: Project) -> list[str]:
    """The project's pipeline files, as typed from the current folder."""
    return list(map(os.path.relpath, pipelines_in(project.root / "pipelines")))


def targets_of(project: Project) -> list[str]:
    """What can be run in the project, as typed from the current folder.

    That is pipelines, and notebooks with step tags.
    """
    notebooks = tagged_notebooks_in(project.root)
    return [*pipelines_of(project), *map(os.path.relpath, notebooks)]


def did_you_mean(name: str) -> str | None:
    """The hint for a target that is not there: the one that was meant, or some that are there."""
    # The name may lead into another project than the one that the command was typed in.
    here, there = find_project(Path.cwd()).root, find_project(Path(name)).root
    known = list(dict.fromkeys([*_all_targets(here), *_all_targets(there)]))

    by_name: dict[str, str] = {}
    for path in known:
        file = os.path.basename(path)
        for spelling in (path, file, os.path.splitext(file)[0]):
            by_name.setdefault(spelling, path)
    same = os.path.splitext(os.path.basename(name))[0]
    meant = (
        by_name.get(same)
        or by_name.get(nearest(name, by_name) or "")
        or by_name.get(nearest(same, by_name) or "")
    )
    if meant is not None:
        return f"did you mean {meant}?"
    if not known:
        return None
    return f"there are {', '.join(known[:5])}"


def _all_targets(root: Path) -> list[str]:
    """All pipelines and notebooks, in whatever form, as typed from the current folder."""
    found = [
        *pipelines_in(root / "pipelines"),
        *notebooks_in(root),
        # Any .py or .md may be a notebook of jupytext: only where notebooks usually are.
        *_files_in(root, SUFFIXES),
        *_files_in(root / "notebooks", SUFFIXES),
    ]
    return list(map(os.path.relpath, found))


def pipelines_in(folder: Path) -> list[Path]:
    """The pipeline files in the folder."""
    return _files_in(folder, PIPELINE_SUFFIXES)


def _files_in(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    found: list[Path] = []
    for path in folder.glob("*"):
        if path.suffix in suffixes and path.is_file():
            found.append(path)
    return sorted(found)


def tagged_notebooks_in(folder: Path) -> list[Path]:
    """The notebooks in the folder and below it that have step tags."""
    return list(filter(_may_have_steps, notebooks_in(folder)))


def notebooks_in(folder: Path) -> Iterator[Path]:
    """The notebooks in the folder and below it, but for those of tools and environments."""
    for top, folders, files in os.walk(folder):
        # Changed in place: os.walk goes down into the folders that are left in its list.
        folders[:] = sorted(name for name in folders if not _is_skipped(top, name))
        for name in sorted(files):
            if name.endswith(".ipynb") and not name.startswith("."):
                yield Path(top, name)


def _is_skipped(parent: str, name: str) -> bool:
    """Whether a folder belongs to a tool, or is an environment, with PEP 405's `pyvenv.cfg`."""
    if name.startswith(".") or name in _SKIPPED_FOLDERS:
        return True
    return os.path.exists(os.path.join(parent, name, "pyvenv.cfg"))


def _may_have_steps(path: Path) -> bool:
    """Whether a tag of the notebook begins a step.

    Of a notebook that cannot be read, whether its text looks like it.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return False
    # Most notebooks have no tags, and a search in the text is faster than to parse them.
    if not any(f'"{prefix}' in text for prefix in _FIRST_CELL_PREFIXES):
        return False
    try:
        for cell in json.loads(text)["cells"]:
            for tag in cell["metadata"].get("tags", ()):
                if str(tag).startswith(_FIRST_CELL_PREFIXES):
                    return True
    # It is damaged or half merged: the command that reads it will say what is wrong.
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return True
    return False
