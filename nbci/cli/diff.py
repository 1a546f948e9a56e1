"""Say what differs between two runs: parameters, code by cell, data, metrics, environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, print_json

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project
    from nbci.plan.compare import Compared


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
    from nbci.behaviour.of_runs import compare_behaviours, mask_behaviours
    from nbci.cli.diff_text import render_difference
    from nbci.config import find_project
    from nbci.data.repository import project_cache
    from nbci.engine.prepare import mask_for
    from nbci.plan.compare import difference
    from nbci.records.codec import plain
    from nbci.report.data.stored_results import ResultStore
    from nbci.store.file_index import project_index

    project = find_project(Path.cwd())
    cache = project_cache(project, os.environ)
    store = ResultStore(root=project.root, cache=cache, index=project_index(project))
    before, after = _read(project, arguments.before), _read(project, arguments.after)
    found = difference(before, after, store.listing)
    mask = mask_for(project, after.plan, os.environ)
    behaviours = compare_behaviours(store.files_of(before), store.files_of(after), {})
    behaviours = mask_behaviours(behaviours, mask)
    if arguments.json:
        print_json({**plain(found), "behaviour": plain(behaviours)}, ascii_only=False)
    else:
        print(render_difference(found, behaviours), end="")
    return 0


def _read(project: Project, run: str) -> Compared:
    from nbci.plan.compare import Compared
    from nbci.runs.named_runs import find_any_run

    folder = find_any_run(project, run)
    return Compared(record=folder.read(), plan=folder.read_plan())
