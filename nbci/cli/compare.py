"""Say what differs between runs: two as `nbci diff` does, more of them in a table; or as pages.

The pages of two runs are the report of the later one, with the earlier one as what everything is
compared with: code, parameters, data, metrics, figures, outputs. That of more runs has their table
and their charts laid over each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli import diff
from nbci.cli.arguments import add_json_argument, print_error, print_json, show_page
from nbci.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci compare`."""
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="up to 200 runs, each by its id, the beginning of it, or `latest`; "
        "a sweep stands for its trials. One run is compared with the latest",
    )
    add_json_argument(parser, "one JSON document")
    parser.add_argument("--html", action="store_true", help="write pages, and say where they are")
    parser.add_argument(
        "--open", action="store_true", help="show the pages in the browser (with --html)"
    )


def main(arguments: argparse.Namespace) -> int:
    """Compare the runs; the exit code does not depend on the differences."""
    from nbci.app.many_runs import is_pair
    from nbci.config import find_project

    # To ignore it would leave the user waiting for a browser.
    if arguments.open and not arguments.html:
        raise UsageError("--open shows pages", hint="nbci compare A B --html --open")
    project = find_project(Path.cwd())
    if not is_pair(project, arguments.runs):
        return _compare_many(project, arguments)
    arguments.before, arguments.after = (*arguments.runs, "latest")[:2]
    if arguments.html:
        return _write_pages(project, arguments)
    return diff.main(arguments)


def _write_pages(project: Project, arguments: argparse.Namespace) -> int:
    from nbci.app.run_report import write_comparison
    from nbci.runs.named_runs import find_any_run

    before = find_any_run(project, arguments.before)
    after = find_any_run(project, arguments.after)
    page = write_comparison(project, before, after)
    show_page(page, {"before": before.run, "after": after.run}, arguments)
    return 0


def _compare_many(project: Project, arguments: argparse.Namespace) -> int:
    from nbci.app.many_runs import find_runs, write_page
    from nbci.cli.compare_text import many_document, render_many
    from nbci.cli.terminal_columns import terminal_columns
    from nbci.report.data.many_runs import left_out_lines

    found = find_runs(project, arguments.runs)
    # One damaged record must not hide all other runs.
    for line in left_out_lines(found.many.left_out):
        print_error(f"nbci: {line}")
    if arguments.html:
        page = write_page(project, found)
        show_page(page, {"runs": [run.run for run in found.many.runs]}, arguments)
    elif arguments.json:
        print_json(many_document(found.many))
    else:
        print(render_many(found.many, terminal_columns()), end="")
    return 0
