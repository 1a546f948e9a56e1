"""Make the SQLite database that the wine pipeline reads, out of the wine data set that scikit-learn ships.

Usage: python notebooks/wine/make_database.py build/wine.sqlite
"""

from __future__ import annotations

import argparse
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sklearn.datasets import load_wine  # type: ignore[import-untyped]  # scikit-learn ships no types

SCHEMA = """
CREATE TABLE wine (id INTEGER PRIMARY KEY, cultivar TEXT NOT NULL);
CREATE TABLE measurement (
    wine_id INTEGER NOT NULL REFERENCES wine (id),
    analyte TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (wine_id, analyte)
);
"""
CULTIVARS = ("Barolo", "Grignolino", "Barbera")  # class_0, class_1 and class_2 in scikit-learn
OD280_COLUMN = "od280/od315_of_diluted_wines"  # a name without a slash is easier to live with


def make_database(path: Path) -> None:
    """Write the database whole or not at all; one that is already there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with closing(sqlite3.connect(unfinished)) as connection:
            fill(connection)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def fill(connection: sqlite3.Connection) -> None:
    """Create the tables: a row for each wine, and one for each of its 13 measurements."""
    wines: Any = load_wine()
    analytes = ["od280_od315" if name == OD280_COLUMN else name for name in wines.feature_names]
    connection.executescript(SCHEMA)
    with connection:
        for number, (values, target) in enumerate(zip(wines.data.tolist(), wines.target, strict=True), start=1):
            connection.execute("INSERT INTO wine VALUES (?, ?)", (number, CULTIVARS[target]))
            rows = [(number, analyte, value) for analyte, value in zip(analytes, values, strict=True)]
            connection.executemany("INSERT INTO measurement VALUES (?, ?, ?)", rows)


def main() -> None:
    """Read the command line, make the database, say how to use it."""
    parser = argparse.ArgumentParser(description="Make the SQLite database that the wine pipeline reads.")
    parser.add_argument("path", type=Path, help="where to write it, for example build/wine.sqlite")
    path = parser.parse_args().path.resolve()
    make_database(path)
    print(f"made {path}\nuse it with: export WINE_DATABASE={path}")


if __name__ == "__main__":
    main()
