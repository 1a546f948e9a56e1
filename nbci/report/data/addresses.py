"""Find where what the pages name can be seen: commits, builds, changes, other runs, notebooks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from nbci.errors import NbciError
from nbci.pipeline.paths import is_outside
from nbci.runs.file_names import NOTEBOOK
from nbci.web_pages import Repository, build_url, checked_page, repository_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.records.run_record import RunRecord, StepRecord
    from nbci.report.data.material import Material
    from nbci.runs.folder import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Addresses that are known; None and absent where they are not.

    Of `runs` by their ids and of `notebooks` by their paths in the run's folder, they lead out of
    the report's folder. `files` is the page of all files that the build kept.
    """

    repository: Repository | None = None
    files: str | None = None
    runs: Mapping[str, str] = field(default_factory=dict)
    notebooks: Mapping[str, str] = field(default_factory=dict)


NOWHERE = Addresses()
"""For pages that lead nowhere else."""


def find_addresses(
    project: Project,
    material: Material,
    folder: RunFolder,
    pages: Path,
    environ: Mapping[str, str],
) -> Addresses:
    """What the pages that are written into the folder `pages` can lead to.

    A build keeps the report apart from the run's folder, so that nothing lies beside its pages.
    """
    record = material.run.record
    repository = _repository(project, record, environ)
    if not build_url(environ):
        return Addresses(
            repository=repository,
            runs=dict(_runs_beside(material, folder, pages)),
            notebooks=dict(_notebooks_beside(record, folder, pages)),
        )
    files, build = None, build_page(record)
    # Under Jenkins' policy a link to a notebook opens nothing: "Download is disallowed". From the
    # list of the build's files it can be had.
    if build and environ.get("BUILD_URL"):
        files = f"{build.rstrip('/')}/artifact/"
    return Addresses(repository=repository, files=files, runs=dict(_builds_of_runs(material)))


def build_page(record: RunRecord) -> str | None:
    """The page of the build that a run was part of."""
    # Most controllers of Jenkins inside a company have no TLS.
    return checked_page(record.build, http_too=True)


def _repository(
    project: Project, record: RunRecord, environ: Mapping[str, str]
) -> Repository | None:
    if record.git is None or record.git.commit is None:
        return None
    from nbci.git.process import REMOTE, Git

    try:
        remote = Git(project.root).get("remote", "get-url", operands=[REMOTE])
    except NbciError:
        # Git is not installed, and nothing but links is missing.
        return None
    return repository_of(remote, record.change, environ)


def _runs_beside(material: Material, folder: RunFolder, pages: Path) -> Iterator[tuple[str, str]]:
    for run in _named_runs(material):
        try:
            page = folder.beside(run).report / "index.html"
        except NbciError:
            continue
        if page.parent != pages and page.exists():
            yield run, _relative(page, pages)


def _named_runs(material: Material) -> set[str]:
    """The runs that the pages name."""
    record = material.run.record
    named = {record.run}
    named.update(past.run for past in material.history)
    named.update(step.run for step in record.steps if step.run)
    if material.baseline is not None:
        named.add(material.baseline.run.record.run)
    return named


def _builds_of_runs(material: Material) -> Iterator[tuple[str, str]]:
    """The run that is compared with, by its build: its report is kept there."""
    if material.baseline is None:
        return
    record = material.baseline.run.record
    build = build_page(record)
    if build:
        yield record.run, build


def _notebooks_beside(
    record: RunRecord, folder: RunFolder, pages: Path
) -> Iterator[tuple[str, str]]:
    for step in record.steps:
        try:
            place = folder.step(step.name)
        except NbciError:
            continue
        for name in _notebook_names(step):
            path = place / name
            if path.exists():
                yield f"steps/{step.name}/{name}", _relative(path, pages)


def _notebook_names(step: StepRecord) -> set[str]:
    names = {NOTEBOOK}
    for attempt in step.attempts:
        if attempt.notebook and not is_outside(attempt.notebook):
            names.add(attempt.notebook)
    return names


def _relative(path: Path, pages: Path) -> str:
    return quote(os.path.relpath(path, pages).replace(os.sep, "/"))
