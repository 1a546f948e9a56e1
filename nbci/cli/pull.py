"""Bring what runs made from the remote of the project into the caches of this machine: values,
artifacts, results.

Safe to repeat: only what is missing here moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.cli.push import add_arguments, open_sharing, steps_of
from nbci.formatting.numbers import counted

if TYPE_CHECKING:
    import argparse

__all__ = ["add_arguments", "main"]


def main(arguments: argparse.Namespace) -> int:
    """Bring them; IntegrityError for what is nowhere."""
    from nbci.errors import IntegrityError

    project, sharing = open_sharing(arguments)
    gone: list[str] = []
    taken = 0
    try:
        for record in steps_of(project, arguments.runs):
            here, missing = sharing.take(record)
            taken += here
            gone += missing
    finally:
        sharing.cache.save()
    print(f"brought {counted(taken, 'object')} from {sharing.shown}")
    if gone:
        raise IntegrityError(
            f"{counted(len(gone), 'object')} lie neither here nor there: {', '.join(gone[:3])}",
            hint="run the steps again, or `nbci push` from the machine that made them",
        )
    return 0
