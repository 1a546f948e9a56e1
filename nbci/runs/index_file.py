"""The SQLite file of the index of runs: its tables, and a copy in memory where none can be."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Another format is not migrated: the index is made again from the records.
FORMAT = 3
# How long one process waits for the other that writes the index.
_BUSY_SECONDS = 20
TABLES = ("runs", "names", "metrics", "params", "seen")
_STATEMENTS = """
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


def open_index(path: Path) -> sqlite3.Connection:
    """The index on disk, or a copy in memory where it cannot be written.

    A damaged one is replaced by an empty one, for which all records are read again.
    """
    for _ in range(2):
        try:
            return _open_on_disk(path)
        except sqlite3.OperationalError:  # read-only, or no such folder
            return _copy_to_memory(path)
        except sqlite3.DatabaseError:
            remove_index(path)
    return _copy_to_memory(path)


def remove_index(path: Path) -> None:
    """Remove the index from the disk; the next question makes it again."""
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            path.with_name(f"{path.name}{ending}").unlink()


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all that happens inside, or nothing of it where something fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _open_on_disk(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        # Readers do not wait for a writer then, and a commit need not wait for the disk: what a
        # crash of the machine loses is read from the records again.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with transaction(connection):
            version = _format_of(connection)
            if version == 0:
                _make_tables(connection)
        if version not in (0, FORMAT):
            raise sqlite3.DatabaseError(f"format {version}")
        connection.execute("SELECT run FROM runs LIMIT 1").fetchone()
    except BaseException:
        connection.close()
        raise
    return _add_functions(connection)


def _copy_to_memory(path: Path) -> sqlite3.Connection:
    """A copy of the index in memory; an empty one where it cannot even be read."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as stored,
    ):
        stored.backup(connection)
        if _format_of(connection) == FORMAT:
            return _add_functions(connection)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _make_tables(connection)
    return _add_functions(connection)


def _format_of(connection: sqlite3.Connection) -> int:
    """The format of the index; 0 of a file that was just made."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _make_tables(connection: sqlite3.Connection) -> None:
    for statement in _STATEMENTS.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _add_functions(connection: sqlite3.Connection) -> sqlite3.Connection:
    # SQLite's own remainder is one of whole numbers.
    connection.create_function("remainder", 2, _remainder, deterministic=True)
    return connection


def _remainder(number: float | None, by: float | None) -> float | None:
    if number is None or not by:
        return None
    return number % by
