"""Remove old runs, and with --cache old results: what the newest and promoted runs need stays, as
does what is used.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import positive, shown_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.config import Project
    from nbci.runs.clean import Removable

_NAMED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci clean`."""
    parser.add_argument("--keep", type=positive, metavar="N",
                        help="how many runs stay, the newest (default: `keep` in [tool.nbci], else 20)")  # fmt: skip
    parser.add_argument(
        "--cache",
        action="store_true",
        help="also remove results, values, artifacts and environments from the cache that all projects of this user "
        "share: those that were not made or used for a while (--older) and that no kept run of this project has",
    )
    parser.add_argument(
        "--older", type=_age, default=30 * 86400.0, metavar="TIME",
        help="with --cache: what was not made or used for so long goes, such as 12h or 90d (default: 30d); "
        "never what is younger than a day",
    )  # fmt: skip
    parser.add_argument(
        "--displaced",
        action="store_true",
        help="also remove runs that hold files which they moved out of a step's way, and which are kept nowhere else",
    )
    parser.add_argument(
        "--dry-run",
        "-n",
        action="store_true",
        help="only say what would go, and what that would free",
    )


def main(arguments: argparse.Namespace) -> int:
    """Remove, or say what would be removed."""
    from nbci.config import find_project
    from nbci.data.repository import project_cache
    from nbci.formatting.sizes import size
    from nbci.registry.evidence import promoted_runs
    from nbci.runs.clean import (
        YOUNGEST_SECONDS,
        Removable,
        displaced_files,
        freed_bytes,
        known_runs,
        never_begun,
        remove_results,
        remove_runs,
        unneeded_results,
        unneeded_runs,
    )

    project = find_project(Path.cwd())
    known = known_runs(project, promoted_runs(project.root))
    before = time.time() - max(arguments.older, YOUNGEST_SECONDS)
    unneeded = unneeded_runs(known, arguments.keep or project.keep)
    unneeded += never_begun(project, time.time() - YOUNGEST_SECONDS)
    holding = {run: files for run in unneeded if (files := displaced_files(project, run))}
    if not arguments.displaced:
        unneeded = tuple(run for run in unneeded if run not in holding)
    cache = project_cache(project, os.environ)
    kept = [one.run for one in known if one.run not in set(unneeded)]
    removable = unneeded_results(cache, project, kept, before) if arguments.cache else Removable()
    freed = freed_bytes([*(project.runs_folder / run for run in unneeded), *removable.paths])
    if not arguments.dry_run:
        unneeded = remove_runs(project, unneeded, displaced_too=arguments.displaced)
        if arguments.cache:
            remove_results(cache, project, kept, before)
    done = "would remove" if arguments.dry_run else "removed"
    for line in _said_of_displaced(project, holding, arguments):
        print(line)
    print(f"{done} {_runs(unneeded)} in {shown_path(project.runs_folder)}")
    if arguments.cache:
        print(f"{done} {_results(removable)} in {cache.root}")
    print(f"{'that would free' if arguments.dry_run else 'that freed'} {size(freed)}")
    return 0


def _age(text: str) -> float:
    from nbci.formatting.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 30d") from None


def _said_of_displaced(
    project: Project, holding: Mapping[str, Sequence[str]], arguments: argparse.Namespace
) -> Iterator[str]:
    """Each run that holds somebody's files, with the first of them, and what becomes of it."""
    from nbci.formatting.numbers import listed
    from nbci.runs.folder import DISPLACED

    done = "would remove" if arguments.dry_run else "removed"
    for run, files in holding.items():
        named = listed(files, _NAMED)
        place = shown_path(project.runs_folder / run / DISPLACED)
        what = f"{named} in {place}, moved out of a step's way and kept nowhere else"
        yield (
            f"{done} {what}"
            if arguments.displaced
            else f"run {run} stays: it holds {what} (--displaced removes it)"
        )


def _runs(runs: tuple[str, ...]) -> str:
    if len(runs) < 2:
        return f"1 run ({runs[0]})" if runs else "no run"
    return f"{len(runs)} runs ({runs[-1]} to {runs[0]})"


def _results(removable: Removable) -> str:
    from nbci.formatting.numbers import counted

    results = sum(1 for path in removable.results if path.suffix == ".json")
    return ", ".join(
        (
            counted(results, "result"),
            f"{len(removable.values)} values and notebooks",
            counted(len(removable.artifacts), "artifact"),
            counted(len(removable.environments), "environment"),
        )
    )
