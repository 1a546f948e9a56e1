"""Arguments that the actions of `nbci sweep` have in common."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, parse_count
from nbci.dot_nbci import STORE_FOLDER

if TYPE_CHECKING:
    from nbci.app.sweeps.sweep import Budget
    from nbci.pipeline.confirmation import Confirmation

_LARGEST_SEED = 2**32 - 1


def add_sweep_argument(parser: argparse.ArgumentParser) -> None:
    """Declare which sweep is meant."""
    parser.add_argument(
        "sweep",
        metavar="SWEEP",
        nargs="?",
        default="latest",
        help="a sweep's id, or the beginning of one (default: the newest)",
    )


def add_trial_argument(parser: argparse.ArgumentParser) -> None:
    """Declare which trial is meant."""
    parser.add_argument(
        "--trial",
        type=_parse_number,
        metavar="N",
        help="this trial (default: the best; of several objectives, one has to be named)",
    )


def add_confirm_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the best one is measured that no trial saw."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--step", metavar="STEP", help="confirm it with this step, which trials do not run"
    )
    how.add_argument(
        "--seeds", type=parse_count, metavar="N", help="confirm it with N further seeds"
    )


def confirmation_of(arguments: argparse.Namespace) -> Confirmation | None:
    """How the command line asks for a confirmation; None where the sweep is to say it."""
    from nbci.pipeline.confirmation import Confirmation

    if arguments.step is None and arguments.seeds is None:
        return None
    return Confirmation(step=arguments.step, seeds=arguments.seeds)


def add_checkout_argument(parser: argparse.ArgumentParser) -> None:
    """Declare whether the best trial's files are put into the workspace at the end."""
    parser.add_argument(
        "--checkout",
        choices=("best",),
        help="at the end, put what the best trial made into the workspace",
    )


def add_budget_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare when the search ends, and how much goes on at once."""
    parser.add_argument("--trials", type=parse_count, metavar="N", help="end after N trials")
    parser.add_argument(
        "--minutes", type=_parse_minutes, metavar="M", help="begin no trial after so many minutes"
    )
    parser.add_argument(
        "--no-better-in",
        type=parse_count,
        metavar="N",
        help="end after N trials of which none was better",
    )
    parser.add_argument(
        "--parallel", type=parse_count, metavar="N", help="trials at once (default: 1)"
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=parse_count,
        metavar="N",
        help="steps at once at most, in all trials together (default: the processors)",
    )


def budget_of(arguments: argparse.Namespace) -> Budget:
    """The budget that the command line gives."""
    from nbci.app.sweeps.sweep import Budget

    return Budget(
        trials=arguments.trials,
        minutes=arguments.minutes,
        no_better_in=arguments.no_better_in,
        parallel=arguments.parallel,
    )


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how the trials are printed."""
    parser.add_argument("--csv", action="store_true", help="print the trials as CSV")
    add_json_argument(parser, "the trials as JSON; all else to stderr")


def add_state_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the folder of a sweep whose trials agents carry out, and the one of results."""
    parser.add_argument(
        "--state",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="the folder of the sweep, which each call must find as the last one left it",
    )
    parser.add_argument(
        "--store",
        metavar="FOLDER",
        help=f"the folder that carries results (default: {STORE_FOLDER} in the project)",
    )


def add_worker_argument(parser: argparse.ArgumentParser) -> None:
    """Declare who asks."""
    parser.add_argument(
        "--worker", required=True, metavar="NAME", help="who asks: each has one trial at a time"
    )


def add_quiet_argument(parser: argparse.ArgumentParser) -> None:
    """Declare that a sweep goes on without a line for each trial."""
    parser.add_argument("--quiet", "-q", action="store_true", help="print the table only")


def _parse_number(text: str) -> int:
    """Parse the number of a trial, from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a trial")
    return int(text)


def _parse_minutes(text: str) -> float:
    """Parse a number of minutes, which may have a fraction."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes above 0")
    return minutes


def parse_seed(text: str) -> int:
    """Parse a seed, as a pipeline file may have it."""
    if not text.isdecimal() or int(text) > _LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {_LARGEST_SEED}")
    return int(text)
