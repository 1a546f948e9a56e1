"""Write the report of a run with the pages and notebooks of all its steps, reused ones too.

Works on a run that goes on, and on one that was killed: its notebooks are made of what was printed
until then.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, add_run_argument, print_error, show_page

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci report`."""
    add_run_argument(parser)
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    add_json_argument(parser, "a JSON document with the run and its page")


def main(arguments: argparse.Namespace) -> int:
    """Write the report, and print its path."""
    from nbci.app.run_report import write_run_report
    from nbci.config import find_project
    from nbci.runs.project_runs import find_any_run

    project = find_project(Path.cwd())
    folder = find_any_run(project, arguments.run)
    # Scripts read the page's path from stdout: whatever else is to be said goes to stderr.
    page = write_run_report(project, folder, lambda text: print_error(f"nbci: {text}"))
    show_page(page, {"run": folder.run}, arguments)
    return 0
