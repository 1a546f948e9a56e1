"""Run the best trial of a sweep as a whole, judge it by the gates, and release its model.

Steps that the trial computed are reused. The run and the release say of which search it is.

Exit codes: 0 promoted, 1 a step failed, 2 wrong usage or refused by the server, 3 the gates do not
let it, 4 try again, 5 altered.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import print_json, shown_path
from nbci.cli.promote import add_release_arguments, release_request, render_promotion
from nbci.cli.sweep_arguments import add_quiet_argument, add_sweep_argument, add_trial_argument
from nbci.records.codec import plain

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project
    from nbci.records.run_record import RunRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci sweep promote`."""
    add_sweep_argument(parser)
    add_trial_argument(parser)
    add_release_arguments(parser)
    add_quiet_argument(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run, judge and promote; returns the exit code."""
    from nbci.app.exit_codes import exit_code
    from nbci.app.promote_run import promote_run
    from nbci.config import find_project
    from nbci.runs.project_runs import find_run

    project = find_project(Path.cwd())
    record = run_chosen(project, arguments)
    code = exit_code(record)
    # What a gate refuses, promotion refuses with its reasons.
    if record.result != "passed":
        return code
    run = find_run(project, record.run)
    promotion = promote_run(project, run, release_request(arguments), os.environ)
    chosen = record.chosen
    if arguments.json:
        print_json({**plain(promotion), "chosen": plain(chosen)}, ascii_only=False)
        return code
    print(render_promotion(promotion))
    if chosen is not None:
        print(f"  chosen: {chosen.sentence}")
    return code


def run_chosen(project: Project, arguments: argparse.Namespace) -> RunRecord:
    """Carry the trial out as a run, and show its progress."""
    from nbci.app.sweeps.best_run import run_best
    from nbci.app.sweeps.sweep_folder import find_sweep
    from nbci.cli.run import presentation

    folder = find_sweep(project, arguments.sweep)
    found = run_best(
        project,
        folder,
        arguments.trial,
        ("nbci", *sys.argv[1:]),
        presentation(quiet=arguments.quiet, json=arguments.json),
    )
    if found.is_earlier and not (arguments.quiet or arguments.json):
        place = shown_path(project.runs_folder / found.record.run)
        print(f"it was carried out already: {place}")
    return found.record
