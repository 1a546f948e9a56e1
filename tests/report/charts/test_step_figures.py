"""The figures of a run: paths, words and numbers."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from nbci.plan.compare import RunDifference
from nbci.records.run_record import FileRef, Scrap, StepRecord
from nbci.report.charts import Figure, figures_of
from nbci.report.data.material import Baseline, Material, ShownRun
from tests.report.report_samples import plan, planned, run

MATRIX = {"labels": ["cat", "dog"], "matrix": [[8, 2], [1, 9]]}
ROC = {"fpr": [0, 0.5, 1], "tpr": [0, 0.8, 1]}


def shown_run(scraps: dict[str, Any], files: dict[str, str]) -> ShownRun:
    step = StepRecord(
        name="judge/held-out",
        result="passed",
        scraps=tuple(Scrap(name=name, data=data) for name, data in scraps.items()),
        outs=tuple(FileRef(path=path, digest="1", bytes=1) for path in files),
    )
    return ShownRun(
        record=run(step),
        plan=plan(planned(step.name)),
        notebooks={},
        read_file=lambda path: files[path].encode() if path in files else None,
    )


def material(
    scraps: dict[str, Any],
    earlier: dict[str, Any] | None = None,
    files: dict[str, str] | None = None,
) -> Material:
    shown = shown_run(scraps, files or {})
    if earlier is None:
        return Material(run=shown)
    baseline = Baseline(
        title="champion",
        run=shown_run(earlier, files or {}),
        difference=RunDifference(before="a", after="b"),
    )
    return Material(run=shown, baseline=baseline)


def only(figures: tuple[Figure, ...]) -> Figure:
    (figure,) = figures
    return figure


def test_a_figure_has_all_that_a_page_needs() -> None:
    figure = only(figures_of(material({"roc": ROC}, {"roc": {**ROC, "tpr": [0, 0.6, 1]}})))
    assert (figure.step, figure.name, figure.title, figure.source) == (
        "judge/held-out",
        "roc",
        "ROC curve",
        "scrap roc",
    )
    assert figure.path == "figures/judge__held-out/roc.svg"
    assert figure.content.startswith(b"<?xml")
    assert figure.width > 300
    assert figure.alt == "ROC curve: AUC 0.65, baseline 0.55"
    assert figure.numbers is not None
    assert figure.numbers.heads == ("Curve", "AUC", "Baseline", "Change")
    assert figure.numbers.rows == (("curve", "0.65", "0.55", "+0.1"),)


@pytest.mark.parametrize(
    ("record", "earlier", "alt"),
    [
        (
            MATRIX,
            None,
            "Confusion matrix of 2 classes: 85.00% of 20 right; most often cat taken for dog: 2",
        ),
        (
            MATRIX,
            {"labels": ["cat", "dog"], "matrix": [[9, 1], [1, 9]]},
            (
                "Confusion matrix of 2 classes: 85.00% of 20 right, baseline 90.00%; "
                "most often cat taken for dog: 2"
            ),
        ),
        (
            MATRIX,
            ROC,
            "Confusion matrix of 2 classes: 85.00% of 20 right; most often cat taken for dog: 2",
        ),
        (ROC, {"chart": "roc"}, "ROC curve: AUC 0.65"),
        (
            {"chart": "learning_curve", "series": {"train": [3, 2], "test": [4, 3]}},
            {"chart": "learning_curve", "series": {"test": [4, 2]}},
            "Learning curve of 2: last: train 2; test 3, baseline 2",
        ),
        (
            {"chart": "feature_importance", "importance": {"hue": 0.1, "alcohol": -0.5}},
            None,
            "Feature importance of 2 features: most important alcohol -0.5, hue 0.1",
        ),
        (
            {"chart": "calibration", "predicted": [0.1, 0.9], "observed": [0.2, 0.7]},
            None,
            "Calibration: largest distance from the diagonal 0.2",
        ),
    ],
)
def test_the_words_say_what_is_to_be_seen(record: Any, earlier: Any, alt: str) -> None:
    assert only(figures_of(material({"x": record}, {"x": earlier} if earlier else None))).alt == alt


def test_what_cannot_be_drawn_is_named_and_the_others_are_drawn() -> None:
    first, second, third = figures_of(
        material(
            {"roc": {"fpr": [0, 1], "tpr": [0]}, "matrix": MATRIX}, files={"plots/roc.json": "{"}
        )
    )
    assert (first.path, first.title) == (None, "scrap roc")
    assert first.note == "It cannot be drawn: fpr has 2 numbers and tpr has 1"
    assert second.path is not None
    assert (third.path, third.title, third.note) == (
        None,
        "plots/roc.json",
        "It cannot be drawn: it is not JSON",
    )


def test_without_matplotlib_there_are_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    figure = only(figures_of(material({"roc": ROC})))
    assert figure.path is None
    assert figure.note is not None
    assert "nbci[plots]" in figure.note
    assert figure.numbers is not None


def test_a_brief_report_has_the_numbers_and_says_who_draws_them() -> None:
    figure = only(figures_of(replace(material({"roc": ROC}), is_brief=True)))
    assert figure.path is None
    assert figure.numbers is not None
    assert "nbci report" in (figure.note or "")


def test_names_of_files_are_different_and_safe() -> None:
    names = ["a/b", "a__b", "A/B", "../../x", "roc", "ROC"]
    paths = [figure.path or "" for figure in figures_of(material(dict.fromkeys(names, ROC)))]
    assert len({path.lower() for path in paths}) == len(names)
    assert all(
        path.startswith("figures/judge__held-out/") and path.count("/") == 2 for path in paths
    )


def test_a_report_draws_so_many_pictures_and_says_how_many_more_there_are() -> None:
    figures = figures_of(
        material({f"matrix {at}": {"labels": ["a"], "matrix": [[1]]} for at in range(63)})
    )
    assert all(figure.path for figure in figures[:-1])
    assert figures[-1].note == "3 more records not drawn: a report has up to 60 pictures"
