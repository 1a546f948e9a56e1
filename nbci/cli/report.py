"""Write the report of a run with the pages and notebooks of all its steps, also of those that it
reused.

Works on a run that goes on, and on one that was killed: its notebooks are made of what was printed
until then.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_run_argument, say_page

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project
    from nbci.runs.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci report`."""
    add_run_argument(parser)
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    parser.add_argument(
        "--json", action="store_true", help="print a JSON document with the run and its page"
    )


def main(arguments: argparse.Namespace) -> int:
    """Write it, and say where it is."""
    from nbci.config import find_project
    from nbci.runs.folder import find_run

    project = find_project(Path.cwd())
    folder = find_run(project, arguments.run)
    write(project, folder)
    say_page(folder.report / "index.html", {"run": folder.run}, arguments)
    return 0


def write(project: Project, folder: RunFolder) -> None:
    """Write the pages and the notebooks of all steps into the run's folder."""
    from nbci.app.publish import publish
    from nbci.engine.caching.reuse import bring_notebooks
    from nbci.errors import UsageError
    from nbci.project.sources import read_notebooks
    from nbci.store.cache import user_cache
    from nbci.store.file_index import project_index

    plan = folder.read_plan()
    is_held = folder.hold()
    try:
        if is_held:
            folder.settle()
        record = folder.read()
        bring_notebooks(folder, record, user_cache(os.environ), project_index(project))
        try:
            notebooks = read_notebooks(project, plan.sources or {})
        except UsageError as error:
            print(f"nbci: the merged notebooks are left as they are: {error}", file=sys.stderr)
            notebooks = {}
        publish(project, folder, plan, notebooks, record, reused_too=True)
    finally:
        folder.release()
