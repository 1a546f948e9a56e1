"""Take a model out of a stage. The tags of releases stay; a new tag says that it is out.

Exit codes: 0 done, 2 wrong usage or refused by the server, 4 try again, also when another change
was there first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import print_json
from nbci.cli.promote import add_publish_arguments, local_tags_line

if TYPE_CHECKING:
    import argparse

    from nbci.promotion.stage_changes import Move, Moved


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci demote`."""
    add_move_arguments(parser)


def add_move_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the model, the stage and the reason, also for `nbci rollback`."""
    parser.add_argument("model", metavar="M", help="the model")
    parser.add_argument(
        "--stage", metavar="S", help="the stage (default: the only one it was ever in)"
    )
    parser.add_argument(
        "--reason", metavar="TEXT", help="why; it stands in the tag, and in `nbci audit`"
    )
    add_publish_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """Demote the model, and print what has changed."""
    from nbci.promotion.stage_changes import demote

    print_move(arguments, demote(Path.cwd(), move_request(arguments), os.environ))
    return 0


def move_request(arguments: argparse.Namespace) -> Move:
    """The arguments as the use case takes them."""
    from nbci.promotion.stage_changes import Move

    return Move(
        model=arguments.model,
        stage=arguments.stage,
        reason=arguments.reason,
        push=arguments.push,
        dry_run=arguments.dry_run,
    )


def print_move(arguments: argparse.Namespace, moved: Moved) -> None:
    """Print what is in the stage now, and the new tags."""
    if arguments.json:
        print_json(moved, ascii_only=False)
        return

    what = f"{moved.model} {moved.now}"
    # A stage may be left empty: then nothing was in it before the model.
    if not moved.now:
        what = f"nothing of {moved.model}"
    verb = "is"
    if moved.dry_run:
        verb = "would be"
    line = f"{what} {verb} in {moved.stage}"
    if moved.before:
        line += f", where {moved.before} was"
    print(f"{line}\n  tags:   {' '.join(moved.tags)}")
    if not moved.dry_run and not moved.pushed:
        print(local_tags_line(moved.tags))
