"""Show what became of a run, whether it ended, goes on or was killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_run_argument, shown_path

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci show`."""
    add_run_argument(parser)
    parser.add_argument(
        "--json", action="store_true", help="print the JSON that schemas/show.schema.json describes"
    )


def main(arguments: argparse.Namespace) -> int:
    """Print the run; how it went has no influence on the exit code."""
    from nbci.cli.show_text import render_show, show_document
    from nbci.config import find_project
    from nbci.runs.project_runs import find_run

    project = find_project(Path.cwd())
    record = find_run(project, arguments.run).read()
    if arguments.json:
        runs_folder = str(shown_path(project.runs_folder))
        print(json.dumps(show_document(record, runs_folder=runs_folder), indent=1))
    else:
        print(render_show(record), end="")
    return 0
