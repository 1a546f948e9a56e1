"""Make the table of wines that the cellar's pipeline reads, out of the wine data set that scikit-learn ships.

Usage: python notebooks/cellar/make_table.py data/cellar.csv
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from sklearn.datasets import load_wine  # type: ignore[import-untyped]  # scikit-learn ships no types

CULTIVARS = ("Barolo", "Grignolino", "Barbera")  # class_0, class_1 and class_2 in scikit-learn
OD280_COLUMN = "od280/od315_of_diluted_wines"  # a name without a slash is easier to live with


def make_table(path: Path) -> None:
    """Write a row for each wine; `origin` tells them from those that are added later."""
    wines: Any = load_wine()
    names = ["od280_od315" if name == OD280_COLUMN else name for name in wines.feature_names]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["id", "cultivar", "origin", *names])
        for number, (values, target) in enumerate(zip(wines.data.tolist(), wines.target, strict=True), start=1):
            rows.writerow([f"cellar-{number:03}", CULTIVARS[target], "old", *values])


def main() -> None:
    """Read the command line, and make the table."""
    parser = argparse.ArgumentParser(description="Make the table of wines that the cellar's pipeline reads.")
    parser.add_argument("path", type=Path, help="where to write it, for example data/cellar.csv")
    path = parser.parse_args().path
    make_table(path)
    print(f"made {path}")


if __name__ == "__main__":
    main()
