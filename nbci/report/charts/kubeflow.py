"""Read the metric formats of Kubeflow Pipelines.

They are `mlpipeline-ui-metadata.json` of version 1 and ClassificationMetrics of version 2.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbci.report.charts.chart import (
    Chart,
    Unusable,
    confusion,
    confusion_of_pairs,
    curves,
    line,
    read_number,
    read_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.report.data.material import ReadFile

_DRAWN = ("confusion_matrix", "roc")
_METRICS = ("confusionMatrix", "confidenceMetrics")


def is_ui_metadata(record: Any) -> bool:
    """Whether the JSON value lists outputs as version 1 wants them."""
    return next(_drawn_entries(record), None) is not None


def charts_of_ui_metadata(
    record: Mapping[str, Any], read_file: ReadFile
) -> Iterator[Chart | Unusable]:
    """Its confusion matrices and ROC curves; what Kubeflow shows in other ways is passed over."""
    for entry in _drawn_entries(record):
        try:
            rows = _rows(entry, read_file)
            if entry["type"] == "roc":
                yield _roc_curve(entry, rows)
            else:
                yield _confusion_of_entry(entry, rows)
        # One entry with an error must not cost its file the other charts.
        except Unusable as problem:
            yield problem


def _drawn_entries(record: Any) -> Iterator[Mapping[str, Any]]:
    outputs = None
    if isinstance(record, Mapping):
        outputs = record.get("outputs")
    if not isinstance(outputs, list):
        return
    for entry in outputs:
        if isinstance(entry, Mapping) and entry.get("type") in _DRAWN:
            yield entry


def is_classification_metrics(record: Any) -> bool:
    """Whether the JSON value is an artifact of version 2, or its metadata."""
    return not _metadata(record).keys().isdisjoint(_METRICS)


def charts_of_classification_metrics(record: Mapping[str, Any]) -> Iterator[Chart | Unusable]:
    """Its confusion matrix and its ROC curve."""
    metadata = _metadata(record)
    for key, chart_of in zip(_METRICS, (_confusion_matrix, _confidence_curve), strict=True):
        if key in metadata:
            try:
                yield chart_of(_unwrap(metadata[key]))
            except Unusable as problem:
                yield problem


def _metadata(record: Any) -> Mapping[str, Any]:
    if not isinstance(record, Mapping):
        return {}
    metadata = record.get("metadata")
    # The artifact may be saved as a whole, or its metadata alone.
    if isinstance(metadata, Mapping):
        return metadata
    return record


def _unwrap(value: Any) -> Any:
    """Unwrap `struct`, which the metadata store puts around anything but a number or text."""
    if isinstance(value, Mapping) and set(value) == {"struct"}:
        return value["struct"]
    return value


def _confusion_matrix(matrix: Any) -> Chart:
    if not isinstance(matrix, Mapping) or not isinstance(matrix.get("rows"), list):
        raise Unusable("confusionMatrix has no rows")

    specs = matrix.get("annotationSpecs") or []
    if not isinstance(specs, list):
        raise Unusable("annotationSpecs is no list")
    labels = []
    for spec in specs:
        label = spec
        if isinstance(spec, Mapping):
            label = spec.get("displayName", "")
        labels.append(label)

    rows = []
    for row in matrix["rows"]:
        cells = row
        if isinstance(row, Mapping):
            cells = row.get("row")
        rows.append(read_numbers(cells, "confusionMatrix"))
    return confusion(labels, rows)


def _confidence_curve(points: Any) -> Chart:
    names = ("falsePositiveRate", "recall")
    rates, recalls = [], []
    if not isinstance(points, list):
        raise Unusable("confidenceMetrics is no list of points")
    for point in points:
        if not isinstance(point, Mapping):
            raise Unusable("confidenceMetrics is no list of points")
        rates.append(read_number(point.get(names[0]), names[0]))
        recalls.append(read_number(point.get(names[1]), names[1]))
    return curves("roc", [line("", rates, recalls, names=names)])


def _roc_curve(entry: Mapping[str, Any], rows: Sequence[Sequence[str]]) -> Chart:
    columns = _columns(entry, {"fpr": 0, "tpr": 1, "thresholds": 2})
    rate, recall = columns["fpr"], columns["tpr"]
    xs, ys = [], []
    for row in _long_enough(rows, 1 + max(rate, recall)):
        xs.append(read_number(row[rate], "fpr"))
        ys.append(read_number(row[recall], "tpr"))
    return curves("roc", [line("", xs, ys, names=("fpr", "tpr"))])


def _confusion_of_entry(entry: Mapping[str, Any], rows: Sequence[Sequence[str]]) -> Chart:
    columns = _columns(entry, {"target": 0, "predicted": 1, "count": 2})
    target = columns.get(str(entry.get("target_col", "target")), 0)
    predicted = columns.get(str(entry.get("predicted_col", "predicted")), 1)
    count = columns.get(str(entry.get("count_col", "count")), 2)

    pairs = []
    for row in _long_enough(rows, 1 + max(target, predicted, count)):
        pairs.append((row[target], row[predicted], read_number(row[count], "count")))
    labels = entry.get("labels")
    if not isinstance(labels, list):
        labels = None
    return confusion_of_pairs(pairs, labels)


def _columns(entry: Mapping[str, Any], usual: Mapping[str, int]) -> dict[str, int]:
    """Where each column stands, by the schema; Kubeflow's tables have no head."""
    # An entry may lack a schema: then its columns stand in the usual order.
    places = dict(usual)
    schema = entry.get("schema")
    if not isinstance(schema, list):
        return places
    columns = [column for column in schema if isinstance(column, Mapping)]
    for at, column in enumerate(columns):
        places[str(column.get("name"))] = at
    return places


def _long_enough(rows: Iterable[Sequence[str]], width: int) -> Iterator[Sequence[str]]:
    for at, row in enumerate(rows, 1):
        if len(row) < width:
            raise Unusable(f"row {at:,} of its table has {len(row)} columns for {width}")
        yield row


def _rows(entry: Mapping[str, Any], read_file: ReadFile) -> list[list[str]]:
    if entry.get("format", "csv") != "csv":
        raise Unusable(f"the format {entry.get('format')!r} is not read, only csv")
    source = entry.get("source")
    if not isinstance(source, str):
        raise Unusable("it has no source")
    text = source
    if entry.get("storage") != "inline":
        text = _text_of_out(source, read_file)
    try:
        return list(filter(None, csv.reader(io.StringIO(text))))
    # A cell beyond the csv module's limit, which a user's table may have.
    except csv.Error as error:
        raise Unusable(f"its table cannot be read: {error}") from error


def _text_of_out(source: str, read_file: ReadFile) -> str:
    content = None
    # A report is made of the run's own outs: an address, as of a bucket, is never fetched.
    if "://" not in source:
        content = read_file(source)
    if content is None:
        raise Unusable(f"its table {source} is no file of the run's outs")
    return content.decode("utf-8", errors="replace")
