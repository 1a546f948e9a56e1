"""Show what came of a sweep whose trials ran on agents, and plan its best trial as a whole run.

For programs: prints lines of fields with tabs between them, first the version `nbci-plan 1`. Then
`description`, a line for the build, and the lines of `nbci plan --format jenkins` for the best
trial, with all steps and gates; or `error`, where no trial has a value: then the exit code is 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import optional_path, print_error
from nbci.cli.sweep_arguments import add_state_arguments
from nbci.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from nbci.app.sweeps.end_parts import Ended


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci sweep end`."""
    add_state_arguments(parser)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="write the plan of the best trial"
    )
    parser.add_argument(
        "--leave",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="let this folder hold what stands of its steps",
    )
    parser.add_argument(
        "--results",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="put sweep.txt, trials.csv and trials.json there; its pages are in `report` "
        "of the sweep's folder",
    )
    parser.add_argument(
        "--carry", metavar="FILE", help="write what `nbci sweep next --before` goes on with"
    )
    parser.add_argument(
        "--stopped", action="store_true", help="the build was stopped: plan no further run"
    )


def main(arguments: argparse.Namespace) -> int:
    """Write and print what came of the sweep."""
    from nbci.app.sweeps.end_parts import EndRequest, end_parts
    from nbci.app.sweeps.pages import write_sweep_pages
    from nbci.cli.plan_text import JENKINS_FORMAT, render_error
    from nbci.errors import NbciError

    request = EndRequest(
        state=arguments.state,
        out=arguments.out,
        leave=arguments.leave,
        store=arguments.store,
        carry=optional_path(arguments.carry),
        is_stopped=arguments.stopped,
    )
    try:
        ended = end_parts(request)
    except NbciError as error:
        # The shared library reads stdout only, and ends its build with what this line says.
        print(render_error(error), end="", flush=True)
        raise
    # To the log of the build: stdout is for the library.
    print_error(_write_results(ended, arguments.results))
    write_sweep_pages(ended.folder, ended.sweep.target)
    if ended.is_too_large:
        print_error(
            "nbci: this sweep is too large to be handed to the next build, which begins a new one"
        )
    print(JENKINS_FORMAT, *_lines(ended), sep="\n")
    if any(trial.state == "complete" for trial in ended.trials) or arguments.stopped:
        return ExitCode.SUCCESS
    return ExitCode.STEP_FAILED


def _write_results(ended: Ended, place: Path) -> str:
    """Write the trials as a table, CSV and JSON; returns the table."""
    import json

    from nbci.cli.sweep_text import render, sweep_document, trials_csv
    from nbci.store.files import write_atomic

    table = render(ended.sweep, ended.trials, str(ended.folder.path), ended.sweep.target)
    write_atomic(place / "trials.csv", trials_csv(ended.sweep, ended.trials))
    document = sweep_document(ended.sweep, ended.trials)
    write_atomic(place / "trials.json", json.dumps(document, indent=1) + "\n")
    write_atomic(place / "sweep.txt", table)
    return table


def _lines(ended: Ended) -> Iterator[str]:
    from nbci.cli.plan_text import jenkins_line, stage_lines
    from nbci.cli.sweep_text import outcome_line
    from nbci.sweeps.standing import common_error

    outcome = outcome_line(ended.sweep, ended.trials)
    yield jenkins_line("description", outcome)
    if ended.plan is not None:
        yield from stage_lines(ended.plan)
    if any(trial.state == "complete" for trial in ended.trials):
        return
    error = common_error(ended.trials)
    if error is not None:
        outcome += f"; all fail with one error: {error}"
    yield jenkins_line("error", " ".join(outcome.split()))
