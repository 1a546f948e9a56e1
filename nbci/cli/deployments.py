"""What is deployed where, since when and by whom; with --check, how it is.

Exit codes: 0 all is as it should be, 2 wrong usage, 3 a place that was asked is not healthy, 4 the
remote is away.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, print_json
from nbci.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from nbci.app.deployment.standing import Standing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci deployments`."""
    parser.add_argument("model", metavar="M", nargs="?", help="of this model only")
    parser.add_argument("--check", action="store_true", help="ask the places how they are")
    parser.add_argument("--fetch", action="store_true", help="bring the tags of `origin` first")
    add_json_argument(parser, "a JSON list")


def main(arguments: argparse.Namespace) -> int:
    """Print a line for each; returns the exit code."""
    from nbci.app.deployment.standing import Standing, check_deployments
    from nbci.cli.models import known_models
    from nbci.config import find_project
    from nbci.registry.queries import deployment_rows

    git, models = known_models(Path.cwd(), arguments.model, fetch=arguments.fetch)
    rows = deployment_rows(models)
    found = tuple(Standing(row=row) for row in rows)
    # Asking takes seconds where a place is away: a list is quick without.
    if arguments.check:
        found = check_deployments(find_project(Path.cwd()), git, rows, os.environ)
    if arguments.json:
        from nbci.records.codec import plain

        documents = []
        # One flat object each, which jq and tables of other programs take as it is.
        for each in plain(found):
            documents.append({**each.pop("row"), **each})
        print_json(documents)
    else:
        print("\n".join(_table(found)) or "nothing is deployed: nbci deploy RELEASE")
    # None is no failure: what runs in a cluster cannot be asked from everywhere.
    if any(each.healthy is False for each in found):
        return ExitCode.GATE_REFUSED
    return ExitCode.SUCCESS


def _table(found: Sequence[Standing]) -> Iterator[str]:
    from nbci.formatting.durations import minute
    from nbci.formatting.tables import table

    if not found:
        return
    head = ["model", "place", "version", "since", "by", "address"]
    was_asked = any(each.health is not None for each in found)
    if was_asked:
        head.append("now")
    cells = [head]
    for each in found:
        row = each.row
        line = [row.model, row.place, row.version, minute(row.since_utc), row.by]
        line.append(row.address or row.kind or "-")
        if was_asked:
            line.append(each.health or "-")
        cells.append(line)
    yield from table(cells)
