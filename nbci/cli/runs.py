"""List the runs of this project, the newest first, or those that a search finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, parse_count, print_error, print_json

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci runs`."""
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        help="only those for which this holds, such as 'accuracy > 0.9 and C == 10'",
    )
    parser.add_argument(
        "--sort",
        metavar="NAME",
        help="by a metric, parameter or field; -NAME for the largest first",
    )
    parser.add_argument(
        "--limit", "-n", type=parse_count, default=20, metavar="N", help="how many (default: 20)"
    )
    add_json_argument(parser, "a JSON list")


def main(arguments: argparse.Namespace) -> int:
    """Print the runs; those whose records cannot be read are named on stderr."""
    from nbci.cli.runs_text import render_runs, runs_document
    from nbci.config import find_project
    from nbci.runs.index import find_runs

    found = find_runs(
        find_project(Path.cwd()), where=arguments.where, sort=arguments.sort, limit=arguments.limit
    )
    rows = []
    for row in found:
        # One damaged record must not hide all other runs.
        if row.problem is not None:
            print_error(f"nbci: run {row.run} is left out: {row.problem}")
        else:
            rows.append(row)

    if arguments.json:
        print_json(runs_document(rows))
    elif not rows and arguments.where:
        print("no run is like that")
    else:
        print(render_runs(rows), end="")
    return 0
