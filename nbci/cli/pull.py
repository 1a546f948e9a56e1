"""Bring what runs made from the project's remote to this machine: values, artifacts, results.

Safe to repeat: only what is missing here moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.cli.push import add_arguments, open_sharing, steps_of
from nbci.formatting.numbers import counted

if TYPE_CHECKING:
    import argparse

__all__ = ["add_arguments", "main"]

_DIGESTS_NAMED = 3


def main(arguments: argparse.Namespace) -> int:
    """Fetch the objects; IntegrityError when some are neither here nor on the remote."""
    from nbci.errors import IntegrityError

    project, sharing = open_sharing(arguments)
    missing: list[str] = []
    count = 0
    try:
        for record in steps_of(project, arguments.runs):
            taken, not_there = sharing.take(record)
            count += taken
            missing += not_there
    finally:
        # What came before a broken connection is not brought a second time.
        sharing.cache.save()
    print(f"brought {counted(count, 'object')} from {sharing.shown}")

    # Raised at the end: what is there has come, and is of use by itself.
    if missing:
        names = ", ".join(missing[:_DIGESTS_NAMED])
        raise IntegrityError(
            f"{counted(len(missing), 'object')} lie neither here nor there: {names}",
            hint="run the steps again, or `nbci push` from the machine that made them",
        )
    return 0
