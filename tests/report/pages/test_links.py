from __future__ import annotations

from dataclasses import replace

from msgspec.structs import replace as with_fields

from nbci.report.data.addresses import Addresses
from nbci.report.pages.links import notebook_link, run_link, with_run_linked
from nbci.report.render import render_report
from nbci.web_pages import Repository
from tests.report import report_samples as samples
from tests.report.report_pages import Page

RUN = samples.BEFORE.run
ADDRESSES = Addresses(
    repository=Repository("https://github.com/o/r", "github"),
    runs={RUN: f"../../{RUN}/report/index.html"},
    notebooks={
        "steps/models/train/notebook.ipynb": "../steps/models/train/notebook.ipynb",
    },
)


def page(path: str) -> Page:
    material = samples.compared()
    record = with_fields(
        material.run.record,
        build="https://ci.example.org/job/digits/12/",
        change="https://github.com/o/r/pull/5",
    )
    run = replace(material.run, record=record)
    files = render_report(replace(material, run=run, addresses=ADDRESSES))
    return Page(files[path].decode())


def test_the_runs_page_leads_to_what_it_names() -> None:
    index = page("index.html")
    assert samples.NOW.git is not None
    for address in (
        f"https://github.com/o/r/commit/{samples.NOW.git.commit}",
        "https://github.com/o/r/pull/5",
        "https://ci.example.org/job/digits/12/",
        f"../../{RUN}/report/index.html",
    ):
        assert address in index.links
    for words in ("pull request #5", "build 12"):
        assert words in index.text


def test_a_steps_page_leads_on_from_its_own_folder() -> None:
    step = page("steps/models__train.html")
    assert "../../steps/models/train/notebook.ipynb" in step.links
    assert f"../../../{RUN}/report/index.html" in step.links


def test_nothing_is_a_link_whose_address_is_not_known() -> None:
    files = render_report(samples.compared())
    for path in ("index.html", "steps/models__train.html"):
        plain = Page(files[path].decode())
        outside = [link for link in plain.links if ".ipynb" in link or ":" in link]
        assert outside == []


def test_a_sentence_keeps_its_words() -> None:
    text = f"digits@v1 <b>: run {RUN}, as asked for"
    linked = with_run_linked(text, RUN, ADDRESSES)
    assert Page(linked).text == text
    assert with_run_linked(text, "another", ADDRESSES) == with_run_linked(text, RUN, Addresses())
    assert run_link("another", ADDRESSES) == '<code class="id">another</code>'


def test_a_builds_notebooks_are_among_its_files() -> None:
    files = Addresses(files="https://ci.example.org/job/digits/12/artifact/")
    shown = Page(notebook_link("steps/a/notebook.ipynb", files, root="../"))
    assert shown.links == ["https://ci.example.org/job/digits/12/artifact/"]
    assert shown.text == "the executed notebook, one of the build's files"
