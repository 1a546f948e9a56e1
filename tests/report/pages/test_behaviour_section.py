"""How a model behaves, on the run's page: metrics, slices, and the cases that broke."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nbci.behaviour.difference import differ
from nbci.behaviour.of_runs import StepBehaviour
from nbci.report.data.material import ShownRun
from nbci.report.pages.index.behaviour_section import behaviour_section
from tests.behaviour.tables import pair_of
from tests.report import report_samples as samples
from tests.report.report_pages import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.behaviour.difference import Difference

_PNG = samples.png()


def _broken(**more: Any) -> Difference:
    """Cases that the baseline has right and the run has wrong, with more columns."""
    count = len(next(iter(more.values())))
    cases = {"id": [f"c{number}" for number in range(count)], "label": ["cat"] * count, **more}
    run = {**cases, "prediction": ["dog"] * count}
    return differ(pair_of(run, {**cases, "prediction": ["cat"] * count}))


def _show(
    difference: Difference, outs: Mapping[str, bytes] | None = None, *, cwd: str = "."
) -> tuple[Page, dict[str, bytes]]:
    """The section as a page, and its files; `outs` are those of the run."""
    record = samples.run()
    plan = samples.plan(samples.planned("evaluate", cwd=cwd))
    run = ShownRun(record=record, plan=plan, notebooks={}, read_file=(outs or {}).get)
    behaviour = StepBehaviour(step="evaluate", path="cases.csv", difference=difference)
    shown, files = behaviour_section([behaviour], run)
    assert shown is not None
    return Page(shown), files


def test_a_picture_of_an_out_is_shown_with_its_case() -> None:
    found = _broken(show=["cases/7.png"], score=[0.9763])

    page, files = _show(found, {"cases/7.png": _PNG})

    (image,) = page.images
    assert files == {image["src"]: _PNG}
    assert image["alt"] == "Picture of case c0"
    assert "cat taken for dog" in page.text
    assert "confidence 97.6\N{NO-BREAK SPACE}%" in page.text
    assert "cases/7.png" not in page.text


def test_paths_are_those_by_which_the_step_opens_files() -> None:
    found = _broken(show=["../build/./cases/7.png"])

    page, _ = _show(found, {"build/cases/7.png": _PNG}, cwd="notebooks")

    assert len(page.images) == 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.png", None, "not among the outs that are kept of the run"),
        ("/a.png", _PNG, "not among the outs that are kept of the run"),
        ("../a.png", _PNG, "not among the outs that are kept of the run"),
        ("a.png", _PNG[:-9], "not shown: it is cut off"),
        ("a.png", b"<html>", "not shown: it is no PNG"),
        ("a.png", b"", "not shown: it is empty"),
        ("a.jpeg", _PNG, "not shown: it is no JPEG"),
        ("a.svg", b"\xff\xfe", "not shown: it is not well formed"),
        ("a.svg", b"<html/>", "not shown: it is no SVG"),
        ("a.PNG", _PNG + b"\0" * 200_000, "not shown: it has 200 kB, and those of all cases may"),
    ],
)
def test_what_is_no_picture_of_the_run_is_shown_as_text(
    name: str, content: bytes | None, reason: str
) -> None:
    outs = {"other.png": _PNG, "etc/a.png": _PNG}
    if content is not None:
        outs[name.removeprefix("/").removeprefix("../")] = content

    page, files = _show(_broken(show=[name]), outs)

    assert not page.images
    assert not files
    assert name in page.text
    assert reason in page.text


def test_drawings_are_kept_without_what_acts() -> None:
    drawing = b"<svg onload='x()'><script>x()</script><rect width='9' height='9'/></svg>"

    page, files = _show(_broken(show=["a.svg"]), {"a.svg": drawing})

    (content,) = files.values()
    assert len(page.images) == 1
    assert b"rect" in content
    assert b"x()" not in content


def test_addresses_are_text_without_a_word_about_outs() -> None:
    page, _ = _show(_broken(show=["https://cats.example/7.png"]))

    assert "https://cats.example/7.png" in page.text
    assert "not among" not in page.text


def test_pictures_end_where_the_page_becomes_heavy() -> None:
    large = _PNG + b"\0" * 60_000
    names = [f"{number}.png" for number in range(20)]

    page, files = _show(_broken(show=names), dict.fromkeys(names, large))

    assert len(page.images) == 3
    assert sum(map(len, files.values())) < 200_000
    assert page.text.count("those of all cases may have 200 kB") == 17


def test_texts_are_a_table_with_the_first_cases_unfolded() -> None:
    page, _ = _show(_broken(show=[f"text {number}" for number in range(9)]))

    assert "text 8" in page.text
    assert "3 more cases" in page.text
    # What the baseline said is the label, in every broken case.
    assert "Before" not in page.text


def test_a_title_says_of_how_many_cases_it_shows_some() -> None:
    page, _ = _show(_broken(score=[0.5] * 30))

    assert "20 of 30 broken cases, the most confident first" in page.text


@pytest.mark.parametrize(
    ("score", "text"), [(0.99999, "99.9"), (1.0, "100"), (0.5, "50"), (0.0421, "4.2")]
)
def test_confidence_is_never_rounded_up_to_certainty(score: float, text: str) -> None:
    page, _ = _show(_broken(score=[score]))

    assert f"{text}\N{NO-BREAK SPACE}%" in page.text


def test_scores_that_are_no_probabilities_stay_numbers() -> None:
    page, _ = _show(_broken(score=[3.14159, 0.5]))

    assert "3.142" in page.text
    assert "expected calibration error" not in page.text


def test_calibration_of_both_is_shown() -> None:
    cases = {"id": range(10), "label": ["a"] * 10, "score": [0.8] * 10}
    run = {**cases, "prediction": ["a"] * 6 + ["b"] * 4}
    baseline = {**cases, "prediction": ["a"] * 9 + ["b"]}

    page, _ = _show(differ(pair_of(run, baseline)))

    row = page.text.partition("expected calibration error")[2]
    assert re.findall(r"\+?0\.\d+", row)[:3] == ["0.1", "0.2", "+0.1"]


def test_calibration_of_one_model_alone_is_shown_beside_a_dash() -> None:
    cases = {"id": [1, 2], "label": ["a", "a"], "prediction": ["a", "b"]}

    page, _ = _show(differ(pair_of({**cases, "score": [0.75, 0.75]}, cases)))

    assert "—" in page.text
    assert "0.25" in page.text.partition("expected calibration error")[2]


def test_a_regression_shows_both_predictions() -> None:
    labels = np.arange(60.0)
    cases = {"id": np.arange(60), "label": labels, "show": ["a.png"] * 60}
    run = {**cases, "prediction": labels + 2}

    page, _ = _show(differ(pair_of(run, {**cases, "prediction": labels})), {"a.png": _PNG})

    assert "Cases whose error grew most" in page.text
    assert "0 → 2, label 0" in page.text


def test_one_class_only_is_shown() -> None:
    cases = {"id": range(80), "label": ["a"] * 80, "prediction": ["a"] * 80}

    page, files = _show(differ(pair_of(cases, cases)))

    assert "80 cases: 0 fixed, 0 broken" in page.text
    assert not files


def test_other_classes_are_named_and_counted() -> None:
    cases = {"id": range(4), "label": ["a", "a", "b", "b"]}
    run = {**cases, "prediction": ["a", "new", "b", "b"]}

    page, _ = _show(differ(pair_of(run, {**cases, "prediction": ["a", "a", "b", "old"]})))

    assert "classes that the baseline does not know: new" in page.text
    assert "classes that the run does not know: old" in page.text


def test_a_column_of_10_000_values_makes_no_slices_and_is_named() -> None:
    count = 20_000
    names = [f"n{number % 10_000}" for number in range(count)]

    page, _ = _show(_broken(name=names, half=[number % 2 == 0 for number in range(count)]))

    assert "half = True" in page.text
    assert "no value of name has 50 cases" in page.text


def test_why_there_is_no_comparison_is_said() -> None:
    problem = "their ids differ"
    run = ShownRun(record=samples.run(), plan=samples.plan(), notebooks={})
    shown, files = behaviour_section(
        [StepBehaviour(step="s", path="cases.csv", problem=problem)], run
    )

    assert shown is not None
    assert "The predictions in cases.csv are not compared: their ids differ." in Page(shown).text
    assert files == {}
