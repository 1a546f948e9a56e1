"""Where records for pictures are found: scraps, outputs, outs, in the forms of Kubeflow and DVC."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.records.run_record import FileRef, Scrap, StepRecord
from nbci.report.charts.chart import Confusion, Curves
from nbci.report.charts.chart_records import ChartRecord, find_records
from nbci.report.data.material import ShownRun
from tests.report.report_samples import code_cell, notebook, plan, planned, run, shown

ROC = {"fpr": [0, 0.5, 1], "tpr": [0, 0.8, 1]}
KFP_V1: dict[str, Any] = {
    "outputs": [
        {
            "type": "confusion_matrix",
            "format": "csv",
            "schema": [
                {"name": "target", "type": "CATEGORY"},
                {"name": "predicted", "type": "CATEGORY"},
                {"name": "count", "type": "NUMBER"},
            ],
            "source": (
                "yummy,yummy,10\nyummy,not yummy,2\nnot yummy,yummy,6\nnot yummy,not yummy,7\n"
            ),
            "storage": "inline",
            "labels": ["yummy", "not yummy"],
        },
        {
            "type": "roc",
            "format": "csv",
            "schema": [{"name": "fpr"}, {"name": "tpr"}, {"name": "thresholds"}],
            "source": "roc.csv",
        },
        {"type": "markdown", "storage": "inline", "source": "# Inline"},
    ]
}
KFP_V2 = {
    "confusionMatrix": {
        "annotationSpecs": [{"displayName": "cat"}, {"displayName": "dog"}],
        "rows": [{"row": [8, 2]}, {"row": [1, 9]}],
    },
    "confidenceMetrics": [
        {"confidenceThreshold": 1e30, "recall": 0, "falsePositiveRate": 0},
        {"confidenceThreshold": 0.5, "recall": 0.8, "falsePositiveRate": 0.5},
        {"confidenceThreshold": 0.1, "recall": 1, "falsePositiveRate": 1},
    ],
}


# Deeper than functions may call themselves; the JSON parser of Python 3.13 goes as deep.
DEEP = 3000


def found(
    files: dict[str, str] | None = None,
    scraps: dict[str, Any] | None = None,
    cells: tuple[dict[str, Any], ...] = (),
    folders: tuple[str, ...] = (),
    sizes: dict[str, int] | None = None,
) -> dict[str, ChartRecord]:
    files = files or {}

    def folder_of(path: str) -> str | None:
        return next((folder for folder in folders if path.startswith(f"{folder}/")), None)

    outs = [
        FileRef(path=path, digest="1", bytes=(sizes or {}).get(path, len(text)))
        for path, text in files.items()
        if folder_of(path) is None
    ]
    outs += [FileRef(path=folder, digest="1.dir", bytes=1, files=2) for folder in folders]
    step = StepRecord(
        name="evaluate",
        result="passed",
        outs=tuple(outs),
        scraps=tuple(Scrap(name=name, data=data) for name, data in (scraps or {}).items()),
    )
    shown_run = ShownRun(
        record=run(step),
        plan=plan(planned("evaluate")),
        notebooks={"evaluate": notebook(*cells)} if cells else {},
        read_file=lambda path: files[path].encode() if path in files else None,
        list_files=lambda folder: tuple(
            path.removeprefix(f"{folder}/") for path in files if folder_of(path) == folder
        ),
    )
    return {record.name: record for record in find_records(shown_run, step)}


def lines(record: ChartRecord) -> list[tuple[str, tuple[float, ...], tuple[float, ...]]]:
    assert isinstance(record.chart, Curves), record.problem
    return [(line.name, line.x, line.y) for line in record.chart.lines]


def counts(record: ChartRecord) -> list[list[float]]:
    assert isinstance(record.chart, Confusion), record.problem
    return [list(row) for row in record.chart.counts]


CURVE = [("", (0, 0.5, 1), (0, 0.8, 1))]


def test_a_scrap_an_output_and_a_file_are_found() -> None:
    records = found(
        {"reports/roc.json": json.dumps(ROC)},
        {"roc": ROC, "accuracy": 0.9, "note": {"text": "fine"}},
        (
            code_cell("x"),
            code_cell("JSON(roc)", shown({"application/json": ROC, "text/plain": "<JSON>"})),
        ),
    )
    assert [(record.name, record.source) for record in records.values()] == [
        ("roc", "scrap roc"),
        ("ROC curve", "output of cell 2"),
        ("reports/roc.json", "reports/roc.json"),
    ]
    assert all(lines(record) == CURVE for record in records.values())


def test_outputs_are_known_by_their_titles_wherever_they_stand() -> None:
    output = shown({"application/json": ROC})
    cells = (
        code_cell("a", output, output),
        code_cell("b", shown({"application/json": {**ROC, "title": "Cats"}})),
    )
    assert list(found(cells=cells)) == ["ROC curve", "ROC curve 2", "Cats"]
    assert list(found(cells=(code_cell("new"), cells[1]))) == ["Cats"]


def test_ui_metadata_of_kubeflow_with_a_table_within_and_one_beside() -> None:
    records = found(
        {
            "out/mlpipeline-ui-metadata.json": json.dumps(KFP_V1),
            "out/roc.csv": "0,0,1\n0.5,0.8,0.5\n1,1,0.1\n",
        }
    )
    matrix, roc = (records[f"out/mlpipeline-ui-metadata.json {at}"] for at in (1, 2))
    assert counts(matrix) == [[10, 2], [6, 7]]
    assert lines(roc) == CURVE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"source": "gs://bucket/roc.csv"},
            "its table gs://bucket/roc.csv is no file of the run's outs",
        ),
        ({"format": "parquet"}, "the format 'parquet' is not read, only csv"),
        ({"source": "0,0,1\n0.5\n", "storage": "inline"}, "row 2 of its table has 1 columns for 2"),
        ({"source": None}, "it has no source"),
        (
            {"source": "0,0,1\n0.5,1\n", "storage": "inline", "schema": [{}, {}, {"name": "fpr"}]},
            "row 2 of its table has 2 columns for 3",
        ),
        (
            {"source": f"0,{'1' * 200_000}\n", "storage": "inline"},
            "its table cannot be read: field larger than field limit (131072)",
        ),
    ],
)
def test_what_is_wrong_with_ui_metadata_is_said_of_that_picture(
    change: dict[str, Any], said: str
) -> None:
    matrix, roc, _ = KFP_V1["outputs"]
    records = list(
        found({"ui.json": json.dumps({"outputs": [matrix, {**roc, **change}]})}).values()
    )
    assert [record.problem for record in records] == [None, said]


@pytest.mark.parametrize("wrapped", [KFP_V2, {"metadata": KFP_V2, "name": "metrics"}])
def test_classification_metrics_of_kubeflow(wrapped: Any) -> None:
    matrix, roc = found(scraps={"metrics": wrapped}).values()
    assert counts(matrix) == [[8, 2], [1, 9]]
    assert lines(roc) == CURVE


def test_labels_of_classification_metrics_that_are_no_list_are_named() -> None:
    metrics = {"confusionMatrix": {"annotationSpecs": 2, "rows": [{"row": [1]}]}}
    (record,) = found(scraps={"metrics": metrics}).values()
    assert record.problem == "annotationSpecs is no list"


KUBEFLOW_KEYS = (
    "outputs type source storage format schema labels target_col predicted_col count_col name "
    "metadata struct confusionMatrix annotationSpecs displayName rows row confidenceMetrics recall "
    "falsePositiveRate"
).split()
KUBEFLOW_TEXTS = ("roc", "confusion_matrix", "inline", "csv", "fpr", "count", "0,0\n1,1,1\n")
JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.sampled_from(KUBEFLOW_TEXTS),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KUBEFLOW_KEYS), inner, max_size=6)
    ),
    max_leaves=20,
)


ENTRIES = st.lists(st.dictionaries(st.sampled_from(KUBEFLOW_KEYS[1:11]), JSON))
MATRICES = st.fixed_dictionaries(
    {"rows": st.lists(JSON, max_size=3)}, optional={"annotationSpecs": JSON}
)


@given(JSON, ENTRIES, MATRICES, st.sampled_from(("roc", "confusion_matrix")))
def test_any_record_like_those_of_kubeflow_is_drawn_or_told_to_be_wrong(
    record: Any, entries: list[dict[str, Any]], matrix: dict[str, Any], kind: str
) -> None:
    table = {"type": kind, "format": "csv", "storage": "inline", "source": "0,0,1\n1,1,1\n"}
    outputs = [{**table, **entry, "type": kind} for entry in entries]
    scraps = [record, {"outputs": outputs}, {"confusionMatrix": matrix}]
    scraps.append({"confidenceMetrics": record})
    for scrap in scraps:
        for one in found(scraps={"x": scrap}).values():
            assert (one.chart is None) != (one.problem is None)


def test_the_folder_that_dvclive_writes() -> None:
    records = found(
        {
            "dvclive/plots/metrics/train/loss.tsv": (
                "timestamp\tstep\ttrain/loss\n1\t0\t0.9\n2\t1\t0.5\n"
            ),
            "dvclive/plots/sklearn/roc.json": json.dumps(
                {"roc": [{"fpr": 0, "tpr": 0}, {"fpr": 0.5, "tpr": 0.8}, {"fpr": 1, "tpr": 1}]}
            ),
            "dvclive/plots/sklearn/cm.json": json.dumps(
                [{"actual": "a", "predicted": "b"}, {"actual": "b", "predicted": "b"}]
            ),
            "dvclive/plots/sklearn/calibration.json": json.dumps(
                {"calibration": [{"prob_true": 0.2, "prob_pred": 0.1}]}
            ),
            "dvclive/data.json": json.dumps(ROC),
            "dvclive/dvc.yaml": (
                "plots:\n- plots/metrics:\n    x: step\n"
                "- plots/sklearn/cm.json:\n    template: confusion\n    x: actual\n"
                "    y: predicted\n"
            ),
        },
        folders=("dvclive",),
    )
    assert lines(records["dvclive/plots/metrics/train/loss.tsv"]) == [
        ("train/loss", (0, 1), (0.9, 0.5))
    ]
    assert lines(records["dvclive/plots/sklearn/roc.json"]) == CURVE
    assert counts(records["dvclive/plots/sklearn/cm.json"]) == [[0, 1], [0, 1]]
    assert lines(records["dvclive/plots/sklearn/calibration.json"])[0][1:] == ((0.1,), (0.2,))
    assert "dvclive/data.json" not in records  # not in `plots`, and nobody names it


def test_columns_that_a_dvc_yaml_names() -> None:
    records = found(
        {
            "dvc.yaml": (
                "plots:\n- train vs test: {x: {logs.csv: epoch}, y: {logs.csv: [acc, "
                "val_acc]}, y_label: accuracy}\n"
                "- bars.csv: {template: bar_horizontal, x: gain, y: feature}\n- gone.csv\n- 3\n"
                "- bare.csv: {template: bar_horizontal}\n- deep.json\n"
                "- logs.csv: {y: nothing}\n"
            ),
            "logs.csv": "epoch,acc,val_acc,text\n1,0.5,0.4,a\n2,0.7,0.6,b\n",
            "bars.csv": "feature,gain\nhue,0.2\n",
            "bare.csv": "feature,gain\nhue,0.2\n",
            "deep.json": '{"a":' * DEEP + "1" + "}" * DEEP,
        }
    )
    chart = records["logs.csv 1"].chart
    assert isinstance(chart, Curves)
    assert (chart.x_label, chart.y_label) == ("epoch", "accuracy")
    assert [line.name for line in chart.lines] == ["acc", "val_acc"]
    assert records["logs.csv 2"].problem == "it has no column 'nothing'"
    assert records["bare.csv"].problem == "a bar chart needs y"
    assert records["deep.json"].problem in ("it has no records", "it is not JSON")
    assert (
        str(records["bars.csv"].chart)
        == "Importance(names=('hue',), values=(0.2,), title='Feature importance')"
    )


def test_data_are_no_pictures() -> None:
    assert not found(
        {
            "data/train.csv": "id,x,y\n1,2,3\n",
            "data/config.json": '{"a": [1, 2]}',
            "data/broken.json": "{",
            "data/table.json": '[{"a": 1}]',
            "notes.txt": "fpr,tpr\n0,0\n",
        }
    )


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("plots/roc.json", "{", "it is not JSON"),
        ("plots/roc.json", "[" * 100_000, "it is not JSON"),
        ("plots/roc.csv", "fpr,tpr\n0,0\n0.5\n", None),
        ("roc.csv", "fpr,tpr\n0,0\n0.5,high\n", "tpr has 'high', which is no number"),
        (
            "plots/roc.csv",
            'fpr,tpr\n0,"' + "x" * 200_000 + '"\n',
            "it is no table: field larger than field limit (131072)",
        ),
        ("roc.json", '{"fpr": [0, 1], "tpr": [0]}', "fpr has 2 numbers and tpr has 1"),
    ],
)
def test_a_file_that_cannot_be_drawn_is_named(path: str, text: str, said: str | None) -> None:
    (record,) = found({path: text}).values()
    assert record.source == path
    assert record.problem == said


def test_a_plot_that_is_gone_is_named_and_other_files_are_not() -> None:
    step = StepRecord(
        name="evaluate",
        result="passed",
        outs=(
            FileRef(path="plots/roc.json", digest="1", bytes=1),
            FileRef(path="roc.json", digest="1", bytes=1),
        ),
    )
    shown_run = ShownRun(record=run(step), plan=plan(planned("evaluate")), notebooks={})
    assert [(one.name, one.problem) for one in find_records(shown_run, step)] == [
        ("plots/roc.json", "it is no longer at hand")
    ]


def test_a_huge_file_is_not_read() -> None:
    sizes = {"plots/roc.json": 500_000_000, "data.json": 500_000_000}
    records = found({"plots/roc.json": json.dumps(ROC), "data.json": json.dumps(ROC)}, sizes=sizes)
    assert [record.problem for record in records.values()] == [
        "it has 500 MB; pictures are made of 8 MB or less"
    ]


def test_bytes_that_are_no_text_are_no_crash() -> None:
    assert "plots/x.csv" not in found({"plots/x.csv": "\x00\ufffd\x01\n\x00"})
