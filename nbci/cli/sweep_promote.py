"""Run the best trial of a sweep as a whole, judge it by the gates, and release its model.

Steps that the trial computed are reused. The run and the release say of which search it is.

Exit codes: 0 promoted, 1 a step failed, 2 wrong usage or refused by the server, 3 the gates do not
let it, 4 try again, 5 altered.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import print_json
from nbci.cli.promote import add_release_arguments, release_request, render_promotion
from nbci.cli.sweep_arguments import (
    add_confirm_arguments,
    add_quiet_argument,
    add_sweep_argument,
    add_trial_argument,
)
from nbci.cli.sweep_confirm import run_chosen
from nbci.records.codec import plain

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci sweep promote`."""
    add_sweep_argument(parser)
    add_trial_argument(parser)
    add_confirm_arguments(parser)
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
        document = {"chosen": plain(chosen), "confirmed": plain(record.confirmed)}
        print_json({**plain(promotion), **document}, ascii_only=False)
        return code
    print(render_promotion(promotion))
    if chosen is not None:
        print(f"  chosen: {chosen.sentence}")
    if record.confirmed is not None:
        print(f"  confirmed: {record.confirmed.sentence}")
    return code
