from __future__ import annotations

import subprocess
from dataclasses import replace as with_fields
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.config import Project
from nbci.report.data.addresses import Addresses, find_addresses
from nbci.report.data.material import PastRun
from nbci.report.render import render_report
from nbci.runs.folder import RunFolder
from tests.report import report_samples as samples
from tests.report.report_pages import Page

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.report.data.material import Material

BUILD = "https://ci.example.org/job/digits/12/"
REMOTE = "https://ada:s3cr3t@github.com/o/r.git"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", REMOTE], check=True)
    return Project(root=tmp_path)


def folder_of(project: Project, run: str) -> RunFolder:
    return RunFolder(project.runs_folder / run)


def with_report(project: Project, run: str) -> RunFolder:
    folder = folder_of(project, run)
    folder.report.mkdir(parents=True)
    (folder.report / "index.html").write_text("a report")
    return folder


def found(
    project: Project, material: Material, pages: Path | None = None, **environ: str
) -> Addresses:
    folder = folder_of(project, material.run.record.run)
    return find_addresses(project, material, folder, pages or folder.report, environ)


def built(shown: Material, **pages: str) -> Material:
    """The same as runs of a build; those of `pages` are recorded for both."""
    assert shown.baseline is not None
    before = with_fields(shown.baseline.run, record=replace(shown.baseline.run.record, **pages))
    now = with_fields(shown.run, record=replace(shown.run.record, **pages))
    return with_fields(shown, run=now, baseline=with_fields(shown.baseline, run=before))


def test_the_forge_is_that_of_the_remote_without_its_password(project: Project) -> None:
    addresses = found(project, samples.compared())
    assert addresses.repository == ("https://github.com/o/r", "github")
    assert "s3cr3t" not in repr(addresses)


def test_without_git_there_are_no_commits_to_lead_to(tmp_path: Path) -> None:
    assert found(Project(root=tmp_path), samples.compared()).repository is None


def test_runs_and_notebooks_that_are_here_are_led_to(project: Project) -> None:
    shown = samples.compared()
    assert shown.baseline is not None
    before, now = shown.baseline.run.record.run, shown.run.record.run
    assert found(project, shown).runs == {}

    with_report(project, before)
    folder = with_report(project, now)
    notebook = folder.step("models/train") / "notebook.ipynb"
    notebook.parent.mkdir(parents=True)
    notebook.write_text("{}")

    addresses = found(project, shown)
    assert addresses.runs == {before: f"../../{before}/report/index.html"}
    path = "steps/models/train/notebook.ipynb"
    assert addresses.notebooks == {path: f"../{path}"}
    for address in (*addresses.runs.values(), *addresses.notebooks.values()):
        assert (folder.report / address).is_file()

    pages = folder.path / "compared" / before
    compared = found(project, shown, pages)
    assert compared.runs.keys() == {before, now}
    for address in (*compared.runs.values(), *compared.notebooks.values()):
        assert (pages / address).resolve().is_file()


def test_names_that_lead_out_of_the_folder_of_runs_are_passed_over(project: Project) -> None:
    outside = project.root / ".nbci" / "outside" / "report"
    outside.mkdir(parents=True)
    (outside / "index.html").write_text("no run")
    past = PastRun(run="../outside", started_utc=None, result="passed", metrics={})
    assert found(project, with_fields(samples.compared(), history=(past,))).runs == {}


def test_a_build_keeps_nothing_beside_the_pages(project: Project) -> None:
    shown = built(samples.compared(), build=BUILD, change="https://github.com/o/r/pull/5")
    assert shown.baseline is not None
    with_report(project, shown.baseline.run.record.run)

    addresses = found(project, shown, BUILD_URL=BUILD)
    assert addresses.runs == {shown.baseline.run.record.run: BUILD}
    assert addresses.notebooks == {}
    assert addresses.files == "https://ci.example.org/job/digits/12/artifact/"


def test_a_hostile_record_leads_nowhere(project: Project) -> None:
    shown = built(samples.compared(), build="javascript:alert(1)", change="https://e.org/'\"<b>")
    for build in ("", BUILD):
        addresses = found(project, shown, BUILD_URL=build)
        assert addresses.files is None
        assert addresses.runs == {}
    page = Page(render_report(shown)["index.html"].decode())
    assert [link for link in page.links if not link.startswith(("#", "steps/", "style.css"))] == []
