"""How a metric has moved from run to run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import positive

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci metrics`."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    history = actions.add_parser(
        "history", help="a metric in each run that has it, the newest first"
    )
    history.add_argument("metric", metavar="METRIC", help="its name: METRIC, or STEP:METRIC")
    history.add_argument(
        "--where", metavar="CONDITION", help="only runs for which this holds, as for `nbci runs`"
    )
    history.add_argument(
        "--limit", "-n", type=positive, default=20, metavar="N", help="how many (default: 20)"
    )
    history.add_argument("--json", action="store_true", help="print a JSON list")


def main(arguments: argparse.Namespace) -> int:
    """Print them."""
    from nbci.cli.runs_text import render_history, value_in
    from nbci.config import find_project
    from nbci.runs.index import find_runs

    rows = find_runs(
        find_project(Path.cwd()),
        where=arguments.where,
        having=arguments.metric,
        limit=arguments.limit,
    )
    if arguments.json:
        fields = ("run", "pipeline", "result", "started_utc")
        listed = [
            {name: getattr(row, name) for name in fields}
            | {"value": value_in(row, arguments.metric)}
            for row in rows
        ]
        print(json.dumps(listed, indent=1))
    else:
        print(render_history(rows, arguments.metric), end="")
    return 0
