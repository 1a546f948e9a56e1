"""Tell a sweep that a worker has carried out what `nbci sweep next` gave it.

What the stages left becomes a run, whose metrics end the trial; a trial that fails is no error.
Exit code 4: trials in a row were cut short by the machines that they ran on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_lost_argument, optional_path, warn
from nbci.cli.sweep_arguments import add_state_arguments, add_worker_argument

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci sweep tell`."""
    add_state_arguments(parser)
    add_worker_argument(parser)
    parser.add_argument(
        "--bring",
        metavar="FOLDER",
        help="what the stages left, each in a folder in this one",
    )
    parser.add_argument(
        "--stopped-by", metavar="WHAT", help="what cut the stages short, where they did not end"
    )
    add_lost_argument(parser)


def main(arguments: argparse.Namespace) -> int:
    """End the trial, and print what came of it."""
    from nbci.app.sweeps.take_back import TellRequest, take_back
    from nbci.cli.sweep_text import best_line, trial_line

    told = take_back(
        TellRequest(
            state=Path(arguments.state),
            worker=arguments.worker,
            store=arguments.store,
            bring=optional_path(arguments.bring),
            # A build script's unset variable becomes "".
            stopped_by=arguments.stopped_by or None,
            lost=dict(arguments.lost),
        )
    )
    for text in told.warnings:
        warn(text)
    if told.trial is not None:
        ended = [trial for trial in told.trials if trial.state != "running"]
        print(trial_line(told.sweep, told.trial) + best_line(told.sweep, told.trial, ended))
    return 0
