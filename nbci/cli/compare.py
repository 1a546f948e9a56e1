"""Say what differs between two runs, as `nbci diff` does; with --html as pages.

The pages are the report of the later run, with the earlier one as what everything is compared with:
code, parameters, data, metrics, figures, outputs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli import diff
from nbci.cli.arguments import say_page
from nbci.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project
    from nbci.runs.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci compare`."""
    diff.add_arguments(parser)
    parser.add_argument("--html", action="store_true", help="write pages, and say where they are")
    parser.add_argument(
        "--open", action="store_true", help="show the pages in the browser (with --html)"
    )


def main(arguments: argparse.Namespace) -> int:
    """Compare; both being equal is no failure, nor is the opposite."""
    from nbci.config import find_project
    from nbci.runs.folder import find_run

    if not arguments.html:
        if arguments.open:
            raise UsageError("--open shows pages", hint="nbci compare A B --html --open")
        return diff.main(arguments)
    project = find_project(Path.cwd())
    before, after = find_run(project, arguments.before), find_run(project, arguments.after)
    page = _write(project, before, after) / "index.html"
    say_page(page, {"before": before.run, "after": after.run}, arguments)
    return 0


def _write(project: Project, before: RunFolder, after: RunFolder) -> Path:
    """Write the pages into the later run's folder, beside its own report."""
    from nbci.app.publish import render_files
    from nbci.engine.caching.reuse import bring_notebooks
    from nbci.report.data.gather import gather
    from nbci.report.write import write_report
    from nbci.store.cache import user_cache
    from nbci.store.file_index import project_index

    if before.run == after.run:
        raise UsageError(
            f"run {after.run} is the same as itself",
            hint="name another run: `nbci runs` lists them",
        )
    record, plan = after.read(), after.read_plan()
    bring_notebooks(after, record, user_cache(os.environ), project_index(project))
    material = gather(
        project, record, plan, after.executed(plan), environ=os.environ, against=before
    )
    pages = after.path / "compared" / before.run
    write_report(pages, render_files(project, material))
    return pages
