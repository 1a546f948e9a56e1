"""Write the report of a run with the pages and notebooks of all its steps, reused ones too.

Works on a run that goes on, and on one that was killed: its notebooks are made of what was printed
until then. For the id of a sweep it writes the sweep's pages, as `nbci sweep show --html` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, add_run_argument, print_error, show_page
from nbci.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from nbci.app.sweeps.sweep_folder import SweepFolder
    from nbci.config import Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci report`."""
    add_run_argument(parser)
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    add_json_argument(parser, "a JSON document with the run and its page")


def main(arguments: argparse.Namespace) -> int:
    """Write the report, and print its path."""
    from nbci.app.run_report import write_run_report
    from nbci.app.sweeps.pages import write_sweep_pages
    from nbci.cli.sweep_display import shown_target
    from nbci.config import find_project
    from nbci.runs.named_runs import find_any_run

    project = find_project(Path.cwd())
    try:
        folder = find_any_run(project, arguments.run)
    except UsageError:
        sweep = _find_sweep(project, arguments.run)
        if sweep is None:
            raise
        page = write_sweep_pages(sweep, shown_target(sweep.path, sweep.read_record()))
        show_page(page, {"sweep": sweep.sweep}, arguments)
        return 0
    # Scripts read the page's path from stdout: whatever else is to be said goes to stderr.
    page = write_run_report(project, folder, lambda text: print_error(f"nbci: {text}"))
    show_page(page, {"run": folder.run}, arguments)
    return 0


def _find_sweep(project: Project, name: str) -> SweepFolder | None:
    """The sweep of that id; None where there is none, so that none was meant."""
    from nbci.app.sweeps.sweep_folder import find_sweep

    # The newest run is asked for, and not another thing in its place.
    if name == "latest":
        return None
    try:
        return find_sweep(project, name)
    except UsageError:
        return None
