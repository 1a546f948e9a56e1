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
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.lint.check import CheckedNotebook
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
        paths += _paths_of(name)
    if not names:
        paths = _paths_in(find_project(here))

    by_project: dict[Path, tuple[Project, list[str]]] = {}
    for path in paths:
        project = find_project(path)
        by_project.setdefault(project.root, (project, []))[1].append(project.relative(path))

    all_paths: list[str] = []
    findings: list[Finding] = []
    for project, relatives in by_project.values():
        checks = _ProjectChecks(project, relatives)
        findings += checks.findings()
        all_paths += (*checks.pipelines, *checks.notebooks)
    return Checked(paths=tuple(all_paths), findings=tuple(findings))


def _paths_of(name: str) -> list[Path]:
    """The file of this name, or what the folder of this name holds."""
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


def _paths_in(project: Project) -> list[Path]:
    found = [*pipelines_in(project.root / "pipelines"), *tagged_notebooks_in(project.root)]
    if not found:
        raise UsageError(
            f"there is nothing to check in {project.root}: "
            "no pipelines/*.yaml and no notebook with step tags",
            hint="name a notebook, or begin with `nbci init`",
        )
    return found


class _ProjectChecks:
    """Checks the files of one project, each with what the others say of it.

    `pipelines` are the files with their bytes, `notebooks` a set in the order of the first mention.
    """

    def __init__(self, project: Project, relatives: Iterable[str]) -> None:
        self._project = project
        self.pipelines: dict[str, bytes] = {}
        self.notebooks: dict[str, None] = {}
        for path in relatives:
            if path.endswith(PIPELINE_SUFFIXES):
                self.pipelines[path] = self._read(path)
            else:
                self.notebooks[path] = None
        self._of_project = brought_names(project.names, os.environ)
        self._brought = dict.fromkeys(self.notebooks, self._of_project)
        self._by_dataflow: set[str] = set()
        self._elsewhere: set[str] = set()
        self._composed: set[str] = set()

    def findings(self) -> list[Finding]:
        """What the rules find in the files, and in the notebooks that these name."""
        self._add_notebooks_of_pipelines()
        self._add_notebooks_referred_to()
        understood: dict[str, TaggedNotebook | None] = {}
        findings: list[Finding] = []
        for path in self.notebooks:
            checked = self._check_notebook(path)
            findings += checked.findings
            if checked.kernel is not None and path not in self._elsewhere:
                findings += _missing_kernels(path, checked.kernel)
            understood[path] = checked.tagged

        # before the pipelines, which are put together from the compositions that this makes
        findings += check_compositions(understood, self._brought, self._exists)
        for path, data in self.pipelines.items():
            findings += check_pipeline(
                data,
                path,
                exists=self._exists,
                notebooks=understood,
                brought=self._of_project,
            )
        return findings

    def _add_notebooks_of_pipelines(self) -> None:
        for path, data in self.pipelines.items():
            # check_pipeline reports bytes that are not UTF-8; here they must not end the check of
            # the others
            asked = notebooks_asked(data.decode("utf-8-sig", errors="replace"), path)
            self._elsewhere |= asked.elsewhere
            for name in filter(self._exists, asked.named):
                self.notebooks[name] = None
                if asked.by_dataflow:
                    self._by_dataflow.add(name)
                brought = self._brought.get(name, self._of_project)
                self._brought[name] = brought.also(asked.names)

    def _add_notebooks_referred_to(self) -> None:
        """Add notebooks that others refer to: a composition needs them understood."""
        for path in list(self.notebooks):
            for name in filter(self._exists, referred_to(path, self._read(path))):
                self.notebooks[name] = None
                self._composed.add(name)

    def _check_notebook(self, path: str) -> CheckedNotebook:
        return check_notebook(
            self._read(path),
            path,
            by_dataflow=path in self._by_dataflow,
            star_imports=lambda notebook: star_imports(notebook, project_reader(self._project)),
            brought=self._brought.get(path, NOTHING_BROUGHT),
            composed=path in self._composed,
        )

    def _exists(self, name: str) -> bool:
        return (self._project.root / name).is_file()

    def _read(self, relative: str) -> bytes:
        try:
            return (self._project.root / relative).read_bytes()
        except OSError as error:
            raise UsageError(
                f"cannot be read: {error.strerror}", where=Location(relative)
            ) from error


def _missing_kernels(path: str, kernel: str) -> Iterator[Finding]:
    error = why_missing(kernel)
    if error is not None:
        yield missing_kernel(path, error)
