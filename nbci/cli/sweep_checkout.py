"""Put what the best trial of a sweep made into the workspace, as `nbci checkout` does for a run.

A person's files that are kept nowhere else are moved aside, never overwritten.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.sweep_arguments import add_sweep_argument, add_trial_argument
from nbci.cli.sweep_display import checked_out_text

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci sweep checkout`."""
    add_sweep_argument(parser)
    add_trial_argument(parser)


def main(arguments: argparse.Namespace) -> int:
    """Restore the files, and print their paths; imports neither Optuna nor what runs steps."""
    from nbci.app.sweeps.sweep_folder import find_sweep
    from nbci.config import find_project

    project = find_project(Path.cwd())
    for line in checked_out_text(project, find_sweep(project, arguments.sweep), arguments.trial):
        print(line)
    return 0
