"""List the runs of this project, the newest first, or those that a search finds."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, parse_count, print_error, print_json
from nbci.cli.terminal_columns import terminal_columns
from nbci.errors import IntegrityError, UsageError
from nbci.formatting.numbers import counted, listed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from nbci.app.sweeps.sweep_folder import SweepFolder
    from nbci.config import Project
    from nbci.pipeline.formulas import Formula
    from nbci.runs.folder import RunFolder
    from nbci.runs.index import RunRow

_NAMED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci runs`."""
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        help="only those for which this holds, such as 'accuracy > 0.9 and C == 10'; "
        "with 'sweep == \"ID\"' the trials of that sweep",
    )
    parser.add_argument(
        "--sort",
        metavar="NAME",
        help="by a metric, parameter or field, or the best of several steps (train/*:auc); "
        "-NAME for the largest first",
    )
    parser.add_argument(
        "--limit", "-n", type=parse_count, default=20, metavar="N", help="how many (default: 20)"
    )
    parser.add_argument(
        "--of",
        metavar="RUN",
        help="those that belong to this run or sweep, such as proofs or trials, which are left out "
        "otherwise",
    )
    add_json_argument(parser, "a JSON list")


def main(arguments: argparse.Namespace) -> int:
    """Print the runs; those whose records cannot be read are named on stderr."""
    if arguments.of is not None:
        return _print_belonging(arguments)

    from nbci.cli.runs_text import render_runs, runs_document

    found = _found(arguments)
    rows = []
    for row in found:
        # One damaged record must not hide all other runs.
        if row.problem is not None:
            print_error(f"nbci: run {row.run} is left out: {row.problem}")
        else:
            rows.append(row)

    if arguments.json:
        print_json(runs_document(rows))
    elif not rows and arguments.where:
        print("no run is like that")
    else:
        print(render_runs(rows, terminal_columns()), end="")
    return 0


def _found(arguments: argparse.Namespace) -> list[RunRow]:
    """The runs that are searched for, or the trials where the search names a sweep."""
    from nbci.config import find_project
    from nbci.runs.index import find_runs

    project = find_project(Path.cwd())
    where: Formula | None = None
    sweep: Path | None = None
    if arguments.where:
        from nbci.runs.search import trials_of

        named, where = trials_of(arguments.where)
        if named is not None:
            from nbci.app.sweeps.sweep_folder import find_sweep

            folder = find_sweep(project, named)
            sweep = folder.path
            _tell_of_earlier(folder)
    return find_runs(project, where=where, sort=arguments.sort, limit=arguments.limit, sweep=sweep)


def _tell_of_earlier(sweep: SweepFolder) -> None:
    """Say that some trials are runs from before the sweep, which lie elsewhere."""
    earlier = [trial.run or "" for trial in sweep.read_trials() if trial.earlier]
    if earlier:
        print_error(
            f"nbci: {counted(len(earlier), 'trial')} of this sweep had run before it, "
            f"and will be found where they ran: {listed(earlier, _NAMED)}"
        )


def _print_belonging(arguments: argparse.Namespace) -> int:
    """Print the runs that belong to one run, or to a sweep."""
    from nbci.cli.runs_text import belonging_document, render_belonging
    from nbci.config import find_project
    from nbci.runs.proofs import read_proof

    if arguments.where or arguments.sort:
        raise UsageError("--where and --sort search all runs: leave out --of")
    rows = []
    for folder in islice(_belonging(find_project(Path.cwd()), arguments.of), arguments.limit):
        # As above: a damaged record hides no other.
        try:
            rows.append((folder.read(), read_proof(folder)))
        except (IntegrityError, UsageError, FileNotFoundError) as error:
            print_error(f"nbci: run {folder.run} is left out: {error}")

    if arguments.json:
        print_json(belonging_document(rows))
    else:
        print(render_belonging(rows), end="")
    return 0


def _belonging(project: Project, parent: str) -> Iterator[RunFolder]:
    """The runs that belong to the run, or to the sweep, of that id."""
    from nbci.app.sweeps.sweep_folder import find_sweep
    from nbci.runs.project_runs import belonging_runs, find_run, sweep_trials

    try:
        run = find_run(project, parent)
    except UsageError as error:
        try:
            sweep = find_sweep(project, parent)
        except UsageError:
            raise error from None
        return sweep_trials(sweep.path)
    return belonging_runs(run.made_by(run.read_header()))
