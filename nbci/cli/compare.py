"""Say what differs between two runs, as `nbci diff` does; with --html as pages.

The pages are the report of the later run, with the earlier one as what everything is compared with:
code, parameters, data, metrics, figures, outputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli import diff
from nbci.cli.arguments import show_page
from nbci.errors import UsageError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci compare`."""
    diff.add_arguments(parser)
    parser.add_argument("--html", action="store_true", help="write pages, and say where they are")
    parser.add_argument(
        "--open", action="store_true", help="show the pages in the browser (with --html)"
    )


def main(arguments: argparse.Namespace) -> int:
    """Compare two runs; the exit code does not depend on the differences."""
    if arguments.html:
        return _write_pages(arguments)
    # To ignore it would leave the user waiting for a browser.
    if arguments.open:
        raise UsageError("--open shows pages", hint="nbci compare A B --html --open")
    return diff.main(arguments)


def _write_pages(arguments: argparse.Namespace) -> int:
    from nbci.app.run_report import write_comparison
    from nbci.config import find_project
    from nbci.runs.project_runs import find_run

    project = find_project(Path.cwd())
    before, after = find_run(project, arguments.before), find_run(project, arguments.after)
    page = write_comparison(project, before, after)
    show_page(page, {"before": before.run, "after": after.run}, arguments)
    return 0
