"""Gather the steps that `nbci step` ran into a run of this project, with its report.

Safe to repeat: the same store becomes the same run.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_store_arguments, shown_path
from nbci.cli.verdict import exit_code

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci finish`."""
    add_store_arguments(parser)
    parser.add_argument("--no-gate", action="store_true", help="judge, but let no gate refuse the run")
    parser.add_argument("--json", action="store_true", help="print the JSON that schemas/show.schema.json describes")


def main(arguments: argparse.Namespace) -> int:
    """Gather, write the report, print the result; the answer is the run's exit code."""
    from nbci.cli.publish import publish
    from nbci.cli.show_text import render_show, show_document
    from nbci.config import find_project
    from nbci.engine.carried import finish, open_store
    from nbci.engine.judging import Judging
    from nbci.engine.reuse import bring_notebooks
    from nbci.store.cache import Cache
    from nbci.store.index import FileIndex
    from nbci.store.run_index import note_run
    from nbci.store.runs import read_plan
    from nbci.store.sources import read_notebooks

    project = find_project(Path.cwd())
    plan = read_plan(Path(arguments.plan))
    notebooks = read_notebooks(project, plan.sources or {})
    store = open_store(project, plan, arguments.store)
    folder, record = finish(project, plan, store, command=["nbci", *sys.argv[1:]], environ=os.environ)
    try:
        folder.write_run(record)
        record = Judging(project, plan, os.environ).judged(record)
        folder.write_run(record)
        bring_notebooks(folder, record, Cache(store.path), FileIndex(project.state_folder / "digests.json"))
        publish(folder, plan, notebooks, record, reused_too=True)
        note_run(project, record)
    finally:
        folder.release()
    if arguments.json:
        print(json.dumps(show_document(record, runs_folder=str(shown_path(project.runs_folder))), indent=1))
    else:
        print(render_show(record))
    return exit_code(record, gates=not arguments.no_gate)
