"""Outs of runs, found where they are kept; what is damaged is not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.config import Project
from nbci.data.repository import project_cache
from nbci.gates.predictions import KeptOuts
from nbci.records.run_record import FileRef
from nbci.store.file_index import project_index

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "project").mkdir()
    return Project(root=tmp_path / "project")


def _keep(project: Project, environ: dict[str, str]) -> tuple[FileRef, Path]:
    """A file that is kept, and its object."""
    (project.root / "cases.csv").write_text("label,prediction\n1,1\n")
    artifacts = project_cache(project, environ).artifacts
    ref = artifacts.keep(project.root, "cases.csv", project_index(project))
    return ref, artifacts.objects.path(ref.digest)


def test_what_is_kept_is_found_until_it_is_damaged(project: Project, tmp_path: Path) -> None:
    environ = {"NBCI_CACHE": str(tmp_path / "cache")}
    ref, kept = _keep(project, environ)
    (project.root / "cases.csv").unlink()

    assert KeptOuts(project, environ).place(ref) == kept

    kept.chmod(0o644)
    kept.write_text("label,prediction\n1,0\n")

    assert KeptOuts(project, environ).place(ref) is None


def test_what_stands_where_the_step_wrote_it_is_taken_while_it_is_the_same(
    project: Project, tmp_path: Path
) -> None:
    ref, _ = _keep(project, {"NBCI_CACHE": str(tmp_path / "cache")})
    elsewhere = {"NBCI_CACHE": str(tmp_path / "empty")}
    place = project.root / "cases.csv"

    assert KeptOuts(project, elsewhere).place(ref) == place

    place.write_text("label,prediction\n0,0\n")

    assert KeptOuts(project, elsewhere).place(ref) is None


def test_a_record_names_no_file_outside_the_project(project: Project, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("label,prediction\n1,1\n")
    digest = project_index(project).fingerprint(tmp_path, "secret.csv").digest
    ref = FileRef(path="../secret.csv", digest=digest, bytes=1)

    assert KeptOuts(project, {"NBCI_CACHE": str(tmp_path / "cache")}).place(ref) is None


def test_the_store_of_a_run_in_parts_has_its_outs(project: Project, tmp_path: Path) -> None:
    other = {"NBCI_CACHE": str(tmp_path / "store")}
    ref, _ = _keep(project, other)
    (project.root / "cases.csv").unlink()
    store = project_cache(project, other).own

    found = KeptOuts(project, {"NBCI_CACHE": str(tmp_path / "cache")}, (store,)).place(ref)

    assert found is not None
    assert found.read_text() == "label,prediction\n1,1\n"
