"""What there is to check in a project, read from disk and checked."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.config import Project, find_project
from nbci.errors import Location, UsageError
from nbci.lint.check import check_notebook, check_pipeline, orders_by_dataflow
from nbci.notebook.read import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.lint.finding import Finding
    from nbci.pipeline.model import TaggedNotebook

_PIPELINE_SUFFIXES = (".yaml", ".yml")
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages"})
_STEP_TAGS = ("step:", "block:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found, by path, and the files that were checked."""

    paths: tuple[str, ...]
    findings: tuple[Finding, ...]


def check_targets(names: Sequence[str], here: Path) -> Checked:
    """Check the named files and folders, or without any the whole project around `here`."""
    paths = [path for name in names for path in _named(name)] if names else _of_project(find_project(here))
    by_project: dict[Path, tuple[Project, list[str]]] = {}
    for path in paths:
        project = find_project(path)
        by_project.setdefault(project.root, (project, []))[1].append(project.relative(path))
    checks = [_check(project, relatives) for project, relatives in by_project.values()]
    return Checked(
        paths=tuple(path for checked in checks for path in checked.paths),
        findings=tuple(finding for checked in checks for finding in checked.findings),
    )


def _named(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        found = [*_pipelines_in(path), *_tagged_notebooks_in(path)]
        if not found:
            raise UsageError(
                "this folder holds no pipeline and no notebook with step tags",
                hint="name a notebook or a pipeline file",
                where=Location(name),
            )
        return found
    if not path.exists():
        raise UsageError("there is no such file", where=Location(name))
    if path.suffix not in (*SUFFIXES, *_PIPELINE_SUFFIXES):
        raise UsageError("this is neither a notebook (.ipynb, .py, .md) nor a pipeline (.yaml)", where=Location(name))
    return [path]


def _of_project(project: Project) -> list[Path]:
    found = [*_pipelines_in(project.root / "pipelines"), *_tagged_notebooks_in(project.root)]
    if not found:
        raise UsageError(
            f"there is nothing to check in {project.root}: no pipelines/*.yaml and no notebook with step tags",
            hint="name a notebook, or begin with `nbci init`",
        )
    return found


def _pipelines_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix in _PIPELINE_SUFFIXES and path.is_file())


def _tagged_notebooks_in(folder: Path) -> list[Path]:
    return [path for path in _notebooks_in(folder) if _may_have_steps(path)]


def _notebooks_in(folder: Path) -> Iterator[Path]:
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED_FOLDERS
            and not os.path.exists(os.path.join(top, name, "pyvenv.cfg"))
        )
        yield from (Path(top, name) for name in sorted(files) if name.endswith(".ipynb") and not name.startswith("."))


def _may_have_steps(path: Path) -> bool:
    """Whether a tag of the notebook begins a step; of one that cannot be read, whether its text looks like it."""
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return False
    if not any(f'"{prefix}' in text for prefix in _STEP_TAGS):
        return False
    try:
        cells = json.loads(text)["cells"]
        tags = [tag for cell in cells for tag in cell["metadata"].get("tags", ())]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return True
    return any(str(tag).startswith(_STEP_TAGS) for tag in tags)


def _check(project: Project, relatives: Sequence[str]) -> Checked:
    pipelines = [path for path in dict.fromkeys(relatives) if path.endswith(_PIPELINE_SUFFIXES)]
    notebooks = dict.fromkeys(path for path in relatives if not path.endswith(_PIPELINE_SUFFIXES))
    texts = {path: _read(project, path) for path in pipelines}
    named_by: dict[str, tuple[str, ...]] = {}
    derived: set[str] = set()
    for path, data in texts.items():
        by_dataflow, named_by[path] = orders_by_dataflow(data.decode("utf-8-sig", errors="replace"), path)
        present = [name for name in named_by[path] if (project.root / name).is_file()]
        notebooks.update(dict.fromkeys(present))
        derived.update(present if by_dataflow else ())
    findings: list[Finding] = []
    understood: dict[str, TaggedNotebook | None] = {}
    for path in notebooks:
        checked = check_notebook(_read(project, path), path, by_dataflow=path in derived)
        findings += checked.findings
        understood[path] = checked.tagged
    for path, data in texts.items():
        findings += check_pipeline(
            data, path, exists=lambda name: (project.root / name).is_file(), notebooks=understood
        )
    return Checked(paths=(*pipelines, *notebooks), findings=tuple(findings))


def _read(project: Project, relative: str) -> bytes:
    try:
        return (project.root / relative).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=Location(relative)) from error
