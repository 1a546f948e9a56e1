"""Pictures as parts of a page."""

from __future__ import annotations

from nbci.records.run_record import StepRecord
from nbci.report.charts import Figure, Numbers
from nbci.report.data.view import build_shown_steps
from nbci.report.pages.figures_section import charts_section, graph_section
from tests.report.report_pages import Page
from tests.report.report_samples import plan, planned, run

STEPS = build_shown_steps(
    run(StepRecord(name="judge", result="passed"), StepRecord(name="load", result="passed")),
    plan(planned("load"), planned("judge", after=("load",))),
    {},
)
ROC = Figure(
    step="judge",
    name="roc",
    title="ROC <b>",
    alt="ROC curve: AUC 0.9",
    source="scrap roc",
    path="figures/judge/roc.svg",
    content=b"<svg/>",
    width=470,
    height=400,
    numbers=Numbers(heads=("Curve", "AUC"), rows=(("curve", "0.9"),), left_out=3),
)


def test_a_chart_has_its_step_its_words_and_its_numbers() -> None:
    shown = charts_section([ROC], root="", steps=STEPS)
    assert shown is not None
    page = Page(shown)
    assert page.links == ["steps/judge.html"]
    (image,) = page.images
    assert (image["src"], image["alt"], image["width"]) == (
        "figures/judge/roc.svg",
        "ROC curve: AUC 0.9",
        "470",
    )
    for words in ("ROC <b>", "scrap roc", "0.9", "3 more rows not shown"):
        assert words in page.text


def test_what_has_no_picture_shows_its_numbers_at_once_and_says_why() -> None:
    shown = charts_section(
        [Figure(name="roc", title="ROC", note="install it", numbers=ROC.numbers)], root="../"
    )
    assert shown is not None
    page = Page(shown)
    assert not page.images
    assert "details" not in page.tags
    assert "install it" in page.text


def test_many_charts_are_folded() -> None:
    shown = charts_section([ROC] * 10, root="../")
    assert shown is not None
    assert "2 more charts" in Page(shown).text


def test_nothing_recorded_is_no_part() -> None:
    assert charts_section([], root="") is None


def test_the_graph_stands_in_a_box_that_the_keyboard_can_scroll() -> None:
    shown = graph_section(STEPS)
    assert shown is not None
    assert 'tabindex="0"' in shown
    assert Page(shown).links == ["steps/load.html", "steps/judge.html"]
    assert graph_section(STEPS[:1]) is None
