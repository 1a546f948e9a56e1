"""Search over parameters: many runs of a pipeline, in which nothing is computed twice.

`nbci sweep show [ID]` shows the trials of a sweep, `nbci sweep resume [ID]` goes on with one.

Exit codes: 0 the sweep is over, 1 no trial gave a value, 2 wrong usage or input, 4 the machine
failed, 130 interrupted: the study is kept.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import (
    add_json_argument,
    add_parameter_arguments,
    parse_count,
    print_error,
    print_json,
    shown_path,
)
from nbci.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from nbci.app.sweeps.sweep import Finished, Listener, SweepRequest
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

_LARGEST_SEED = 2**32 - 1
_SHOW, _RESUME = "show", "resume"
_SPACE = (
    *("search", "param", "file", "kernel", "environment"),
    *("objective", "direction", "method", "seed"),
)
_BUDGET = ("trials", "minutes", "no_better_in", "parallel")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci sweep`."""
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="a pipeline or a notebook; or `show`, or `resume`, and then a sweep's id",
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="a sweep of the pipeline file; after `show` and `resume` a sweep's id "
        "(default: the newest)",
    )
    parser.add_argument(
        "-s",
        "--search",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="search a parameter: C=0.01..1000:log, n=2..8:2, kernel=rbf,poly",
    )
    add_parameter_arguments(parser)
    parser.add_argument("--objective", metavar="METRIC", help="the metric that is to be best")
    parser.add_argument(
        "--direction",
        choices=("minimize", "maximize"),
        help="which way is better (default: as the pipeline's `metrics` say)",
    )
    parser.add_argument(
        "--method",
        choices=("grid", "random", "sobol", "tpe", "cmaes"),
        help="how the next trial is chosen (default: tpe)",
    )
    _add_budget_arguments(parser)
    parser.add_argument("--seed", type=_parse_seed, metavar="N", help="seeds the choice of trials")
    parser.add_argument("--quiet", "-q", action="store_true", help="print the table only")
    parser.add_argument("--csv", action="store_true", help="print the trials as CSV")
    add_json_argument(parser, "the trials as JSON; all else to stderr")


def _add_budget_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare when the search ends, and how much goes on at once."""
    parser.add_argument("--trials", type=parse_count, metavar="N", help="end after N trials")
    parser.add_argument(
        "--minutes", type=_parse_minutes, metavar="M", help="begin no trial after so many minutes"
    )
    parser.add_argument(
        "--no-better-in",
        type=parse_count,
        metavar="N",
        help="end after N trials of which none was better",
    )
    parser.add_argument(
        "--parallel", type=parse_count, metavar="N", help="trials at once (default: 1)"
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=parse_count,
        metavar="N",
        help="steps at once at most, in all trials together (default: the processors)",
    )


def _parse_minutes(text: str) -> float:
    """Parse a number of minutes, which may have a fraction."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes above 0")
    return minutes


def _parse_seed(text: str) -> int:
    """Parse a seed, as a pipeline file may have it."""
    if not text.isdecimal() or int(text) > _LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {_LARGEST_SEED}")
    return int(text)


def main(arguments: argparse.Namespace) -> int:
    """Carry a sweep out, go on with it, or show it; returns the exit code."""
    # No target is called so: a notebook or a pipeline file has a suffix.
    if arguments.target == _SHOW:
        _refuse_own_search(arguments, (*_SPACE, *_BUDGET))
        return _show(arguments)

    # Imported only here: showing a sweep needs nothing that carries steps out.
    from nbci.app.sweeps.sweep import Budget, resume, sweep

    listener = _listener(arguments)
    if arguments.target == _RESUME:
        _refuse_own_search(arguments, _SPACE)
        budget = Budget(**{name: getattr(arguments, name) for name in _BUDGET})
        finished = resume(arguments.name or "latest", budget, arguments.jobs, listener)
    else:
        finished = sweep(_request(arguments), listener)
    _print(finished, arguments)
    return _exit_code(finished)


def _refuse_own_search(arguments: argparse.Namespace, refused: tuple[str, ...]) -> None:
    """UsageError where a sweep that there is already is to be another one."""
    # Another space under the same id would make its record wrong.
    for name in refused:
        if getattr(arguments, name) not in (None, []):
            raise UsageError(
                f"`nbci sweep {arguments.target}` takes a sweep as it is",
                hint=f"leave out --{name.replace('_', '-')}; a new sweep reuses what was computed",
            )


def _request(arguments: argparse.Namespace) -> SweepRequest:
    """The arguments as the use case takes them."""
    from nbci.app.sweeps.sweep import SweepRequest

    return SweepRequest(
        target=arguments.target,
        name=arguments.name,
        command=("nbci", *sys.argv[1:]),
        space=tuple(arguments.search),
        pairs=tuple(arguments.param),
        files=tuple(arguments.file),
        kernel=arguments.kernel,
        environment=arguments.environment or None,
        objective=arguments.objective,
        direction=arguments.direction,
        method=arguments.method,
        trials=arguments.trials,
        minutes=arguments.minutes,
        no_better_in=arguments.no_better_in,
        parallel=arguments.parallel,
        seed=arguments.seed,
        jobs=arguments.jobs,
    )


def _listener(arguments: argparse.Namespace) -> Listener:
    """What shows a sweep while it goes on: a line for each trial."""
    from nbci.app.sweeps.sweep import Listener
    from nbci.cli.sweep_text import best_line, heading, trial_line
    from nbci.formatting.terminal import one_line

    # What programs read has stdout to itself.
    is_quiet = arguments.quiet or arguments.json or arguments.csv
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


def _show(arguments: argparse.Namespace) -> int:
    """Print a sweep; imports neither Optuna nor what carries steps out."""
    from nbci.app.sweeps.sweep_folder import find_sweep
    from nbci.config import find_project

    project = find_project(Path.cwd())
    folder = find_sweep(project, arguments.name or "latest")
    _print_trials(folder.read_record(), folder.read_trials(), folder.path, arguments)
    return 0


def _print(finished: Finished, arguments: argparse.Namespace) -> None:
    if not (arguments.quiet or arguments.json or arguments.csv):
        print()
    _print_trials(finished.sweep, finished.trials, finished.folder.path, arguments)
    if finished.common_error is not None:
        print_error(f"nbci: stopped: all trials fail with one error: {finished.common_error}")
    if finished.is_interrupted:
        print_error(f"nbci: interrupted; go on with: nbci sweep resume {finished.sweep.sweep}")


def _print_trials(
    sweep: SweepRecord,
    trials: tuple[TrialRecord, ...],
    folder: Path,
    arguments: argparse.Namespace,
) -> None:
    from nbci.cli.sweep_text import render, sweep_document, trials_csv

    if arguments.json:
        print_json(sweep_document(sweep, trials))
    elif arguments.csv:
        print(trials_csv(sweep, trials), end="")
    else:
        # The target is recorded as the project calls it, which may lie elsewhere.
        target = shown_path(folder.parents[2] / sweep.target)
        print(render(sweep, trials, str(shown_path(folder)), str(target)), end="")


def _exit_code(finished: Finished) -> int:
    if finished.is_interrupted:
        return ExitCode.INTERRUPTED
    if not any(trial.state == "complete" for trial in finished.trials):
        return ExitCode.STEP_FAILED
    return ExitCode.SUCCESS
