"""Find what steps recorded for pictures: scraps, JSON in notebook outputs, files among outs."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from nbci.formatting.sizes import size
from nbci.params.yaml_quick import yaml_loader
from nbci.report.charts.chart import Unusable
from nbci.report.charts.dvc_plots import Plot, plots_of
from nbci.report.charts.kubeflow import (
    charts_of_classification_metrics,
    charts_of_ui_metadata,
    is_classification_metrics,
    is_ui_metadata,
)
from nbci.report.charts.shapes import chart_of, chart_of_columns, chart_of_rows, is_table
from nbci.report.data.material import no_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.records.run_record import FileRef, StepRecord
    from nbci.report.charts.chart import Chart
    from nbci.report.charts.shapes import Rows
    from nbci.report.data.material import ReadFile, ShownRun

_LARGEST_BYTES = 8_000_000
_LARGEST_UNASKED_BYTES = 2_000_000
_MOST_FILES = 300
# What a JSON file has to name before it is read as a whole; a run may have thousands that are data.
_HINTS = re.compile(
    rb'"(?:chart|fpr|precision|prob_pred|matrix|confusionMatrix|confidenceMetrics|outputs'
    rb'|predicted|importance|step|epoch|iteration|round|train_size)"'
)
_SUFFIXES = (".json", ".csv", ".tsv")
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_DVC_FILE = "dvc.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRecord:
    """One record: `name` within its step, `source` in words.

    It also has the chart that the record holds, or why that cannot be drawn.
    """

    name: str
    source: str
    chart: Chart | None = None
    problem: str | None = None


class _Unreadable(Unusable):
    """The file cannot be read, which matters only where it is meant to be drawn."""


def find_records(run: ShownRun, step: StepRecord) -> tuple[ChartRecord, ...]:
    """Return what the step left for pictures, in a fixed order."""
    return (*_in_scraps(step), *_in_notebook(run.notebooks.get(step.name)), *_in_files(run, step))


# ----------------------------------------------------------------------- scraps and outputs
def _in_scraps(step: StepRecord) -> Iterator[ChartRecord]:
    for scrap in step.scraps:
        # A scrap is in no folder, so that a path in it names no file beside it.
        yield from _in_json(scrap.data, scrap.name, f"scrap {scrap.name}", no_file)


def _in_notebook(notebook: Mapping[str, Any] | None) -> Iterator[ChartRecord]:
    """Return the JSON that cells displayed, as `IPython.display.JSON` does.

    Records are identified by their titles, because cells are added and removed between runs.
    """
    count_of: dict[str, int] = {}
    for at, value in _displayed_json(notebook):
        for one in _in_json(value, "", f"output of cell {at}", no_file):
            name = one.source
            if one.chart is not None:
                name = one.chart.title
            count_of[name] = count_of.get(name, 0) + 1
            if count_of[name] == 1:
                yield replace(one, name=name)
            else:
                yield replace(one, name=f"{name} {count_of[name]}")


def _displayed_json(notebook: Any) -> Iterator[tuple[int, Any]]:
    """The JSON that cells displayed, with the number of the cell."""
    for at, cell in enumerate(_list_at(notebook, "cells"), 1):
        for output in _list_at(cell, "outputs"):
            value = _value_at(_value_at(output, "data"), "application/json")
            if isinstance(value, dict | list):
                yield at, value


def _value_at(value: Any, key: str) -> Any:
    # A notebook is the user's file, and any part of it may have another type than it should.
    if isinstance(value, Mapping):
        return value.get(key)
    return None


def _list_at(value: Any, key: str) -> list[Any]:
    found = _value_at(value, key)
    if isinstance(found, list):
        return found
    return []


def _in_json(value: Any, name: str, source: str, read_file: ReadFile) -> Iterator[ChartRecord]:
    """The charts of a JSON value, if it holds any."""
    charts = _charts_of_json(value, read_file)
    for at, chart in enumerate(charts, 1):
        yield _chart_record(chart, _numbered(name, at, len(charts)), source)


def _numbered(name: str, at: int, count: int) -> str:
    if count == 1:
        return name
    return f"{name} {at}"


def _charts_of_json(value: Any, read_file: ReadFile) -> list[Chart | Unusable]:
    if is_ui_metadata(value):
        return list(charts_of_ui_metadata(value, read_file))
    if is_classification_metrics(value):
        return list(charts_of_classification_metrics(value))
    try:
        chart = chart_of(value)
    except Unusable as problem:
        return [problem]
    if chart is None:
        return []
    return [chart]


def _chart_record(found: Chart | Unusable, name: str, source: str) -> ChartRecord:
    if isinstance(found, Unusable):
        return ChartRecord(name=name, source=source, problem=str(found))
    return ChartRecord(name=name, source=source, chart=found)


# ------------------------------------------------------------------------------------ files
def _in_files(run: ShownRun, step: StepRecord) -> Iterator[ChartRecord]:
    # Only the first ones: an out may be a folder of very many files.
    files = list(islice(_files(run, step.outs), _MOST_FILES))
    plots: list[Plot] = []
    for path, _ in files:
        if posixpath.basename(path) == _DVC_FILE:
            plots += plots_of(_dvc_document(run.read_file(path)), posixpath.dirname(path))
    for path, known_bytes in files:
        if path.endswith(_SUFFIXES):
            plots_of_file = [plot for plot in plots if _is_of(path, plot)]
            yield from _in_file(run, path, known_bytes, plots_of_file)


def _is_of(path: str, plot: Plot) -> bool:
    return path == plot.path or path.startswith(f"{plot.path}/")


def _files(run: ShownRun, outs: Iterable[FileRef]) -> Iterator[tuple[str, int | None]]:
    """The files that may hold records, with their size where it is known.

    Of a folder, those that DVC would plot.
    """
    for ref in outs:
        # DVC ends the digest of a folder by this.
        if not ref.digest.endswith(".dir"):
            yield ref.path, ref.bytes
            continue
        for name in run.list_files(ref.path):
            if _is_plot(f"{ref.path}/{name}") or posixpath.basename(name) == _DVC_FILE:
                yield f"{ref.path}/{name}", None


def _is_plot(path: str) -> bool:
    return "plots" in path.split("/")[:-1]


def _in_file(
    run: ShownRun, path: str, known_bytes: int | None, plots: Sequence[Plot]
) -> Iterator[ChartRecord]:
    """Return the charts of a file.

    A file that is not declared as something to draw is ignored where it holds something else.
    """
    is_meant = bool(plots) or _is_plot(path)
    # A file that nobody declared is read only while that is cheap.
    limit = _LARGEST_UNASKED_BYTES
    if is_meant:
        limit = _LARGEST_BYTES
    try:
        content = _content(run, path, known_bytes, limit)
        if plots:
            for at, plot in enumerate(plots, 1):
                yield _of_plot(content, path, plot, _numbered(path, at, len(plots)))
        elif not path.endswith(".json"):
            rows = _table_rows(content, path, all_rows=is_meant)
            if rows and (chart := chart_of_rows(rows)):
                yield ChartRecord(name=path, source=path, chart=chart)
        elif is_meant or _HINTS.search(content):
            yield from _in_json(_json(content), path, path, _files_beside(run, path))
    except _Unreadable as problem:
        if is_meant:
            yield _chart_record(problem, path, path)
    except Unusable as problem:
        yield _chart_record(problem, path, path)


def _content(run: ShownRun, path: str, known_bytes: int | None, limit: int) -> bytes:
    content: bytes | None = b""
    # A huge file must not be read only to learn that it is too large.
    if known_bytes is None or known_bytes <= limit:
        content = run.read_file(path)
    if content is None:
        raise _Unreadable("it is no longer at hand")
    # The record has no sizes of files within a folder: they are known only now.
    count = max(known_bytes or 0, len(content))
    if count > limit:
        raise _Unreadable(f"it has {size(count)}; pictures are made of {size(limit)} or less")
    return content


def _of_plot(content: bytes, path: str, plot: Plot, name: str) -> ChartRecord:
    try:
        if path.endswith(".json"):
            rows = _list_within(_json(content))
        else:
            rows = _table_rows(content, path, all_rows=True)
        return ChartRecord(name=name, source=path, chart=_chart_of_plot(rows, plot))
    except Unusable as problem:
        return _chart_record(problem, name, path)


def _chart_of_plot(rows: Rows, plot: Plot) -> Chart:
    if not rows:
        raise Unusable("it has no records")
    # Where dvc.yaml names no axes, the columns' names may tell more, as fpr and tpr do.
    if plot.x is None and not plot.y and plot.template is None:
        chart = chart_of_rows(rows)
        if chart is not None:
            return chart
    return chart_of_columns(rows, plot.x, plot.y, template=plot.template, words=plot.words)


def _list_within(value: Any) -> Rows:
    """The first list of records in a JSON value, as DVC finds it."""
    # A stack, since the parser accepts deeper values than functions may call themselves.
    values = [value]
    while values:
        value = values.pop()
        if is_table(value):
            return value
        if isinstance(value, dict):
            values += reversed(value.values())
    return []


def _files_beside(run: ShownRun, path: str) -> ReadFile:
    """Return where a record in that file may find another file.

    That is by its path from the project's root, or from the file's folder.
    """

    def read(other: str) -> bytes | None:
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), other))
        return run.read_file(posixpath.normpath(other)) or run.read_file(beside)

    return read


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    # The parser raises RecursionError, which is no ValueError, for deep nesting.
    except (ValueError, RecursionError) as error:
        raise _Unreadable("it is not JSON") from error


def _dvc_document(content: bytes | None) -> Any:
    # Imported here: a run's end waits for its report, and few outs have a dvc.yaml.
    import yaml

    if content is None or len(content) > _LARGEST_BYTES:
        return None
    try:
        # Not params.read_yaml: files of DVC are YAML 1.1 for their users (decision 0032), and what
        # is wrong with one stops no report.
        return yaml.load(content, Loader=yaml_loader())  # noqa: S506 - it makes plain data only
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _table_rows(content: bytes, path: str, *, all_rows: bool) -> Rows:
    """The rows by the names of their columns.

    Unless `all_rows`, none where the names mean nothing to a picture.
    """
    separator = _SEPARATORS.get(posixpath.splitext(path)[1], ",")
    reader = csv.reader(
        # utf-8-sig, because Excel and other programs write a byte order mark.
        io.StringIO(content.decode("utf-8-sig", errors="replace"), newline=""),
        delimiter=separator,
    )
    try:
        head = next(reader, [])
        if not all_rows and not _may_be_chart(head):
            return []
        return [dict(zip(head, row, strict=False)) for row in reader if row]
    except csv.Error as error:
        raise Unusable(f"it is no table: {error}") from error


def _may_be_chart(head: Sequence[str]) -> bool:
    probe = dict.fromkeys(head, "0")
    try:
        return bool(probe) and chart_of_rows([probe]) is not None
    except Unusable:
        # The names are those of a chart, only the probe's values are not: the real rows decide.
        return True
