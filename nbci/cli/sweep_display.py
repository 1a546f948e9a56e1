"""What people see of a sweep: while it goes on, and when it is over."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from nbci.cli.arguments import checked_out_lines, print_error, print_json, shown_path
from nbci.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from nbci.app.sweeps.sweep import Finished
    from nbci.app.sweeps.sweep_folder import SweepFolder
    from nbci.app.sweeps.sweep_listener import Listener
    from nbci.config import Project
    from nbci.sweeps.study_record import SweepRecord, TrialRecord


def listener(arguments: argparse.Namespace) -> Listener:
    """What shows a sweep while it goes on: a line for each trial, a table where it can be drawn."""
    from nbci.app.sweeps.sweep_listener import Listener
    from nbci.cli.sweep_text import best_line, heading, trial_line
    from nbci.formatting.terminal import one_line

    # What programs read has stdout to itself.
    is_quiet = arguments.quiet or arguments.json or arguments.csv
    if not is_quiet and _can_draw_table():
        return _table_listener()
    ended: list[TrialRecord] = []

    def show_begin(sweep: SweepRecord) -> None:
        if not is_quiet:
            print(heading(sweep), flush=True)

    def show_trial(sweep: SweepRecord, trial: TrialRecord) -> None:
        ended.append(trial)
        if not is_quiet:
            print(trial_line(sweep, trial) + best_line(sweep, trial, ended), flush=True)

    def show_notice(text: str) -> None:
        if not arguments.quiet:
            print_error(f"nbci: {one_line(text)}")

    return Listener(begun=show_begin, ended=show_trial, noticed=show_notice)


def _can_draw_table() -> bool:
    from nbci.cli.live import can_draw

    # Logs of a CI keep what is drawn over; who wants no colours mostly wants no codes at all.
    if os.environ.get("CI") or os.environ.get("NO_COLOR"):
        return False
    return can_draw(sys.stdout)


def _table_listener() -> Listener:
    from nbci.app.sweeps.sweep_listener import Listener
    from nbci.cli.live.sweep_table import SweepTable

    table = SweepTable(sys.stdout)
    return Listener(
        begun=table.begun,
        known=table.known,
        trial_begun=table.trial_begun,
        step_begun=table.step_begun,
        ended=table.ended,
        noticed=table.noticed,
        ticked=table.ticked,
        over=table.over,
    )


def print_finished(finished: Finished, arguments: argparse.Namespace) -> int:
    """Print what came of a sweep; returns the exit code."""
    if not (arguments.quiet or arguments.json or arguments.csv):
        print()
    print_trials(finished.sweep, finished.trials, finished.folder.path, arguments)
    if finished.common_error is not None:
        print_error(f"nbci: stopped: all trials fail with one error: {finished.common_error}")
    if finished.is_interrupted:
        print_error(f"nbci: interrupted; go on with: nbci sweep resume {finished.sweep.sweep}")
        return ExitCode.INTERRUPTED
    if not any(trial.state == "complete" for trial in finished.trials):
        return ExitCode.STEP_FAILED
    if arguments.checkout is not None:
        # To stderr: stdout may be a document.
        for line in checked_out_text(finished.project, finished.folder):
            print_error(line)
    return ExitCode.SUCCESS


def checked_out_text(
    project: Project, folder: SweepFolder, number: int | None = None
) -> Iterator[str]:
    """Put what that trial made, or the best one, into the workspace; the lines that say so."""
    from nbci.app.sweeps.sweep_folder import run_of_trial
    from nbci.engine.restore import check_out
    from nbci.sweeps.choice import choose_trial

    trial = choose_trial(folder.read_record(), folder.read_trials(), number)
    done = check_out(project, run_of_trial(project, folder.sweep, trial), (), os.environ)
    yield f"of trial {trial.number} of sweep {folder.sweep}:"
    for line in checked_out_lines(done):
        yield f"  {line}"


def print_trials(
    sweep: SweepRecord,
    trials: tuple[TrialRecord, ...],
    folder: Path,
    arguments: argparse.Namespace,
) -> None:
    """Print the trials as the arguments ask for: as a table, as CSV or as JSON."""
    from nbci.cli.sweep_text import render, sweep_document, trials_csv

    if arguments.json:
        print_json(sweep_document(sweep, trials))
    elif arguments.csv:
        print(trials_csv(sweep, trials), end="")
    else:
        target = shown_target(folder, sweep)
        print(render(sweep, trials, str(shown_path(folder)), target), end="")


def shown_target(folder: Path, sweep: SweepRecord) -> str:
    """What a sweep searched, as it is called from here; `folder` is the sweep's."""
    # It is recorded as the project calls it, which may lie elsewhere.
    return str(shown_path(folder.parents[2] / sweep.target))
