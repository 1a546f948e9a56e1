"""Say what differs between two runs: parameters, code by cell, data, metrics, environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, print_json
from nbci.errors import IntegrityError

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project
    from nbci.plan.compare import Compared
    from nbci.records.run_record import FileRef


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci diff`."""
    parser.add_argument(
        "before", metavar="A", help="the earlier run: its id or the beginning of it"
    )
    parser.add_argument(
        "after", metavar="B", nargs="?", default="latest", help="the later run (default: latest)"
    )
    add_json_argument(parser, "one JSON document")


def main(arguments: argparse.Namespace) -> int:
    """Compare two runs; the exit code does not depend on the differences."""
    from nbci.cli.diff_text import render_difference
    from nbci.config import find_project
    from nbci.data.repository import project_cache
    from nbci.plan.compare import difference
    from nbci.records.codec import plain

    project = find_project(Path.cwd())
    artifacts = project_cache(project, os.environ).artifacts

    def listing(ref: FileRef) -> dict[str, str] | None:
        try:
            return artifacts.listing(ref.digest)
        except IntegrityError:
            # The folder is no longer kept on this machine: its files cannot be named one by one.
            return None

    before, after = _read(project, arguments.before), _read(project, arguments.after)
    found = difference(before, after, listing)
    if arguments.json:
        print_json(plain(found), ascii_only=False)
    else:
        print(render_difference(found), end="")
    return 0


def _read(project: Project, run: str) -> Compared:
    from nbci.plan.compare import Compared
    from nbci.runs.project_runs import find_run

    folder = find_run(project, run)
    return Compared(record=folder.read(), plan=folder.read_plan())
