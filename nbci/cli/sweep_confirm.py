"""Measure the best trial of a sweep where no trial has looked: with another step, or other seeds.

It is carried out as a run of the whole target, which the gates judge. Steps that the trial computed
are reused. Without --step and --seeds, as `confirm` of the sweep says.

Exit codes: those of `nbci run`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, print_json, shown_path, warn
from nbci.cli.sweep_arguments import (
    add_confirm_arguments,
    add_quiet_argument,
    add_sweep_argument,
    add_trial_argument,
    confirmation_of,
)
from nbci.records.codec import plain

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project
    from nbci.records.run_record import RunRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci sweep confirm`."""
    add_sweep_argument(parser)
    add_trial_argument(parser)
    add_confirm_arguments(parser)
    add_quiet_argument(parser)
    add_json_argument(parser, "what was chosen and confirmed as JSON; all else to stderr")


def main(arguments: argparse.Namespace) -> int:
    """Run, confirm and judge; returns the exit code."""
    from nbci.app.exit_codes import exit_code
    from nbci.app.sweeps.sweep_folder import find_sweep
    from nbci.config import find_project
    from nbci.errors import UsageError

    project = find_project(Path.cwd())
    sweep = find_sweep(project, arguments.sweep).read_record()
    if sweep.confirm is None and confirmation_of(arguments) is None:
        raise UsageError(
            f"sweep {sweep.sweep} does not say how its best one is confirmed",
            hint="--seeds 5, or --step STEP; in the pipeline file, `confirm` of the sweep",
        )
    # A gate that refuses it does not hide what was confirmed.
    record = run_chosen(project, arguments)
    confirmed = record.confirmed
    if arguments.json:
        document = {"run": record.run, "chosen": plain(record.chosen)}
        print_json({**document, "confirmed": plain(confirmed)})
    elif confirmed is not None:
        print(f"confirmed: {confirmed.sentence}")
    return exit_code(record)


def run_chosen(project: Project, arguments: argparse.Namespace) -> RunRecord:
    """Carry the trial out as a run, and show its progress."""
    from nbci.app.sweeps.best_run import BestRequest, run_best
    from nbci.app.sweeps.sweep_folder import find_sweep
    from nbci.cli.run import presentation

    folder = find_sweep(project, arguments.sweep)
    request = BestRequest(
        trial=arguments.trial,
        confirm=confirmation_of(arguments),
        command=("nbci", *sys.argv[1:]),
    )
    found = run_best(
        project, folder, request, presentation(quiet=arguments.quiet, json=arguments.json)
    )
    if found.is_earlier and not (arguments.quiet or arguments.json):
        place = shown_path(project.runs_folder / found.record.run)
        print(f"it was carried out already: {place}")
    # What the gates judged may be flattered, and whoever promotes it should read so now.
    for text in found.record.warnings:
        warn(text)
    return found.record
