from __future__ import annotations

from typing import Any

from nbci.plan.compare import Change, DataChange, RunDifference
from nbci.records.run_record import FileRef
from nbci.report.data.addresses import NOWHERE
from nbci.report.data.material import Baseline, ShownRun
from nbci.report.pages.changes import changes_section
from tests.report import report_samples as samples
from tests.report.report_pages import Page


def found(**parts: Any) -> RunDifference:
    return RunDifference(before="a", after="b", **parts)


def section(difference: RunDifference) -> Page:
    run = ShownRun(record=samples.run(), plan=samples.plan(), notebooks={})
    return Page(
        changes_section(Baseline(title="run a", run=run, difference=difference), None, NOWHERE)
    )


def test_folders_tell_which_files_came_went_and_changed() -> None:
    before = FileRef(path="raw", digest="a.dir", bytes=10, files=2)
    after = FileRef(path="raw", digest="b.dir", bytes=1_000_000, files=40)
    change = DataChange(
        path="raw",
        kind="changed",
        role="in",
        before=before,
        after=after,
        added=tuple(f"{number}.png" for number in range(39)),
        removed=("old.png",),
        files_known=True,
    )
    page = section(found(data=(change,)))
    for words in (
        "2 files, 10 B",
        "40 files, 1 MB",
        "raw: 39 files added, 1 file removed",
        "… and 19 more added",
    ):
        assert words in page.text


def test_thousands_of_differences_are_folded_and_cut() -> None:
    page = section(
        found(environment=tuple(Change(name=f"p{n}", before="1", after="2") for n in range(1000)))
    )
    assert "1,000 differ" in page.text
    assert "… and 800 more." in page.text
    assert page.tags.count("tr") == 201


def test_nothing_differs() -> None:
    assert "Nothing differs." in section(found()).text
    assert (
        "Not compared: it is the first."
        in Page(changes_section(None, "it is the first", NOWHERE)).text
    )
