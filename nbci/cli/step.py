"""Run steps of a stored plan here, and leave their results in a store folder, to be carried to the steps after them.

Safe to repeat: a step that already passed in this store is not run again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_store_arguments
from nbci.cli.verdict import exit_code

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci step`."""
    add_store_arguments(parser)
    parser.add_argument("steps", metavar="STEP", nargs="+", help="steps of the plan, each after those it comes after")


def main(arguments: argparse.Namespace) -> int:
    """Run the steps; the answer is the exit code of the worst."""
    from nbci.cli.live import LineDisplay
    from nbci.config import find_project
    from nbci.engine.carried import open_store, run_part
    from nbci.plan.select import step_named
    from nbci.store.runs import read_plan

    project = find_project(Path.cwd())
    plan = read_plan(Path(arguments.plan))
    steps = tuple(step_named(plan, name) for name in dict.fromkeys(arguments.steps))
    store = open_store(project, plan, arguments.store)
    display = LineDisplay(sys.stdout, runs_folder=store.path.parent, summary=False)
    try:
        record = run_part(project, plan, store, steps, display=display, environ=os.environ)
    finally:
        display.close()
    return exit_code(record)
