"""List the runs of this project, the newest first."""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import positive
from nbci.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci runs`."""
    parser.add_argument("--limit", "-n", type=positive, default=20, metavar="N", help="how many (default: 20)")
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def main(arguments: argparse.Namespace) -> int:
    """Print them."""
    from nbci.cli.show_text import RunRow, render_runs
    from nbci.config import find_project
    from nbci.store.runs import all_runs

    records = []
    for folder in islice(all_runs(find_project(Path.cwd())), arguments.limit):
        try:
            records.append(folder.read())
        except (IntegrityError, UsageError, FileNotFoundError) as error:
            print(f"nbci: run {folder.run} is left out: {error}", file=sys.stderr)
    rows = [RunRow(run=r.run, pipeline=r.pipeline, result=r.result, started_utc=r.started_utc, seconds=r.seconds,
                   metrics=r.metrics) for r in records]  # fmt: skip
    if arguments.json:
        fields = ("run", "pipeline", "result", "started_utc", "seconds", "metrics")
        print(json.dumps([{name: getattr(row, name) for name in fields} for row in rows], indent=1))
    else:
        print(render_runs(rows), end="")
    return 0
