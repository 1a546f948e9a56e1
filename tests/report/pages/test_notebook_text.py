"""The Markdown cells of notebooks: on the steps' pages, and their headings on the run's."""

from __future__ import annotations

from dataclasses import replace as with_fields
from typing import Any

from msgspec.structs import replace

from nbci.plan.model import MarkdownCell, PlannedCell
from nbci.records.run_record import StepRecord
from nbci.report.data.material import Baseline, Material, ShownRun
from nbci.report.render import render_report
from tests.report import report_samples as samples
from tests.report.report_pages import Page, pages

_NOTEBOOK = "notebooks/digits.ipynb"


def material(*texts: tuple[int, str], **more: Any) -> Material:
    """A run of one notebook: `load` has cells 10 and 20, `fit` has cell 30."""
    cells = tuple(MarkdownCell(number=number, source=source) for number, source in texts)
    plan = samples.plan(
        samples.planned("load", code(10, "a = 10"), code(20, "b = 20")),
        samples.planned("fit", code(30, "c = 30")),
        markdown={_NOTEBOOK: cells},
    )
    records = (record("load", 10, 20), record("fit", 30))
    notebooks = {
        "load": samples.notebook(samples.code_cell("a = 10"), samples.code_cell("b = 20")),
        "fit": samples.notebook(samples.code_cell("c = 30")),
    }
    run = ShownRun(record=samples.run(*records), plan=plan, notebooks=notebooks)
    return Material(run=with_fields(run, **more))


def code(number: int, source: str) -> PlannedCell:
    return PlannedCell(role="step", number=number, source=source)


def record(name: str, *numbers: int, **more: Any) -> StepRecord:
    letters = {10: "a", 20: "b", 30: "c"}
    ran = tuple(samples.ran(number, f"{letters[number]} = {number}") for number in numbers)
    attempt = replace(samples.TRAIN.attempts[1], number=1, cells=ran)
    return StepRecord(name=name, attempts=(attempt,), **{"result": "passed", **more})


def shown(found: Material) -> dict[str, Page]:
    return pages(render_report(found))


def is_in_order(page: Page, *words: str) -> bool:
    return sorted(words, key=page.text.index) == list(words)


def test_text_stands_between_the_cells_where_the_notebook_has_it() -> None:
    texts = [
        (1, "# Digits"),
        (15, "*Then* twenty."),
        (25, "It ends."),
        (26, "## Fit"),
        (40, "Bye."),
    ]
    found = shown(material(*texts))
    load, fit = found["steps/load.html"], found["steps/fit.html"]
    assert is_in_order(load, "Digits", "a = 10", "Then twenty.", "b = 20", "It ends.")
    assert is_in_order(fit, "Fit", "c = 30", "Bye.")
    assert "It ends." not in fit.text


def test_imports_that_stand_far_below_take_no_text_with_them() -> None:
    plan = samples.plan(
        samples.planned(
            "load",
            PlannedCell(role="imports", number=50, source="import math"),
            PlannedCell(role="functions", number=4, source="def f(): pass"),
            code(10, "a = 10"),
        ),
        markdown={
            _NOTEBOOK: (
                MarkdownCell(number=3, source="Helpers."),
                MarkdownCell(number=9, source="Loading."),
                MarkdownCell(number=12, source="Loaded."),
            )
        },
    )
    run = ShownRun(
        record=samples.run(StepRecord(name="load", result="passed")), plan=plan, notebooks={}
    )
    page = shown(Material(run=run))["steps/load.html"]
    assert is_in_order(page, "import math", "Helpers.", "def f", "Loading.", "a = 10", "Loaded."), (
        page.text
    )


def test_a_reused_step_has_the_text_and_numbers_of_the_plan() -> None:
    # It ran when cell 10 was cell 3.
    ran = (samples.ran(3, "a = 10"), samples.ran(4, "b = 20"))
    reused = record("load", 10, 20, result="reused", run="20260101-000000-ffff")
    reused = replace(reused, attempts=(replace(reused.attempts[0], cells=ran),))
    found = material((9, "Above ten."), (15, "Above twenty."))
    run = with_fields(found.run, record=samples.run(reused, record("fit", 30)))
    for notebooks in (run.notebooks, {}):
        page = shown(with_fields(found, run=with_fields(run, notebooks=notebooks)))[
            "steps/load.html"
        ]
        assert is_in_order(page, "Above ten.", "Cell 10", "a = 10", "Above twenty.", "Cell 20")
        assert "Cell 3" not in page.text


def test_headings_lead_to_their_places() -> None:
    texts = [
        (1, "# Digits\n\n## Why\n\nSo.\n\n## Why\n\n# `a` *b*"),
        (26, "## Fit"),
        (27, "## Fit"),
    ]
    index = shown(material(*texts))["index.html"]
    assert [link for link in index.links if link.startswith("steps/") and "#" in link] == [
        "steps/load.html#text-1",
        "steps/load.html#u-Why",
        # The second of one name has no id of its own: it leads to its cell.
        "steps/load.html#text-1",
        "steps/load.html#u--a---b-",
        "steps/fit.html#text-26",
        "steps/fit.html#text-27",
    ]
    assert is_in_order(index, _NOTEBOOK, "Digits", "Why", "a b", "Fit")


def test_headings_of_a_step_without_page_are_no_links() -> None:
    reused = record("load", 10, 20, result="reused", run="20260101-000000-ffff")
    found = material((1, "# Digits"), (26, "## Fit"))
    run = with_fields(
        found.run,
        record=samples.run(reused, record("fit", 30)),
        notebooks={"fit": found.run.notebooks["fit"]},
    )
    index = shown(with_fields(found, run=run, reused_too=False))["index.html"]
    assert "Digits" in index.text
    assert [link for link in index.links if "#text-" in link] == ["steps/fit.html#text-26"]


def test_the_steps_of_a_matrix_have_one_outline() -> None:
    found = material((1, "# Digits"))
    load = found.run.plan.steps[0]
    plan = replace(found.run.plan, steps=(load, replace(load, name="again")))
    records = (record("load", 10, 20), record("again", 10, 20))
    run = with_fields(found.run, plan=plan, record=samples.run(*records))
    files = shown(with_fields(found, run=run))
    assert files["index.html"].links.count("steps/load.html#text-1") == 1
    assert "Digits" in files["steps/again.html"].text


def test_many_headings_are_folded() -> None:
    source = "\n\n".join(f"# Part {number}" for number in range(100))
    assert "60 more headings" in shown(material((1, source)))["index.html"].text


def test_pictures_of_a_text_are_files() -> None:
    attached = MarkdownCell(
        number=1,
        source=(
            f"![one](attachment:a.png) ![two](data:image/png;base64,{samples.PNG}) ![three](x.png)"
        ),
        attachments={"a.png": {"image/png": samples.PNG}},
    )
    found = material()
    plan = replace(found.run.plan, markdown={_NOTEBOOK: (attached,)})
    files = render_report(with_fields(found, run=with_fields(found.run, plan=plan)))
    page = pages(files)["steps/load.html"]
    assert [image["alt"] for image in page.images] == ["one", "two"]
    assert files["images/load/text-1-1.png"] == samples.png()
    assert "[picture: three]" in page.text


def test_a_picture_within_a_text_does_not_make_it_long() -> None:
    picture = "A" * 200_000
    page = shown(material((1, f"# Digits\n\n![p](data:image/png;base64,{picture})")))
    assert "AAAA" not in page["steps/load.html"].text
    long = shown(material((1, "# Digits\n\n" + "word " * 50_000)))
    assert "# Digits" in long["steps/load.html"].text
    assert "#text-1" not in "".join(long["index.html"].links)


def test_hostile_text_is_shown_and_does_nothing() -> None:
    hostile = (
        "# <script>alert(1)</script> [x](javascript:alert(1)) \u202eevil\n\n"
        '<img src=x onerror="alert(1)"><svg onload=alert(1)></svg><style>*{}</style>\n\n'
        "<a href='#content' id='content-title'>up</a>"
    )
    files = render_report(material((1, hostile), (26, "# </a></main><h1>")))
    for page in ("index.html", "steps/load.html", "steps/fit.html"):
        for forbidden in (b"<script", b"javascript:", b"onerror", b"onload", b"<style"):
            assert forbidden not in files[page]
    pages(files)


def test_text_that_changed_is_marked_and_text_of_old_runs_is_not() -> None:
    now = material((9, "# Digits\n\nNow."), (15, "New."))
    before = material((9, "# Digits\n\nThen."))
    none = with_fields(
        before, run=with_fields(before.run, plan=replace(before.run.plan, markdown=None))
    )

    compared = compared_with(now, before)
    assert "Changed: text in cell 9" in compared.text
    assert "New: text in cell 15" in compared.text

    compared = compared_with(now, none)
    assert "Every cell and its outputs are the same." in compared.text
    assert is_in_order(compared, "Now.", "a = 10", "New.", "b = 20")

    compared = compared_with(none, now)
    assert "Every cell and its outputs are the same." in compared.text
    assert "Gone" not in compared.text


def compared_with(now: Material, before: Material) -> Page:
    difference = samples.compared().baseline
    assert difference is not None
    baseline = Baseline(title="run x", run=before.run, difference=difference.difference)
    return shown(with_fields(now, baseline=baseline))["steps/load.html"]
