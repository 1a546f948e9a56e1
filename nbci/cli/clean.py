"""Remove old runs, and with --cache old results: what the newest and promoted runs need stays.

Of old sweeps, what stays is the record, and the run of the best trial.

What was made or used lately, by whatever project of this user, stays in the cache, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import parse_count, parse_seconds, shown_path
from nbci.dot_nbci import SWEEPS_FOLDER

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.app.clean_up import Cleaned
    from nbci.config import Project
    from nbci.runs.clean_results import Removable

_FILES_NAMED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci clean`."""
    parser.add_argument(
        "--keep",
        type=parse_count,
        metavar="N",
        help="how many runs stay, and how many sweeps with all their trials, the newest (default: "
        "`keep` in [tool.nbci], else 20)",
    )
    parser.add_argument(
        "--cache",
        action="store_true",
        help="also remove results, values, artifacts and environments from the cache that all "
        "projects of this user share: those that were not made or used for a while (--older) and "
        "that no kept run of this project has",
    )
    # The default as text: argparse parses it as it does what a user gives.
    parser.add_argument(
        "--older",
        type=parse_seconds,
        default="30d",
        metavar="TIME",
        help="with --cache: what was not made or used for so long goes, such as 12h or 90d "
        "(default: 30d); never what is younger than a day",
    )
    parser.add_argument(
        "--displaced",
        action="store_true",
        help="also remove runs that hold files which they moved out of a step's way, and which "
        "are kept nowhere else",
    )
    parser.add_argument(
        "--dry-run",
        "-n",
        action="store_true",
        help="only say what would go, and what that would free",
    )


def main(arguments: argparse.Namespace) -> int:
    """Remove runs and results, or print what would be removed."""
    from nbci.app.clean_up import CleanRequest, clean_up
    from nbci.config import find_project

    project = find_project(Path.cwd())
    cleaned = clean_up(
        project,
        CleanRequest(
            keep=arguments.keep,
            with_cache=arguments.cache,
            older_seconds=arguments.older,
            displaced_too=arguments.displaced,
            dry_run=arguments.dry_run,
        ),
    )
    for line in _lines(project, cleaned, arguments):
        print(line)
    return 0


def _lines(project: Project, cleaned: Cleaned, arguments: argparse.Namespace) -> Iterator[str]:
    """What was removed, and the space that it freed; first users' files that a run displaced."""
    from nbci.formatting.sizes import size

    removed, freed = "removed", "that freed"
    if arguments.dry_run:
        removed, freed = "would remove", "that would free"

    for run in cleaned.displaced:
        files = _displaced_files(project, run, cleaned)
        if arguments.displaced:
            yield f"{removed} {files}"
        else:
            yield f"run {run} stays: it holds {files} (--displaced removes it)"
    yield f"{removed} {_runs(cleaned.runs)} in {shown_path(project.runs_folder)}"
    if cleaned.trials:
        place = shown_path(project.root / SWEEPS_FOLDER)
        yield f"{removed} {_trials(cleaned.trials)} in {place}; that of each best trial stays"
    if arguments.cache:
        yield f"{removed} {_results(cleaned.results)} in {cleaned.cache_folder}"
    yield f"{freed} {size(cleaned.freed_bytes)}"


def _displaced_files(project: Project, run: str, cleaned: Cleaned) -> str:
    """The first few files that the run moved out of a step's way, and their folder."""
    from nbci.formatting.numbers import listed
    from nbci.runs.file_names import DISPLACED

    named = listed(cleaned.displaced[run], _FILES_NAMED)
    place = shown_path(project.runs_folder / run / DISPLACED)
    return f"{named} in {place}, moved out of a step's way and kept nowhere else"


def _runs(runs: Sequence[str]) -> str:
    """The number of runs, with the oldest and the newest; `runs` has the newest first."""
    if not runs:
        return "no run"
    if len(runs) == 1:
        return f"1 run ({runs[0]})"
    return f"{len(runs)} runs ({runs[-1]} to {runs[0]})"


def _trials(trials: Mapping[Path, Sequence[str]]) -> str:
    """The number of trials' runs, and of their sweeps."""
    from nbci.formatting.numbers import counted

    runs = counted(sum(map(len, trials.values())), "run")
    return f"{runs} of trials of {counted(len(trials), 'sweep')}"


def _results(removable: Removable) -> str:
    from nbci.formatting.numbers import counted

    # A result is its record; what stands beside it under another suffix is part of it.
    results = sum(1 for path in removable.results if path.suffix == ".json")
    return ", ".join(
        (
            counted(results, "result"),
            f"{len(removable.values)} values and notebooks",
            counted(len(removable.artifacts), "artifact"),
            counted(len(removable.environments), "environment"),
        )
    )
