"""List who promoted, overrode, rolled back and demoted what, when, and from which build: from git
tags alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from nbci.registry.queries import HistoryEntry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci audit`."""
    parser.add_argument("model", metavar="M", nargs="?", help="of this model only")
    parser.add_argument("--fetch", action="store_true", help="bring the tags of `origin` first")
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def main(arguments: argparse.Namespace) -> int:
    """Print what was done, the oldest first."""
    from nbci.cli.models import known_models
    from nbci.config import find_project
    from nbci.promotion.verify import describe_signature
    from nbci.registry.queries import history

    git, models = known_models(Path.cwd(), arguments.model, fetch=arguments.fetch)
    signers = find_project(Path.cwd()).signers_file
    done = history(git, models, lambda manifest: describe_signature(manifest, signers))
    if arguments.json:
        print(json.dumps([asdict(deed) for deed in done], indent=1, ensure_ascii=False))
    else:
        print("\n".join(lines(done)) or "no model was released yet")
    return 0


def lines(done: Iterable[HistoryEntry]) -> Iterable[str]:
    """A line for each deed, and one for its reason and build."""
    for deed in done:
        what = f"{deed.model} {deed.version or ''}".strip()
        where = f" in {deed.stage}" if deed.stage else ""
        gate = f" ({deed.gate})" if deed.gate else ""
        by = f"{deed.by} <{deed.email}>" if deed.email else deed.by
        yield f"{deed.at_utc}  {what}{where}: {deed.action}{gate}, by {by}"
        details = [
            f"{key} {value}"
            for key, value in (("run", deed.run), ("build", deed.build), ("tag", deed.tag))
            if value
        ]
        if deed.signature:
            details.append(deed.signature)
        yield f"    {', '.join(details)}"
        if deed.reason:
            yield f"    because: {' '.join(deed.reason.split())}"
