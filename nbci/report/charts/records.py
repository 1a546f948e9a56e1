"""Find what steps recorded for pictures: scraps, JSON in notebook outputs, files among outs."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from nbci.formatting.sizes import size
from nbci.report.charts.chart import Unusable
from nbci.report.charts.dvc_plots import Plot, plots_of
from nbci.report.charts.kubeflow import (
    charts_of_classification_metrics,
    charts_of_ui_metadata,
    is_classification_metrics,
    is_ui_metadata,
)
from nbci.report.charts.shapes import chart_of, chart_of_columns, chart_of_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.records.run_record import FileRef, StepRecord
    from nbci.report.charts.chart import Chart
    from nbci.report.charts.kubeflow import Near
    from nbci.report.data.material import ShownRun

_LARGEST_BYTES = 8_000_000
_LARGEST_UNASKED_BYTES = 2_000_000
_MOST_FILES = 300
# What a JSON file has to name before it is read as a whole; a run may have thousands that are data.
_HINTS = re.compile(
    rb'"(?:chart|fpr|precision|prob_pred|matrix|confusionMatrix|confidenceMetrics|outputs|predicted|importance'
    rb'|step|epoch|iteration|round|train_size)"'
)
_SUFFIXES = (".json", ".csv", ".tsv")
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_DVC_FILE = "dvc.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One record: `name` within its step, `source` in words.

    It also has what the record holds, or why that cannot be drawn.
    """

    name: str
    source: str
    chart: Chart | None = None
    problem: str | None = None


class _Passed(Unusable):
    """The file cannot be read, which matters only where it is meant to be drawn."""


def recorded(run: ShownRun, step: StepRecord) -> tuple[Recorded, ...]:
    """What the step left, in a fixed order."""
    return (*_of_scraps(step), *_of_notebook(run.notebooks.get(step.name)), *_of_files(run, step))


def _of_scraps(step: StepRecord) -> Iterator[Recorded]:
    for scrap in step.scraps:
        # A scrap is in no folder, so that a path in it names no file beside it.
        yield from _of_json(scrap.data, scrap.name, f"scrap {scrap.name}", lambda _path: None)


def _of_notebook(notebook: Mapping[str, Any] | None) -> Iterator[Recorded]:
    """Return the JSON that cells displayed, as `IPython.display.JSON` does.

    Records are identified by their titles, because cells are added and removed between runs.
    """
    seen: dict[str, int] = {}
    for at, value in _displayed(notebook):
        for one in _of_json(value, "", f"output of cell {at}", lambda _path: None):
            name = one.chart.title if one.chart is not None else one.source
            seen[name] = seen.get(name, 0) + 1
            yield replace(one, name=name if seen[name] == 1 else f"{name} {seen[name]}")


def _displayed(notebook: Mapping[str, Any] | None) -> Iterator[tuple[int, Any]]:
    """The JSON that cells displayed, with the number of the cell."""
    cells = (notebook or {}).get("cells")
    for at, cell in enumerate(cells if isinstance(cells, list) else [], 1):
        outputs = cell.get("outputs") if isinstance(cell, dict) else None
        for output in outputs if isinstance(outputs, list) else []:
            data = output.get("data") if isinstance(output, dict) else None
            if isinstance(data, dict) and isinstance(data.get("application/json"), dict | list):
                yield at, data["application/json"]


def _of_json(value: Any, name: str, source: str, near: Near) -> Iterator[Recorded]:
    """The charts of a JSON value, if it holds any."""
    found: list[Chart | Unusable]
    try:
        if is_ui_metadata(value):
            found = list(charts_of_ui_metadata(value, near))
        elif is_classification_metrics(value):
            found = list(charts_of_classification_metrics(value))
        else:
            one = chart_of(value)
            found = [] if one is None else [one]
    except Unusable as problem:
        found = [problem]
    for at, chart in enumerate(found, 1):
        yield _recorded(chart, name if len(found) == 1 else f"{name} {at}", source)


def _recorded(found: Chart | Unusable, name: str, source: str) -> Recorded:
    if isinstance(found, Unusable):
        return Recorded(name=name, source=source, problem=str(found))
    return Recorded(name=name, source=source, chart=found)


def _of_files(run: ShownRun, step: StepRecord) -> Iterator[Recorded]:
    # Only the first ones: an out may be a folder of very many files.
    files = list(islice(_files(run, step.outs), _MOST_FILES))
    plots: list[Plot] = []
    for path, _ in files:
        if posixpath.basename(path) == _DVC_FILE:
            plots += plots_of(_yaml(run.read_file(path)), posixpath.dirname(path))
    for path, known_bytes in files:
        if path.endswith(_SUFFIXES):
            yield from _of_file(
                run, path, known_bytes, [plot for plot in plots if _is_of(path, plot)]
            )


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


def _of_file(
    run: ShownRun, path: str, known_bytes: int | None, plots: list[Plot]
) -> Iterator[Recorded]:
    """Return the charts of a file.

    A file that is not declared as something to draw is ignored where it holds something else.
    """
    is_meant = bool(plots) or _is_plot(path)
    try:
        # A file that nobody declared is read only while that is cheap.
        content = _content(
            run, path, known_bytes, _LARGEST_BYTES if is_meant else _LARGEST_UNASKED_BYTES
        )
        if plots:
            for at, plot in enumerate(plots, 1):
                yield _of_plot(content, path, plot, path if len(plots) == 1 else f"{path} {at}")
        elif not path.endswith(".json"):
            rows = _table(content, path, all_rows=is_meant)
            if rows and (chart := chart_of_rows(rows)):
                yield Recorded(name=path, source=path, chart=chart)
        elif is_meant or _HINTS.search(content):
            yield from _of_json(_json(content), path, path, _near(run, path))
    except _Passed as problem:
        if is_meant:
            yield Recorded(name=path, source=path, problem=str(problem))
    except Unusable as problem:
        yield Recorded(name=path, source=path, problem=str(problem))


def _content(run: ShownRun, path: str, known_bytes: int | None, limit: int) -> bytes:
    # A huge file must not be read only to learn that it is too large.
    content = run.read_file(path) if known_bytes is None or known_bytes <= limit else b""
    if content is None:
        raise _Passed("it is no longer at hand")
    # The record has no sizes of files within a folder: they are known only now.
    count = max(known_bytes or 0, len(content))
    if count > limit:
        raise _Passed(f"it has {size(count)}; pictures are made of {size(limit)} or less")
    return content


def _of_plot(content: bytes, path: str, plot: Plot, name: str) -> Recorded:
    try:
        rows = (
            _list_within(_json(content))
            if path.endswith(".json")
            else _table(content, path, all_rows=True)
        )
        if not rows:
            raise Unusable("it has no records")
        is_silent = plot.x is None and not plot.y and plot.template is None
        # Where dvc.yaml names no axes, the columns' names may tell more, as fpr and tpr do.
        found = chart_of_rows(rows) if is_silent else None
        chart = found or chart_of_columns(
            rows, plot.x, plot.y, template=plot.template, words=plot.words
        )
    except Unusable as problem:
        return Recorded(name=name, source=path, problem=str(problem))
    return Recorded(name=name, source=path, chart=chart)


def _list_within(value: Any) -> list[dict[str, Any]]:
    """The first list of records in a JSON value, as DVC finds it."""
    if isinstance(value, dict):
        for inner in value.values():
            if found := _list_within(inner):
                return found
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return value
    return []


def _near(run: ShownRun, path: str) -> Near:
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
        raise _Passed("it is not JSON") from error


def _yaml(content: bytes | None) -> Any:
    # Imported here: a run's end waits for its report, and few outs have a dvc.yaml.
    import yaml

    if content is None or len(content) > _LARGEST_BYTES:
        return None
    try:
        # Both loaders are safe; the C one is faster but not part of every build.
        return yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _table(content: bytes, path: str, *, all_rows: bool) -> list[dict[str, Any]]:
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


def _may_be_chart(head: list[str]) -> bool:
    probe = dict.fromkeys(head, "0")
    try:
        return bool(probe) and chart_of_rows([probe]) is not None
    except Unusable:
        # The names are those of a chart, only the probe's values are not: the real rows decide.
        return True
