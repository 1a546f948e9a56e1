"""Show the trials of a sweep, the best first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.sweep_arguments import add_output_arguments, add_sweep_argument
from nbci.cli.sweep_display import print_trials

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci sweep show`."""
    add_sweep_argument(parser)
    add_output_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """Print a sweep; imports neither Optuna nor what carries steps out."""
    from nbci.app.sweeps.sweep_folder import find_sweep
    from nbci.config import find_project

    folder = find_sweep(find_project(Path.cwd()), arguments.sweep)
    print_trials(folder.read_record(), folder.read_trials(), folder.path, arguments)
    return 0
