"""The index of runs: their records in SQLite, so that they are searched and sorted at once.

It is derived: runs that it has not seen are read when it is asked, a damaged one is made again, and
where it cannot be written the answer is the same, only slower.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
import time
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from nbci.dot_nbci import INDEX_FILE
from nbci.errors import IntegrityError, UsageError
from nbci.pipeline.metric_names import matching, short_name
from nbci.pipeline.rules import declared_for
from nbci.runs.file_names import BELONGING
from nbci.runs.folder import RunFolder
from nbci.runs.index_file import TABLES, open_index, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nbci.config import Project
    from nbci.pipeline.formulas import Formula
    from nbci.pipeline.rules import Direction
    from nbci.records.run_record import RunRecord
    from nbci.runs.search import Query

# A folder changed so shortly before it was listed may change again within one tick.
_SETTLED_NS = 50_000_000
# Runs written in one transaction: each costs a sync of the disk.
_AT_ONCE = 500
TRIALS_INDEX = "index.sqlite"
"""In the folder of a sweep."""
_UNREADABLE = (IntegrityError, UsageError, OSError)


class RunRow(Struct, frozen=True, kw_only=True):
    """A run as the index has it; metrics by their full names, parameters as numbers or text.

    `best_of` has the best metric for each pattern of the search; `problem`: why its record cannot
    be read.
    """

    run: str
    pipeline: str
    result: str
    started_utc: str | None = None
    seconds: float | None = None
    metrics: dict[str, float]
    params: dict[str, float | str | None] = {}
    best_of: dict[str, str] = {}
    problem: str | None = None


class _Listing(NamedTuple):
    """The names of the runs, when they were listed, and when their folder had changed last."""

    names: set[str]
    listed_ns: int
    changed_ns: int


class RunIndex:
    """The index of one project's runs, or of the trials of a sweep; close it when done."""

    def __init__(self, project: Project, sweep: Path | None = None) -> None:
        """`sweep` is the folder of a sweep, which has an index of its own."""
        self._runs_folder, file = project.runs_folder, project.root / INDEX_FILE
        if sweep is not None:
            self._runs_folder, file = sweep / BELONGING, sweep / TRIALS_INDEX
        self._connection = open_index(file)

    def __enter__(self) -> RunIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, records: Sequence[RunRecord]) -> None:
        """Add runs, or replace them."""
        with transaction(self._connection):
            for record in records:
                self._put(record)

    def rebuild(self) -> int:
        """Clear the index and read all records; returns the number of runs."""
        with transaction(self._connection):
            for table in TABLES:
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
        self.catch_up()
        return int(self._connection.execute("SELECT count(*) FROM runs").fetchone()[0])

    def catch_up(self) -> None:
        """Read runs that are new or were going on, and remove those whose folders are gone."""
        # A run that was going on may have ended, which does not change the folder of all runs.
        going_on = self._strings("SELECT run FROM runs WHERE result = 'running'")
        listing = self._list_runs()
        if listing is None:
            self._read_all(going_on)
            return

        known = set(self._strings("SELECT run FROM runs"))
        with transaction(self._connection):
            for name in known - listing.names:
                self._remove(name)
        new = listing.names - known
        self._read_all(sorted(new.union(going_on) & listing.names))
        # Last: where this process ends before, the next one looks again.
        with transaction(self._connection):
            self._connection.execute("DELETE FROM seen")
            self._connection.execute(
                "INSERT INTO seen VALUES (?, ?)", (listing.listed_ns, listing.changed_ns)
            )

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of all metrics, or of all parameters, that runs have.

        Metrics in full, and in short where a run has only one of that short name.
        """
        return tuple(self._strings("SELECT name FROM names WHERE kind = ? ORDER BY name", kind))

    def find(self, query: Query) -> list[RunRow]:
        """The runs that a query asks for.

        Those whose records have changed since they were read are read again.
        """
        rows = self._connection.execute(query.sql, query.values).fetchall()
        changed = [run for _, run, stamp, *_ in rows if stamp != self._stamp(run)]
        if changed:
            self._read_all(changed)
            rows = self._connection.execute(query.sql, query.values).fetchall()
        # Two questions for all runs, not two for each: a list may have a thousand.
        keys = json.dumps([row[0] for row in rows])
        metrics, params = self._metrics(keys), self._params(keys)
        found = [_run_row(row, metrics, params) for row in rows]
        if not query.best_of:
            return found
        return [replace(row, best_of=best_metrics(row.metrics, query.best_of)) for row in found]

    def direction(self, metrics: Sequence[str]) -> Direction | None:
        """Which way is better, as the plan of the newest run with one of these metrics says."""
        newest = self._strings(
            "SELECT max(runs.run) FROM metrics JOIN names ON names.id = metrics.name"
            " JOIN runs ON runs.id = metrics.run"
            " WHERE kind = 'metric' AND names.name IN (SELECT value FROM json_each(?))",
            json.dumps(metrics),
        )
        # Names stay known when the last run that had them is gone.
        if newest == [None]:
            return None
        try:
            plan = RunFolder(self._runs_folder / newest[0]).read_plan()
        except (FileNotFoundError, *_UNREADABLE):
            return None
        declared = plan.metrics or {}
        ways = {declared_for(name, declared).direction for name in metrics}
        # One that is undeclared, or better the other way, cannot be compared with the rest.
        if len(ways) > 1:
            return None
        return ways.pop()

    def _stamp(self, run: str) -> str:
        """A text that changes whenever a run's record changes, from the times of its files."""
        folder = self._runs_folder / run
        return f"{_changed_ns(folder / 'run.json')} {_changed_ns(folder / 'plan.json')}"

    def _metrics(self, keys: str) -> dict[int, dict[str, float]]:
        """The metrics of each run, in their order; `keys` is a JSON list of the runs'."""
        rows = self._connection.execute(
            "SELECT run, names.name, value FROM metrics JOIN names ON names.id = metrics.name"
            ' WHERE run IN (SELECT value FROM json_each(?)) AND "full" > 0 ORDER BY run, "full"',
            (keys,),
        )
        metrics: dict[int, dict[str, float]] = {}
        for key, name, value in rows:
            # SQLite stores NaN as NULL (https://www.sqlite.org/floatingpoint.html).
            metrics.setdefault(key, {})[name] = math.nan if value is None else value
        return metrics

    def _params(self, keys: str) -> dict[int, dict[str, float | str | None]]:
        """The parameters of each run, by their names; `keys` as above."""
        rows = self._connection.execute(
            "SELECT run, names.name, coalesce(number, text) FROM params"
            " JOIN names ON names.id = params.name"
            " WHERE run IN (SELECT value FROM json_each(?)) ORDER BY run, names.name",
            (keys,),
        )
        params: dict[int, dict[str, float | str | None]] = {}
        for key, name, value in rows:
            params.setdefault(key, {})[name] = value
        return params

    def _strings(self, sql: str, *values: str) -> list[str]:
        """The first column of what is selected."""
        return [row[0] for row in self._connection.execute(sql, values)]

    def _list_runs(self) -> _Listing | None:
        """The runs that there are; None when their folder has not changed since it was listed."""
        try:
            changed_ns = self._runs_folder.stat().st_mtime_ns
        except OSError:
            return _Listing(set(), 0, 0)
        row = self._connection.execute("SELECT listed_ns, changed_ns FROM seen").fetchone()
        if row is not None and row[1] == changed_ns and changed_ns + _SETTLED_NS < row[0]:
            return None
        listed_ns = time.time_ns()
        names = set(os.listdir(self._runs_folder))
        # Hidden files are those that a tool left, such as .DS_Store.
        hidden = {name for name in names if name.startswith(".")}
        return _Listing(names - hidden, listed_ns, changed_ns)

    def _read_all(self, names: Sequence[str]) -> None:
        """Read the records of runs, in a few transactions."""
        remaining = iter(names)
        while batch := [*islice(remaining, _AT_ONCE)]:
            with transaction(self._connection):
                for name in batch:
                    self._read(name)

    def _read(self, name: str) -> None:
        folder = RunFolder(self._runs_folder / name)
        try:
            self._put(folder.read())
        except FileNotFoundError:  # a run that has only just begun, or is being removed
            return
        except _UNREADABLE as error:
            self._remove(name)
            self._connection.execute(
                "INSERT INTO runs (run, problem, stamp) VALUES (?, ?, ?)",
                (name, str(error), self._stamp(name)),
            )

    def _remove(self, run: str) -> None:
        key = self._connection.execute("SELECT id FROM runs WHERE run = ?", (run,)).fetchone()
        if key is not None:
            for statement in ("runs WHERE id = ?", "metrics WHERE run = ?", "params WHERE run = ?"):
                self._connection.execute(f"DELETE FROM {statement}", key)  # noqa: S608 - as above

    def _put(self, record: RunRecord) -> None:
        self._remove(record.run)
        git = record.git
        cursor = self._connection.execute(
            'INSERT INTO runs (run, pipeline, target, result, started, seconds, "commit", branch,'
            " dirty, user, host, stamp) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record.run,
                record.pipeline,
                record.target,
                record.outcome,
                record.started_utc,
                record.seconds,
                git and git.commit,
                git and git.branch,
                git and git.dirty,
                record.user,
                record.host,
                self._stamp(record.run),
            ),
        )
        key = cursor.lastrowid
        for name, value, place in _metric_rows(record.metrics):
            self._connection.execute(
                "INSERT INTO metrics VALUES (?, ?, ?, ?)",
                (self._name_id("metric", name), value, key, place),
            )
        for given in record.params:
            number, text = _as_columns(given.value)
            self._connection.execute(
                "INSERT OR REPLACE INTO params VALUES (?, ?, ?, ?)",
                (self._name_id("param", given.name), number, text, key),
            )

    def _name_id(self, kind: str, name: str) -> int:
        """The number of a name, which is added when it is new."""
        found = self._connection.execute(
            "SELECT id FROM names WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        if found is not None:
            return int(found[0])
        cursor = self._connection.execute(
            "INSERT INTO names (kind, name) VALUES (?, ?)", (kind, name)
        )
        return int(cursor.lastrowid or 0)


def _run_row(
    columns: Sequence[Any],
    metrics: Mapping[int, dict[str, float]],
    params: Mapping[int, dict[str, float | str | None]],
) -> RunRow:
    """A run from the columns that a query selects, and what all runs have."""
    key, run, _, pipeline, result, started, seconds, problem = columns
    return RunRow(
        run=run,
        pipeline=pipeline or "",
        result=result or "",
        started_utc=started,
        seconds=seconds,
        metrics=metrics.get(key, {}),
        params=params.get(key, {}),
        problem=problem,
    )


def find_runs(
    project: Project,
    *,
    where: str | Formula | None = None,
    sort: str | None = None,
    having: str | None = None,
    limit: int,
    sweep: Path | None = None,
) -> list[RunRow]:
    """The runs that a search asks for (see `search.query`), unseen ones included.

    With the folder of a `sweep`, its trials instead of the project's runs.
    """
    # Imported only here: each run's end comes through this module, and searches nothing.
    from nbci.runs.search import Known, query

    with RunIndex(project, sweep) as index:
        index.catch_up()
        known = Known(
            metrics=index.names("metric"),
            params=index.names("param"),
            direction=index.direction,
        )
        return index.find(query(known, where=where, sort=sort, having=having, limit=limit))


def best_metrics(metrics: Mapping[str, float], patterns: Mapping[str, Direction]) -> dict[str, str]:
    """The full name of the best metric for each pattern that the metrics have."""
    best = {}
    for pattern, direction in patterns.items():
        sign = {"up": 1, "down": -1}[direction]
        known = [name for name in matching(pattern, metrics) if not math.isnan(metrics[name])]
        if known:
            best[pattern] = max(known, key=lambda name: sign * metrics[name])
    return best


def note_run(project: Project, record: RunRecord) -> None:
    """Put a run that has ended into the index.

    Where that does not work, the next question reads its record.
    """
    with contextlib.suppress(sqlite3.Error), RunIndex(project) as index:
        index.add([record])


def _changed_ns(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _metric_rows(metrics: Mapping[str, float]) -> Iterator[tuple[str, float, int]]:
    """Each metric with its place among the metrics; short names, with the place 0, where unique."""
    count = Counter(map(short_name, metrics))
    for place, (name, value) in enumerate(metrics.items(), 1):
        yield name, value, place
        short = short_name(name)
        if count[short] == 1 and short not in metrics:
            yield short, value, 0


def _as_columns(value: Any) -> tuple[float | None, str | None]:
    """The value of a parameter for the columns `number` and `text`, one of them None."""
    if isinstance(value, bool | int | float):
        with contextlib.suppress(OverflowError):
            return float(value), None
    if value is None:
        return None, None
    if isinstance(value, str):
        return None, value
    return None, json.dumps(value, default=str)
