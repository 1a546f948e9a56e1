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
from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.dot_nbci import INDEX_FILE
from nbci.errors import IntegrityError, UsageError
from nbci.pipeline.metric_names import short_name
from nbci.runs.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nbci.config import Project
    from nbci.records.run_record import RunRecord
    from nbci.runs.search import Query

# Another format is not migrated: the index is made again from the records.
FORMAT = 3
# How long one process waits for the other that writes the index.
_BUSY_SECONDS = 20
# A folder changed so shortly before it was listed may change again within one tick.
_SETTLED_NS = 50_000_000
# Runs written in one transaction: each costs a sync of the disk.
_AT_ONCE = 500
_UNREADABLE = (IntegrityError, UsageError, OSError)
_TABLES = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, pipeline TEXT, target TEXT, result TEXT,
    started TEXT, seconds REAL, "commit" TEXT, branch TEXT, dirty INTEGER, user TEXT, host TEXT,
    problem TEXT, stamp TEXT
);
CREATE TABLE names (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name)
);
CREATE TABLE metrics (
    name INTEGER, value REAL, run INTEGER, "full" INTEGER NOT NULL, PRIMARY KEY (run, name)
) WITHOUT ROWID;
CREATE INDEX metrics_by_value ON metrics (name, value, run);
CREATE TABLE params (
    name INTEGER, number REAL, text TEXT, run INTEGER, PRIMARY KEY (run, name)
) WITHOUT ROWID;
CREATE TABLE seen (listed_ns INTEGER, changed_ns INTEGER);
"""


class RunRow(Struct, frozen=True, kw_only=True):
    """A run as the index has it; metrics by their full names, parameters as numbers or text.

    `problem`: why its record cannot be read.
    """

    run: str
    pipeline: str
    result: str
    started_utc: str | None = None
    seconds: float | None = None
    metrics: dict[str, float]
    params: dict[str, float | str | None] = {}
    problem: str | None = None


class RunIndex:
    """The index of one project; close it when done."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._path = project.root / INDEX_FILE
        self._connection = self._opened()

    def __enter__(self) -> RunIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, records: Sequence[RunRecord]) -> None:
        """Put runs in, in the place of what was known of them."""
        with _transaction(self._connection):
            for record in records:
                self._put(record)

    def rebuild(self) -> int:
        """Forget everything and read all records again; the answer is the number of runs."""
        with _transaction(self._connection):
            for table in ("runs", "names", "metrics", "params", "seen"):
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - named just above
        self.catch_up()
        return int(self._connection.execute("SELECT count(*) FROM runs").fetchone()[0])

    def catch_up(self) -> None:
        """Read the runs that are new or were going on, and forget those that are gone."""
        there = self._listed()
        if there is None:
            wanted = self._going_on()
        else:
            listed, names = there
            known = {row[0] for row in self._connection.execute("SELECT run FROM runs")}
            self._forget(known - names)
            wanted = sorted({*(names - known), *self._going_on()} & names)
        for start in range(0, len(wanted), _AT_ONCE):
            with _transaction(self._connection):
                for name in wanted[start : start + _AT_ONCE]:
                    self._read(name)
        if there is not None:
            with _transaction(self._connection):
                self._connection.execute("DELETE FROM seen")
                self._connection.execute("INSERT INTO seen VALUES (?, ?)", listed)

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of all metrics, or of all parameters, that runs have.

        Metrics in full, and in short where a run has only one of that short name.
        """
        rows = self._connection.execute(
            "SELECT name FROM names WHERE kind = ? ORDER BY name", (kind,)
        )
        return tuple(row[0] for row in rows)

    def find(self, query: Query) -> list[RunRow]:
        """The runs that a query asks for.

        Those whose records have changed since they were read are read again.
        """
        rows = self._connection.execute(query.sql, query.values).fetchall()
        changed = [row[1] for row in rows if self._stamp_of(row[0]) != self._stamp(row[1])]
        if changed:
            with _transaction(self._connection):
                for name in changed:
                    self._read(name)
            rows = self._connection.execute(query.sql, query.values).fetchall()
        return [
            RunRow(
                run=run,
                pipeline=pipeline or "",
                result=result or "",
                started_utc=started,
                seconds=seconds,
                metrics=self._metrics(key),
                params=self._params(key),
                problem=problem,
            )
            for key, run, pipeline, result, started, seconds, problem in rows
        ]

    def _stamp(self, run: str) -> str:
        """What tells one state of a run's record from another without reading it."""
        return " ".join(
            str(_changed_ns(self._project.runs_folder / run / name))
            for name in ("run.json", "plan.json")
        )

    def _stamp_of(self, key: int) -> str | None:
        stamp: str | None = self._connection.execute(
            "SELECT stamp FROM runs WHERE id = ?", (key,)
        ).fetchone()[0]
        return stamp

    def _metrics(self, key: int) -> dict[str, float]:
        rows = self._connection.execute(
            "SELECT names.name, value FROM metrics JOIN names ON names.id = metrics.name"
            ' WHERE run = ? AND "full" > 0 ORDER BY "full"',
            (key,),
        )
        # SQLite stores NaN as NULL (https://www.sqlite.org/floatingpoint.html).
        return {name: math.nan if value is None else value for name, value in rows}

    def _params(self, key: int) -> dict[str, float | str | None]:
        rows = self._connection.execute(
            "SELECT names.name, number, text FROM params JOIN names ON names.id = params.name"
            " WHERE run = ? ORDER BY names.name",
            (key,),
        )
        return {name: text if number is None else number for name, number, text in rows}

    def _listed(self) -> tuple[tuple[int, int], set[str]] | None:
        """The runs that there are, and when the folder was listed and had changed.

        None when nothing has changed.
        """
        import time

        folder = self._project.runs_folder
        try:
            changed_ns = folder.stat().st_mtime_ns
        except OSError:
            return (0, 0), set()
        row = self._connection.execute("SELECT listed_ns, changed_ns FROM seen").fetchone()
        if row is not None and row[1] == changed_ns and changed_ns + _SETTLED_NS < row[0]:
            return None
        listed_ns = time.time_ns()
        with os.scandir(folder) as entries:
            return (listed_ns, changed_ns), {
                entry.name for entry in entries if not entry.name.startswith(".")
            }

    def _going_on(self) -> list[str]:
        return [
            row[0]
            for row in self._connection.execute("SELECT run FROM runs WHERE result = 'running'")
        ]

    def _forget(self, names: set[str]) -> None:
        with _transaction(self._connection):
            for name in names:
                self._remove(name)

    def _remove(self, run: str) -> None:
        key = self._connection.execute("SELECT id FROM runs WHERE run = ?", (run,)).fetchone()
        if key is not None:
            for statement in ("runs WHERE id = ?", "metrics WHERE run = ?", "params WHERE run = ?"):
                self._connection.execute(f"DELETE FROM {statement}", key)  # noqa: S608 - as above

    def _read(self, name: str) -> None:
        folder = RunFolder(self._project.runs_folder / name)
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
        metrics = record.metrics
        count = Counter(map(short_name, metrics))
        rows = [
            (self._name("metric", name), value, key, at)
            for at, (name, value) in enumerate(metrics.items(), 1)
        ]
        rows += [
            (self._name("metric", short), value, key, 0)
            for name, value in metrics.items()
            if count[short := short_name(name)] == 1 and short not in metrics
        ]
        self._connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?)", rows)
        self._connection.executemany(
            "INSERT OR REPLACE INTO params VALUES (?, ?, ?, ?)",
            [
                (self._name("param", given.name), *_as_columns(given.value), key)
                for given in record.params
            ],
        )

    def _name(self, kind: str, name: str) -> int:
        found = self._connection.execute(
            "SELECT id FROM names WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        if found is None:
            return int(
                self._connection.execute(
                    "INSERT INTO names (kind, name) VALUES (?, ?)", (kind, name)
                ).lastrowid
                or 0
            )
        return int(found[0])

    def _opened(self) -> sqlite3.Connection:
        """The index on disk, or a copy in memory where it cannot be written.

        A damaged one is replaced by an empty one, which reads all records again.
        """
        for _ in range(2):
            try:
                return self._on_disk()
            except sqlite3.OperationalError:  # read-only, or no such folder
                return self._in_memory()
            except sqlite3.DatabaseError:
                remove_index(self._project)
        return self._in_memory()

    def _on_disk(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            with _transaction(connection):
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version == 0:
                    _make_tables(connection)
            if version not in (0, FORMAT):
                raise sqlite3.DatabaseError(f"format {version}")
            connection.execute("SELECT run FROM runs LIMIT 1").fetchone()
        except BaseException:
            connection.close()
            raise
        return _with_functions(connection)

    def _in_memory(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(
                sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)
            ) as stored,
        ):
            stored.backup(connection)
            if connection.execute("PRAGMA user_version").fetchone()[0] == FORMAT:
                return _with_functions(connection)
        connection = sqlite3.connect(":memory:", isolation_level=None)
        _make_tables(connection)
        return _with_functions(connection)


def find_runs(
    project: Project,
    *,
    where: str | None = None,
    sort: str | None = None,
    having: str | None = None,
    limit: int,
) -> list[RunRow]:
    """The runs that a search asks for (see `search.query`), unseen ones included."""
    from nbci.runs.search import (
        Known,
        query,
    )  # each run's end comes through this module, and searches nothing

    with RunIndex(project) as index:
        index.catch_up()
        known = Known(metrics=index.names("metric"), params=index.names("param"))
        return index.find(query(known, where=where, sort=sort, having=having, limit=limit))


def remove_index(project: Project) -> None:
    """Remove the index from the disk; the next question makes it again."""
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            (project.root / f"{INDEX_FILE}{ending}").unlink()


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


def _make_tables(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _with_functions(connection: sqlite3.Connection) -> sqlite3.Connection:
    """SQLite's own remainder is one of whole numbers."""
    connection.create_function("remainder", 2, _remainder, deterministic=True)
    return connection


def _remainder(number: float | None, by: float | None) -> float | None:
    return None if number is None or not by else number % by


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _as_columns(value: Any) -> tuple[float | None, str | None]:
    """A parameter as a number and as a text, of which one at most is there."""
    if isinstance(value, bool | int | float):
        with contextlib.suppress(OverflowError):
            return float(value), None
    if value is None:
        return None, None
    return None, value if isinstance(value, str) else json.dumps(value, default=str)
