"""The rows that a monitor looks at: of a table, of images, or of a window of a request log."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.errors import Location, UsageError
from nbci.formatting.durations import duration, utc_text
from nbci.formatting.numbers import counted, listed
from nbci.logged.add_labels import IDS, labels_of
from nbci.logged.log_files import LABEL, OUTPUT_PREFIX, OWN_COLUMNS, input_name
from nbci.records.monitoring import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from nbci.logged.labels import Labels
    from nbci.logged.window import LogWindow
    from nbci.profiles.data_files import Table
    from nbci.records.profile import Profile, ReleaseProfile

_ANSWERS = ("label", "prediction", "score")
"""Columns of a table that say what was right or predicted, as in files of predictions."""
LATENCIES: Mapping[str, float] = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
"""The share of a log's requests that took at most so long, by the name of the metric."""
_NAMED = 3


@dataclass(kw_only=True)
class Rows:
    """The rows of a window, in batches, and what is known of them.

    `reference` is the part of the release's profile that the rows can be compared with. `facts` is
    complete once the batches were read. `notes` tell people what was left out or taken for
    something, `metrics` are of the log itself, and `unknown` says why there are metrics that cannot
    be told. Where there is `measure_inputs`, it gives the inputs' profile, and `batches` have the
    other columns only.
    """

    reference: Profile
    facts: Window
    source: Any
    measure_inputs: Callable[[], Profile] | None = None
    notes: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    last: float | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows: inputs as the profile names them, `answer.NAME`, and `label`."""
        yield from self.source()


def open_data(path: Path, profile: ReleaseProfile, labels: Path | None) -> Rows:
    """The rows of a table or of a folder of images; those of `labels` by their id."""
    from nbci.profiles.data_files import open_table
    from nbci.profiles.measure import measure_files

    # An id that the model learnt from is a number where it was one then.
    texts = [name for name in IDS if profile.column(name) is None]
    table = open_table(path, like=profile, texts=texts)
    known = None if labels is None else _label_file(labels, texts)
    rows = Rows(reference=profile, facts=Window(source=str(path), rows=0), source=None)
    inputs, others = _parted(table, profile, are_joined=known is not None)
    if inputs is not None:
        rows.measure_inputs = partial(measure_files, table, like=profile, columns=inputs)

    def batches() -> Iterator[pa.RecordBatch]:
        # Beside the reading: of files of many gigabytes, either takes a minute.
        with ThreadPoolExecutor(1) as thread:
            digest = thread.submit(_digest_of, table.files)
            yield from measured() if known is None else _told(measured(), known, rows.notes)
            rows.facts = replace(rows.facts, digest=digest.result())

    def measured() -> Iterator[pa.RecordBatch]:
        for batch in table.batches(others):
            named = _as_logged(batch, profile)
            yield named if known is None else _with_labels(named, known, path)
        # Known when all files were read.
        rows.notes.extend(table.problems)

    rows.source = batches
    if known is None:
        rows.unknown["labels"] = "the data have no column `label`, and no --labels were given"
    return rows


def is_own(name: str) -> bool:
    """Whether a column of a log is an answer, a label or an id: no input of most models."""
    return name in (LABEL, *IDS, "row") or name.startswith(OUTPUT_PREFIX)


def _parted(
    table: Table, profile: ReleaseProfile, *, are_joined: bool
) -> tuple[list[str] | None, list[str] | None]:
    """The columns that are inputs, and the others; None for all where it takes a single pass."""
    names = table.column_names()
    # With features, whole rows are compared.
    if names is None or profile.features:
        return None, None
    # An input of that name has the values of the labels that are joined.
    if are_joined and profile.column(LABEL) is not None:
        return None, None
    inputs, others = [], []
    for name in names:
        logged = _logged_name(name, profile)
        is_known = profile.column(logged) is not None
        # The files do not have it by the name that the profile knows.
        if is_known and logged != name:
            return None, None
        if is_known or not is_own(logged):
            inputs.append(name)
        if is_own(logged):
            others.append(name)
    return inputs, others


def _as_logged(batch: pa.RecordBatch, profile: Profile) -> pa.RecordBatch:
    names = [_logged_name(name, profile) for name in batch.schema.names]
    return batch.rename_columns(names)


def _logged_name(name: str, profile: Profile) -> str:
    """The name that a log has for a column of a table: `answer.prediction`."""
    is_answer = name in _ANSWERS or name.startswith("score_")
    # A column that the model was trained with is an input, whatever it is called.
    if is_answer and name != LABEL and profile.column(name) is None:
        return f"{OUTPUT_PREFIX}{name}"
    return name


def _digest_of(files: Sequence[Path]) -> str:
    """A digest of the files' content, the same for the same files in any folder."""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        try:
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "blake2b").digest())
        except OSError as error:
            raise UsageError(f"cannot be read: {error}", where=Location(str(file))) from error
    return digest.hexdigest()


def open_log(
    folder: Path,
    model: str,
    profile: Profile,
    *,
    newest: float | None,
    labels: Path | None,
    now: float,
) -> Rows:
    """The rows that the log in `folder` has of a model, the newest seconds of it.

    Labels are those that were added to the log, or those of a file `labels`.
    """
    from nbci.logged.labels import join_labels, read_labels
    from nbci.logged.window import read_window

    if not folder.is_dir():
        raise UsageError(
            "there is no such folder",
            where=Location(str(folder)),
            hint="it is what `nbci serve --log` was given",
        )
    window = read_window(folder, model, newest=newest)
    known = read_labels(folder, model) if labels is None else _label_file(labels)
    names = {name: _named_as(name) for name in window.types if name not in OWN_COLUMNS}
    widened = _vectors(window, names, profile)
    # A server takes just the model's inputs: a column that it does not take cannot be gone.
    reference = _reference_of(profile, names, widened)
    rows = Rows(reference=reference, facts=_facts_of(window, folder), source=None, last=window.last)

    def measured() -> Iterator[pa.RecordBatch]:
        # Of an empty window, no columns are known.
        for batch in join_labels(window, known, list(names)) if window.rows else ():
            renamed = batch.rename_columns([*names.values(), LABEL])
            yield _widen(renamed, widened)

    def batches() -> Iterator[pa.RecordBatch]:
        # Of the labels that were added to the log, most are of other windows.
        yield from measured() if labels is None else _told(measured(), known, rows.notes)

    rows.source = batches
    rows.notes += _notes_of_rows(window)
    rows.notes += _notes_of_columns(profile, reference, widened) if window.rows else []
    rows.notes += _notes_of_time(window, newest, now)
    if window.rows and labels is not None and not len(known.keys):
        rows.notes.append(f"{labels} has no labels")
    rows.unknown["labels"] = "no row of the window has a label"
    rows.unknown["latency"] = "the log does not say how long its requests took"
    rows.metrics |= _latencies(window)
    timed = len(window.seconds)
    if 0 < timed < window.requests:
        told = f"{timed} of {counted(window.requests, 'request')}"
        rows.notes.append(f"the log says of {told} only how long they took")
    return rows


def _latencies(window: LogWindow) -> dict[str, float]:
    """How long requests took, in ms; nothing where the log says it of none."""
    import numpy as np

    if not len(window.seconds):
        return {}
    quantiles = np.quantile(window.seconds, list(LATENCIES.values()))
    return dict(zip(LATENCIES, (1000 * quantiles).tolist(), strict=True))


def _facts_of(window: LogWindow, folder: Path) -> Window:
    def text(seconds: float | None) -> str | None:
        return None if seconds is None else utc_text(seconds)

    return Window(
        source=str(folder),
        rows=window.rows,
        start_utc=text(window.first),
        end_utc=text(window.last),
        requests=window.requests,
        versions=window.versions,
        digest=window.digest,
    )


def _named_as(column: str) -> str:
    """The column as the release's data call it: an input by its own name."""
    return input_name(column) or column


def _vectors(
    window: LogWindow, names: Mapping[str, str], profile: Profile
) -> dict[str, tuple[str, ...]]:
    """Inputs of several numbers that stand for as many columns of the profile, in their order.

    A model that was trained on a table mostly takes its columns as one tensor.
    """
    import pyarrow as pa

    columns = []
    for column in profile.columns:
        if column.kind in ("number", "boolean") and column.name not in _ANSWERS:
            columns.append(column.name)
    widened = {}
    for logged, name in names.items():
        kind = window.types[logged][0]
        if name.startswith(OUTPUT_PREFIX) or profile.column(name) is not None:
            continue
        if pa.types.is_fixed_size_list(kind) and kind.list_size == len(columns):
            widened[name] = tuple(columns)
    # Of two such inputs, nobody knows which is the table.
    return widened if len(widened) == 1 else {}


def _widen(batch: pa.RecordBatch, widened: Mapping[str, tuple[str, ...]]) -> pa.RecordBatch:
    """The batch with a column for each number of a vector."""
    import pyarrow as pa

    if not widened:
        return batch
    arrays: list[Any] = []
    names: list[str] = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if name not in widened:
            arrays.append(array)
            names.append(name)
            continue
        # Of a slice, `flatten` gives its own values only, unlike `values`.
        flat = array.flatten()
        width = len(widened[name])
        for place, column in enumerate(widened[name]):
            arrays.append(flat.take(pa.array(range(place, len(flat), width), type=pa.int64())))
            names.append(column)
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _reference_of(
    profile: Profile, names: Mapping[str, str], widened: Mapping[str, tuple[str, ...]]
) -> Profile:
    """The columns of the profile that a log can have: a server takes what the model asks for."""
    there = set(names.values())
    for columns in widened.values():
        there.update(columns)
    kept = []
    for column in profile.columns:
        # The norm of a vector is measured with the vector.
        if column.name in there or column.name.rpartition(".")[0] in there:
            kept.append(column)
    return replace(profile, columns=tuple(kept))


def _notes_of_rows(window: LogWindow) -> list[str]:
    notes = []
    for broken in window.broken:
        notes.append(f"{broken.path} is left out from row {broken.rows}: {broken.why}")
    if window.doubled:
        notes.append(f"{counted(window.doubled, 'request')} came under an id that another one has")
    return notes


def _notes_of_columns(
    profile: Profile, reference: Profile, widened: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """What was taken for columns of the profile, and which of those the model does not take."""
    notes = []
    for name, columns in widened.items():
        notes.append(
            f"the {len(columns)} numbers of {name} are taken for the profile's columns in their "
            f"order: {listed(columns, _NAMED)}"
        )
    kept = [column.name for column in reference.columns]
    absent = [column.name for column in profile.columns if column.name not in kept]
    if absent:
        notes.append(f"the log has no {listed(absent, _NAMED)}, of the profile: not compared")
    return notes


def _notes_of_time(window: LogWindow, newest: float | None, now: float) -> list[str]:
    """What is odd about when the rows came."""
    if window.last is None:
        return []
    age = now - window.last
    if age < -1:
        return [f"the newest row is from {duration(-age)} ahead: a clock was set back, or is wrong"]
    if newest is not None and age > newest:
        return [f"the newest row is {duration(age)} old: nothing was answered since"]
    return []


def _label_file(path: Path, texts: Sequence[str] = IDS) -> Labels:
    """The labels of a file: its columns request (or id), label, and row where there is one.

    `texts` are columns whose values are names, also where they look like numbers.
    """
    import pyarrow as pa

    from nbci.profiles.data_files import open_table

    batches = list(open_table(path, texts=texts).batches())
    return labels_of(pa.Table.from_batches(batches) if batches else pa.table({}), path)


def _told(
    batches: Iterator[pa.RecordBatch], labels: Labels, notes: list[str]
) -> Iterator[pa.RecordBatch]:
    """The batches; once they are read, it is noted how many labels are of none of their rows."""
    values = labels.table.column(LABEL)
    given = left = len(values) - values.null_count
    for batch in batches:
        column = batch.column(batch.schema.get_field_index(LABEL))
        left -= len(column) - column.null_count
        yield batch
    # A label counts for each row of its id, should data have several.
    if left > 0:
        notes.append(f"{left} of {counted(given, 'label')} are of no row that was looked at")


def _with_labels(batch: pa.RecordBatch, labels: Labels, path: Path) -> pa.RecordBatch:
    """The rows of a table with those labels whose id they have."""
    import numpy as np
    import pyarrow as pa

    ids = [name for name in IDS if name in batch.schema.names]
    if not ids:
        raise UsageError(
            "labels are joined by id, and the data have no column request or id",
            where=Location(str(path)),
            hint="give the data such a column, or the label as their column `label`",
        )
    requests = batch.column(batch.schema.get_field_index(ids[0])).cast(pa.string())
    # Data have a row an id; only requests have several.
    places, has_label = labels.find(requests, np.zeros(batch.num_rows, dtype=np.int64))
    values = labels.table.column(LABEL).combine_chunks()
    taken = values.take(pa.array(places, mask=~has_label))
    kept = [name for name in batch.schema.names if name != LABEL]
    return pa.RecordBatch.from_arrays([*batch.select(kept).columns, taken], names=[*kept, LABEL])
