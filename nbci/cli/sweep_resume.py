"""Go on with a sweep that was interrupted or killed, or is given more.

Exit codes: those of `nbci sweep`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.cli.sweep_arguments import (
    add_budget_arguments,
    add_checkout_argument,
    add_output_arguments,
    add_quiet_argument,
    add_sweep_argument,
    budget_of,
)
from nbci.cli.sweep_display import listener, print_finished

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci sweep resume`."""
    add_sweep_argument(parser)
    add_budget_arguments(parser)
    add_checkout_argument(parser)
    add_quiet_argument(parser)
    add_output_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """Go on with a sweep; returns the exit code."""
    from nbci.app.sweeps.sweep import resume

    finished = resume(arguments.sweep, budget_of(arguments), arguments.jobs, listener(arguments))
    return print_finished(finished, arguments)
