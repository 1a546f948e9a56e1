"""Put the version of a model that was in a stage before into it again, as a new event.

Exit codes: 0 done, 2 wrong usage or refused by the server, 4 try again, also when another change
was there first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.demote import add_move_arguments, move_request, print_move

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci rollback`."""
    add_move_arguments(parser)
    parser.add_argument(
        "--to", metavar="V", help="this version (default: the one that was there before)"
    )


def main(arguments: argparse.Namespace) -> int:
    """Roll back, and print what has changed."""
    from nbci.promotion.stage_changes import rollback

    print_move(
        arguments, rollback(Path.cwd(), move_request(arguments), os.environ, to=arguments.to)
    )
    return 0
