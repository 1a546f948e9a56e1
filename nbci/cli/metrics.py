"""How a metric has moved from run to run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, parse_count, print_json

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci metrics`."""
    # argparse lets subcommands be left out, and `main` would lack its arguments.
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    history = actions.add_parser(
        "history", help="a metric in each run that has it, the newest first"
    )
    history.add_argument("metric", metavar="METRIC", help="its name: METRIC, or STEP:METRIC")
    history.add_argument(
        "--where", metavar="CONDITION", help="only runs for which this holds, as for `nbci runs`"
    )
    history.add_argument(
        "--limit", "-n", type=parse_count, default=20, metavar="N", help="how many (default: 20)"
    )
    add_json_argument(history, "a JSON list")


def main(arguments: argparse.Namespace) -> int:
    """Print the history, which is the only action."""
    from nbci.cli.runs_text import history_document, render_history
    from nbci.config import find_project
    from nbci.runs.index import find_runs

    rows = find_runs(
        find_project(Path.cwd()),
        where=arguments.where,
        having=arguments.metric,
        limit=arguments.limit,
    )
    if arguments.json:
        print_json(history_document(rows, arguments.metric))
    else:
        print(render_history(rows, arguments.metric), end="")
    return 0
