"""Send what runs made to the project's remote: values, artifacts and results that it lacks.

Safe to repeat: a push that was cut off goes on where it ended.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project
    from nbci.data.sharing import Sharing
    from nbci.records.run_record import StepRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci push`, and of `nbci pull`."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="*", default=["latest"], help="runs (default: latest)"
    )
    parser.add_argument(
        "--remote",
        metavar="NAME|URL",
        help="the DVC remote (default: NBCI_STORE_REMOTE, or store.remote in [tool.nbci])",
    )


def main(arguments: argparse.Namespace) -> int:
    """Send the objects that the remote lacks, and print their number."""
    project, sharing = open_sharing(arguments)
    count = 0
    try:
        for record in steps_of(project, arguments.runs):
            count += sharing.send(record)
    finally:
        # What was sent before a broken connection is not asked for a second time.
        sharing.cache.save()
    print(f"sent {counted(count, 'object')} to {sharing.shown}")
    return 0


def open_sharing(arguments: argparse.Namespace) -> tuple[Project, Sharing]:
    """The project, and the connection to its remote; UsageError when no remote is named."""
    from nbci.config import STORE_REMOTE, find_project
    from nbci.data.repository import project_cache
    from nbci.data.sharing import share
    from nbci.errors import UsageError

    project = find_project(Path.cwd())
    environ = dict(os.environ)
    # As if the environment named it: there, it is stronger than the project's own.
    if arguments.remote is not None:
        environ[STORE_REMOTE] = arguments.remote
    sharing = share(project, project_cache(project, environ), environ)
    if sharing is None or sharing.target is None:
        raise UsageError(
            "no remote is named",
            hint='name one with --remote, or `store.remote = "NAME"` under [tool.nbci]; '
            "it may be one of those of DVC",
        )
    return project, sharing


def steps_of(project: Project, runs: list[str]) -> list[StepRecord]:
    """The steps of the runs that passed or were reused, each once."""
    from nbci.runs.project_runs import find_run

    # Runs mostly reuse each other's steps, and asking a remote takes a round trip.
    found = {}
    for run in runs:
        for step in find_run(project, run).read().steps:
            if step.ended_well:
                found[step.key, step.run, step.name] = step
    return list(found.values())
