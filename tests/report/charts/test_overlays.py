from __future__ import annotations

from typing import Any

from nbci.pipeline.rules import DeclaredMetric
from nbci.records.run_record import Metric, ParameterValue, Scrap, StepRecord
from nbci.report.charts.overlays import overlays_of
from nbci.report.data.many_runs import ManyRuns, compare_runs
from nbci.report.data.material import ShownRun
from tests.report.report_samples import plan, planned
from tests.report.report_samples import run as sample

LOSS = {"p": {"val_loss": DeclaredMetric(direction="down")}}


def roc(height: float) -> dict[str, Any]:
    return {"fpr": [0, 0.5, 1], "tpr": [0, height, 1]}


def losses(*values: float) -> dict[str, Any]:
    return {"chart": "learning_curve", "y_label": "val_loss", "series": {"": list(values)}}


def shown(at: int, scraps: dict[str, Any], **step: Any) -> ShownRun:
    data = tuple(Scrap(name=name, data=value) for name, value in scraps.items())
    record = sample(
        StepRecord(name="fit", result="passed", scraps=data, **step),
        run=f"R{at}",
        pipeline="p",
        params=(ParameterValue(name="C", value=at, source="-p"),),
    )
    return ShownRun(record=record, plan=plan(planned("fit")), notebooks={})


def compared(runs: list[ShownRun], declared: Any = None) -> ManyRuns:
    return compare_runs([run.record for run in runs], declared or {}, {})


def test_one_picture_has_the_curves_of_all_runs_the_best_first() -> None:
    runs = [shown(at, {"roc": roc(at / 10)}) for at in range(1, 9)]
    (figure,) = overlays_of(runs, compared(runs))
    assert figure.path == "figures/fit__roc.svg"
    assert figure.alt == "ROC curve of 8 runs; first 8: C=8: AUC 0.65"
    assert figure.numbers is not None
    assert [row[0] for row in figure.numbers.rows] == [f"{at}: C={at}" for at in range(8, 0, -1)]
    text = figure.content.decode()
    for name in ("8: C=8 (AUC 0.65)", "5: C=5 (AUC 0.5)", "4 others"):
        assert name in text
    assert "4: C=4" not in text


def test_a_legend_of_200_runs_names_the_best_few() -> None:
    runs = [shown(at, {"roc": roc(at / 200)}) for at in range(200)]
    (figure,) = overlays_of(runs, compared(runs))
    assert "196 others" in figure.content.decode()
    assert figure.height < 450
    assert len(figure.content) < 400_000


def test_of_a_loss_the_lowest_is_the_best_where_that_is_declared() -> None:
    metrics = (Metric(name="val_loss", value=1.0, source=""),)
    runs = [
        shown(1, {"fit": losses(3, 2)}, metrics=metrics),
        shown(2, {"fit": losses(4, 1)}, metrics=metrics),
    ]
    (figure,) = overlays_of(runs, compared(runs, LOSS))
    assert figure.alt == "Learning curve of 2 runs; first 2: C=2: Last value 1"
    (figure,) = overlays_of(runs, compared(runs))
    assert figure.alt == "Learning curve of 2 runs; first 1: C=1: Last value 2"


def test_what_one_run_alone_recorded_is_laid_over_nothing() -> None:
    runs = [shown(1, {"roc": roc(0.5)}), shown(2, {"other": roc(0.5)})]
    assert overlays_of(runs, compared(runs)) == ()


def test_curves_of_two_kinds_are_not_drawn_together() -> None:
    runs = [shown(1, {"a": roc(0.5)}), shown(2, {"a": losses(1, 2)}), shown(3, {"a": roc(0.6)})]
    (figure,) = overlays_of(runs, compared(runs))
    assert figure.numbers is not None
    assert [row[0] for row in figure.numbers.rows] == ["3: C=3", "1: C=1"]


def test_of_many_lines_those_have_a_picture_in_which_the_runs_differ_most() -> None:
    runs = []
    for at in (0, 1):
        classes = {f"class {number}": roc(0.1 + at * number / 10) for number in range(6)}
        runs.append(shown(at, {"roc": {"chart": "roc", "curves": classes}}))
    figures = overlays_of(runs, compared(runs))
    assert [figure.title for figure in figures] == [f"ROC curve: class {at}" for at in range(2, 6)]
    assert figures[0].note == "2 more curves of this chart, in which the runs differ less"


def test_a_reused_step_is_read_once() -> None:
    asked: list[str] = []

    class Notebooks(dict[str, Any]):
        def get(self, name: str, default: Any = None) -> Any:
            asked.append(name)
            return default

    runs = []
    for at in (1, 2, 3):
        one = shown(at, {"roc": roc(0.5)}, run="R0")
        runs.append(ShownRun(record=one.record, plan=one.plan, notebooks=Notebooks()))
    (figure,) = overlays_of(runs, compared(runs))
    assert asked == ["fit"]
    assert figure.numbers is not None
    assert len(figure.numbers.rows) == 3
