"""Find what there is to check in a project, read it from disk and check it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.config import Project, find_project
from nbci.dataflow.origin import NOTHING_BROUGHT
from nbci.errors import Location, UsageError
from nbci.kernels.specs import why_missing
from nbci.kernels.startup import brought_names
from nbci.lint.check import check_notebook, check_pipeline, missing_kernel, notebooks_asked
from nbci.lint.compositions import check_compositions, referred_to
from nbci.notebook.read import SUFFIXES
from nbci.project.sources import project_reader, star_imports
from nbci.project.targets import (
    PIPELINE_SUFFIXES,
    did_you_mean,
    notebooks_in,
    pipelines_in,
    tagged_notebooks_in,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.lint.finding import Finding
    from nbci.pipeline.model import TaggedNotebook


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found, by path, and the files that were checked."""

    paths: tuple[str, ...]
    findings: tuple[Finding, ...]


def check_targets(names: Sequence[str], here: Path) -> Checked:
    """Check the named files and folders, or without any the whole project around `here`."""
    paths: list[Path] = []
    for name in names:
        paths += _named(name)
    if not names:
        paths = _of_project(find_project(here))

    by_project: dict[Path, tuple[Project, list[str]]] = {}
    for path in paths:
        project = find_project(path)
        by_project.setdefault(project.root, (project, []))[1].append(project.relative(path))

    all_paths: list[str] = []
    findings: list[Finding] = []
    for project, relatives in by_project.values():
        checked = _check(project, relatives)
        all_paths += checked.paths
        findings += checked.findings
    return Checked(paths=tuple(all_paths), findings=tuple(findings))


def _named(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        found = [*pipelines_in(path), *notebooks_in(path)]
        if not found:
            raise UsageError(
                "this folder holds no pipeline and no notebook",
                hint="name a notebook or a pipeline file",
                where=Location(name),
            )
        return found
    if not path.exists():
        raise UsageError("there is no such file", hint=did_you_mean(name), where=Location(name))
    if path.suffix not in (*SUFFIXES, *PIPELINE_SUFFIXES):
        raise UsageError(
            "this is neither a notebook (.ipynb, .py, .md) nor a pipeline (.yaml)",
            where=Location(name),
        )
    return [path]


def _of_project(project: Project) -> list[Path]:
    found = [*pipelines_in(project.root / "pipelines"), *tagged_notebooks_in(project.root)]
    if not found:
        raise UsageError(
            f"there is nothing to check in {project.root}: "
            "no pipelines/*.yaml and no notebook with step tags",
            hint="name a notebook, or begin with `nbci init`",
        )
    return found


def _check(project: Project, relatives: Sequence[str]) -> Checked:
    pipelines: list[str] = []
    # a dict for a set in the order of the first mention
    notebooks: dict[str, None] = {}
    for path in dict.fromkeys(relatives):
        if path.endswith(PIPELINE_SUFFIXES):
            pipelines.append(path)
        else:
            notebooks[path] = None

    def exists(name: str) -> bool:
        return (project.root / name).is_file()

    of_project = brought_names(project.names, os.environ)
    texts = {path: _read(project, path) for path in pipelines}
    derived: set[str] = set()
    elsewhere: set[str] = set()
    composed: set[str] = set()
    brought = dict.fromkeys(notebooks, of_project)
    for path, data in texts.items():
        # check_pipeline reports bytes that are not UTF-8; here they must not end the check of the
        # others
        asked = notebooks_asked(data.decode("utf-8-sig", errors="replace"), path)
        present = list(filter(exists, asked.named))
        notebooks.update(dict.fromkeys(present))
        if asked.by_dataflow:
            derived.update(present)
        elsewhere |= asked.elsewhere
        for name in present:
            brought[name] = brought.get(name, of_project).also(asked.names)

    # notebooks referred to are checked as well, because the composition needs them understood
    for path in list(notebooks):
        named = list(filter(exists, referred_to(path, _read(project, path))))
        notebooks.update(dict.fromkeys(named))
        composed.update(named)

    findings: list[Finding] = []
    understood: dict[str, TaggedNotebook | None] = {}
    for path in notebooks:
        checked = check_notebook(
            _read(project, path),
            path,
            by_dataflow=path in derived,
            star_imports=lambda notebook: star_imports(notebook, project_reader(project)),
            brought=brought.get(path, NOTHING_BROUGHT),
            composed=path in composed,
        )
        findings += checked.findings
        if checked.kernel is not None and path not in elsewhere:
            findings += _missing_kernels(path, checked.kernel)
        understood[path] = checked.tagged

    # before the pipelines, which are put together from the compositions that this makes
    findings += check_compositions(understood, brought, exists)
    for path, data in texts.items():
        findings += check_pipeline(
            data,
            path,
            exists=exists,
            notebooks=understood,
            brought=of_project,
        )
    return Checked(paths=(*pipelines, *notebooks), findings=tuple(findings))


def _missing_kernels(path: str, kernel: str) -> Iterator[Finding]:
    error = why_missing(kernel)
    if error is not None:
        yield missing_kernel(path, error)


def _read(project: Project, relative: str) -> bytes:
    try:
        return (project.root / relative).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=Location(relative)) from error
