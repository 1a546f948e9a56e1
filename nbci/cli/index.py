"""The index by which runs are searched; it is derived from their records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci index`."""
    # argparse lets subcommands be left out, and `nbci index` alone would rebuild.
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    actions.add_parser("rebuild", help="forget it, and read every record again")


def main(arguments: argparse.Namespace) -> int:
    """Rebuild the index, which is the only action."""
    from nbci.config import find_project
    from nbci.formatting.numbers import counted
    from nbci.runs.index import RunIndex

    with RunIndex(find_project(Path.cwd())) as index:
        print(f"{counted(index.rebuild(), 'run')} in the index")
    return 0
