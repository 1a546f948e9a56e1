"""Search over parameters: many runs of a pipeline, in which nothing is computed twice.

`nbci sweep show [SWEEP]` shows the trials of a sweep, `nbci sweep resume [SWEEP]` goes on with one,
`nbci sweep checkout [SWEEP]` brings the files of its best trial, `nbci sweep promote [SWEEP]` has
the gates judge it, and releases its model.

Exit codes: 0 the sweep is over, 1 no trial gave a value, 2 wrong usage or input, 4 the machine
failed, 130 interrupted: the study is kept.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_parameter_arguments
from nbci.cli.sweep_arguments import (
    add_budget_arguments,
    add_checkout_argument,
    add_output_arguments,
    add_quiet_argument,
    parse_seed,
)
from nbci.cli.sweep_display import listener, print_finished

if TYPE_CHECKING:
    import argparse

    from nbci.app.sweeps.sweep import SweepRequest

# No target is called so: a notebook or a pipeline file has a suffix.
ACTIONS = {
    "show": "sweep_show",
    "resume": "sweep_resume",
    "checkout": "sweep_checkout",
    "confirm": "sweep_confirm",
    "promote": "sweep_promote",
    "next": "sweep_next",
    "tell": "sweep_tell",
    "end": "sweep_end",
}
"""What may stand in the place of the target: modules of this package, as those of commands."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci sweep`."""
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="a pipeline or a notebook; or `show`, `resume`, `checkout`, `confirm` or `promote`, "
        "and then a sweep's id",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="a sweep of the pipeline file")
    parser.add_argument(
        "-s",
        "--search",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="search a parameter: C=0.01..1000:log, n=2..8:2, kernel=rbf,poly",
    )
    add_parameter_arguments(parser)
    parser.add_argument(
        "--objective",
        action="append",
        default=[],
        metavar="METRIC",
        help="the metric that is to be best; given several times, they are weighed up",
    )
    parser.add_argument(
        "--direction",
        action="append",
        default=[],
        choices=("minimize", "maximize"),
        help="which way is better, once an objective (default: as the pipeline's `metrics` say)",
    )
    parser.add_argument(
        "--method",
        choices=("grid", "random", "sobol", "tpe", "cmaes", "hyperband"),
        help="how the next trial is chosen (default: tpe)",
    )
    parser.add_argument(
        "--prune",
        metavar="METRIC[:PRUNER]",
        help="stop trials that are worse in this metric while they run: train:val_loss:median",
    )
    parser.add_argument(
        "--report",
        metavar="REGEX",
        help="read its values from lines that steps print: 'val_loss=([0-9.]+)'",
    )
    parser.add_argument(
        "--fidelity",
        metavar="NAME=LOW..HIGH[:ETA]",
        help="of hyperband: begin trials with little of a parameter: epochs=1..27:3",
    )
    parser.add_argument(
        "--resume-from",
        metavar="OUT",
        help="of hyperband: the declared out from which a step goes on where it has more of it",
    )
    add_budget_arguments(parser)
    parser.add_argument("--seed", type=parse_seed, metavar="N", help="seeds the choice of trials")
    parser.add_argument(
        "--fresh", action="store_true", help="do not begin with what earlier runs gave"
    )
    add_checkout_argument(parser)
    parser.add_argument(
        "--dry-run",
        "-n",
        action="store_true",
        help="only say how many points there are, what trials share, about how long it takes",
    )
    add_quiet_argument(parser)
    add_output_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """Carry a sweep out; returns the exit code."""
    if arguments.dry_run:
        from nbci.cli.outlook_text import print_outlook

        print_outlook(sweep_request(arguments), as_json=arguments.json)
        return 0
    from nbci.app.sweeps.sweep import sweep

    finished = sweep(sweep_request(arguments), listener(arguments))
    return print_finished(finished, arguments)


def sweep_request(arguments: argparse.Namespace) -> SweepRequest:
    """The arguments as the use case takes them."""
    from nbci.app.sweeps.sweep import SweepRequest
    from nbci.pipeline.early_stopping import parse_pruning
    from nbci.pipeline.fidelity import parse_fidelity

    prune = fidelity = None
    if arguments.prune is not None:
        prune = parse_pruning(arguments.prune)
    if arguments.fidelity is not None:
        fidelity = parse_fidelity(arguments.fidelity)
    if arguments.resume_from is not None:
        fidelity = {**(fidelity or {}), "resume_from": arguments.resume_from}
    return SweepRequest(
        target=arguments.target,
        name=arguments.name,
        command=("nbci", *sys.argv[1:]),
        space=tuple(arguments.search),
        pairs=tuple(arguments.param),
        files=tuple(arguments.file),
        kernel=arguments.kernel,
        environment=arguments.environment or None,
        objectives=tuple(arguments.objective),
        directions=tuple(arguments.direction),
        method=arguments.method,
        trials=arguments.trials,
        minutes=arguments.minutes,
        no_better_in=arguments.no_better_in,
        parallel=arguments.parallel,
        seed=arguments.seed,
        prune=prune,
        report=arguments.report,
        fidelity=fidelity,
        jobs=arguments.jobs,
        needs_best=arguments.checkout is not None,
        fresh=arguments.fresh,
    )
