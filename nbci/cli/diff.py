"""Say what differs between two runs: parameters, code by cell, data, metrics, environment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

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
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(arguments: argparse.Namespace) -> int:
    """Compare and print; both being equal is no failure, nor is the opposite."""
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
        print(json.dumps(plain(found), indent=1, ensure_ascii=False))
    else:
        print(render_difference(found), end="")
    return 0


def _read(project: Project, run: str) -> Compared:
    from nbci.plan.compare import Compared
    from nbci.runs.project_runs import find_run

    folder = find_run(project, run)
    return Compared(record=folder.read(), plan=folder.read_plan())
