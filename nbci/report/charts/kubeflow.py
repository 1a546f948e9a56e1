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
    counted_pairs,
    curves,
    line,
    number,
    numbers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Near = Callable[[str], bytes | None]
    """A file that the record names by its path, where it is at hand."""

_DRAWN = ("confusion_matrix", "roc")


def is_ui_metadata(record: Any) -> bool:
    """Whether the JSON value lists outputs as version 1 wants them."""
    outputs = record.get("outputs") if isinstance(record, Mapping) else None
    return isinstance(outputs, list) and any(
        isinstance(entry, Mapping) and entry.get("type") in _DRAWN for entry in outputs
    )


def charts_of_ui_metadata(record: Mapping[str, Any], near: Near) -> Iterator[Chart | Unusable]:
    """Its confusion matrices and ROC curves; what Kubeflow shows in other ways is passed over."""
    for entry in record["outputs"]:
        if not isinstance(entry, Mapping) or entry.get("type") not in _DRAWN:
            continue
        try:
            yield _of_entry(entry, near)
        # One entry with an error must not cost its file the other charts.
        except Unusable as problem:
            yield problem


def is_classification_metrics(record: Any) -> bool:
    """Whether the JSON value is an artifact of version 2, or its metadata."""
    metadata = _metadata(record)
    return metadata is not None and bool({"confusionMatrix", "confidenceMetrics"} & metadata.keys())


def charts_of_classification_metrics(record: Mapping[str, Any]) -> Iterator[Chart | Unusable]:
    """Its confusion matrix and its ROC curve."""
    metadata = _metadata(record) or {}
    for key, read in (("confusionMatrix", _matrix), ("confidenceMetrics", _confidence)):
        if key in metadata:
            try:
                yield read(metadata[key])
            except Unusable as problem:
                yield problem


def _metadata(record: Any) -> Mapping[str, Any] | None:
    if not isinstance(record, Mapping):
        return None
    metadata = record.get("metadata")
    # The artifact may be saved as a whole, or its metadata alone.
    return metadata if isinstance(metadata, Mapping) else record


def _matrix(found: Any) -> Chart:
    found = _plain(found)
    if not isinstance(found, Mapping) or not isinstance(found.get("rows"), list):
        raise Unusable("confusionMatrix has no rows")
    specs = found.get("annotationSpecs") or []
    labels = [
        spec.get("displayName", "") if isinstance(spec, Mapping) else str(spec) for spec in specs
    ]
    rows = [row.get("row") if isinstance(row, Mapping) else row for row in found["rows"]]
    return confusion(labels, [numbers(row, "confusionMatrix") for row in rows])


def _confidence(found: Any) -> Chart:
    found = _plain(found)
    if not isinstance(found, list) or not all(isinstance(point, Mapping) for point in found):
        raise Unusable("confidenceMetrics is no list of points")
    rates = [number(point.get("falsePositiveRate"), "falsePositiveRate") for point in found]
    recalls = [number(point.get("recall"), "recall") for point in found]
    return curves("roc", [line("", rates, recalls, names=("falsePositiveRate", "recall"))])


def _plain(value: Any) -> Any:
    """Unwrap `struct`, which the metadata store puts around anything but a number or text."""
    return value["struct"] if isinstance(value, Mapping) and set(value) == {"struct"} else value


def _of_entry(entry: Mapping[str, Any], near: Near) -> Chart:
    rows = _rows(entry, near)
    if entry["type"] == "roc":
        columns = _columns(entry, ("fpr", "tpr", "thresholds"))
        points = [
            (number(row[columns["fpr"]], "fpr"), number(row[columns["tpr"]], "tpr"))
            for row in _whole(rows, 2)
        ]
        return curves(
            "roc", [line("", [x for x, _ in points], [y for _, y in points], names=("fpr", "tpr"))]
        )
    columns = _columns(entry, ("target", "predicted", "count"))
    names = (
        entry.get("target_col", "target"),
        entry.get("predicted_col", "predicted"),
        entry.get("count_col", "count"),
    )
    at = [columns.get(name, place) for place, name in enumerate(names)]
    labels = entry.get("labels")
    pairs = [
        (row[at[0]], row[at[1]], number(row[at[2]], "count")) for row in _whole(rows, 1 + max(at))
    ]
    return counted_pairs(pairs, labels if isinstance(labels, list) else None)


def _columns(entry: Mapping[str, Any], usual: Sequence[str]) -> dict[str, int]:
    """Where each column stands, by the schema; Kubeflow's tables have no head."""
    schema = entry.get("schema")
    names = (
        [column.get("name") for column in schema if isinstance(column, Mapping)]
        if isinstance(schema, list)
        else []
    )
    found = {str(name): at for at, name in enumerate(names)}
    # An entry may lack a schema: then its columns stand in the usual order.
    return {**{name: at for at, name in enumerate(usual)}, **found}


def _whole(rows: Sequence[Sequence[str]], width: int) -> Iterator[Sequence[str]]:
    for at, row in enumerate(rows, 1):
        if len(row) < width:
            raise Unusable(f"row {at:,} of its table has {len(row)} columns for {width}")
        yield row


def _rows(entry: Mapping[str, Any], near: Near) -> list[list[str]]:
    if entry.get("format", "csv") != "csv":
        raise Unusable(f"the format {entry.get('format')!r} is not read, only csv")
    source = entry.get("source")
    if not isinstance(source, str):
        raise Unusable("it has no source")
    if entry.get("storage") == "inline":
        text = source
    else:
        # A report is made of the run's own outs: an address, as of a bucket, is never fetched.
        content = None if "://" in source else near(source)
        if content is None:
            raise Unusable(f"its table {source} is no file of the run's outs")
        text = content.decode("utf-8", errors="replace")
    return [row for row in csv.reader(io.StringIO(text)) if row]
