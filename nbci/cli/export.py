"""Write a run for other tools: `dvc` writes dvc.yaml, dvc.lock and params.yaml for DVC's commands.

What stands in those files for other stages stays as it is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci export`."""
    # Named although it is the only one: other tools' forms may follow.
    parser.add_argument("form", metavar="dvc", choices=("dvc",), help="the tool to write for")
    parser.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        help="a run's id, or its beginning (default: the newest whole one)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would change, and change nothing"
    )


def main(arguments: argparse.Namespace) -> int:
    """Write the files, and print which."""
    from nbci.config import find_project
    from nbci.data.dvc_export import newest_whole, prepare_export, write_export
    from nbci.runs.project_runs import find_run

    project = find_project(Path.cwd())
    # Not `latest`: a run that failed, or left steps out, would make a dvc.lock with holes.
    folder = newest_whole(project) if arguments.run is None else find_run(project, arguments.run)
    export = prepare_export(project, folder)
    changed = [document for document in export.documents if document.text != document.before]

    if arguments.dry_run:
        difference = "".join(document.diff() for document in changed)
        print(difference or f"nothing changes for run {export.run}\n", end="")
        return 0

    write_export(project, export, os.environ)
    print(f"run {export.run} in {len(export.stages)} stages: {', '.join(export.stages)}")
    for document in changed:
        verb = "changed"
        if document.before is None:
            verb = "wrote"
        print(f"  {verb} {document.path}")
    # The lock file names what the run made, and DVC would call these files modified.
    for path in export.altered:
        remedy = f"nbci checkout {export.run} {path}, or dvc checkout"
        print(f"  {path} here is not what the run made: {remedy}")
    return 0
