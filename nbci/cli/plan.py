"""Show what a run would do, without a kernel: steps, order, agents, the values and files that pass.

The forms `text`, `tree` and `mermaid` are for people, `json` and `jenkins` for programs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_folder_argument, add_parameter_arguments

if TYPE_CHECKING:
    import argparse

    from nbci.app.planning import PlannedTarget
    from nbci.plan.model import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci plan`."""
    parser.add_argument(
        "target", metavar="TARGET", help="a notebook (.ipynb, .py, .md) or a pipeline (.yaml)"
    )
    add_parameter_arguments(parser)
    add_folder_argument(parser)
    _add_form_arguments(parser)
    parser.add_argument(
        "--sweep",
        nargs="?",
        const="",
        metavar="NAME",
        help="say what a sweep of the pipeline file would do: how many points it has, what its "
        "trials share, about how long it takes",
    )
    parser.add_argument(
        "--poll",
        metavar="SEEN",
        help="for a timer: where the pipeline has `triggers: {data: ...}`, bring imported data up "
        "to date that has changed at its source and is not SEEN, the `data` line of an earlier "
        "plan; plan nothing where none has",
    )
    parser.add_argument(
        "--decision",
        metavar="ID",
        default=os.environ.get("NBCI_DECISION"),
        help="the decision of `nbci retrain` that this follows from (default: $NBCI_DECISION)",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="write the plan for `nbci step` and `nbci finish`"
    )
    parser.add_argument(
        "--store", metavar="FOLDER", help="with --leave: the folder that carries results"
    )
    parser.add_argument(
        "--leave",
        metavar="FOLDER",
        help="let this folder hold what `store.remote` has of the plan's steps already",
    )


def _add_form_arguments(parser: argparse.ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=("text", "tree", "mermaid", "json", "jenkins"),
        default="text",
        help="how to show it (default: text)",
    )
    # As the other commands have it, besides the forms that only this one has.
    form.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="json",
        help="print the JSON that schemas/plan.schema.json describes",
    )


def main(arguments: argparse.Namespace) -> int:
    """Print the plan; with --out also write it."""
    if arguments.sweep is not None:
        return _print_sweep(arguments)
    from nbci.app.planning import PlanRequest, make_plan
    from nbci.cli.plan_text import render_error, render_nothing
    from nbci.errors import NbciError

    request = PlanRequest(
        target=arguments.target,
        pairs=arguments.param,
        files=arguments.file,
        kernel=arguments.kernel,
        folder=arguments.folder,
        seen=arguments.poll,
        out=arguments.out,
        store=arguments.store,
        leave=arguments.leave,
        environment=arguments.environment or None,
        decision=arguments.decision or None,
    )
    try:
        planned = make_plan(request)
        if planned.polled is not None and planned.has_no_news:
            text = render_nothing(arguments.format, planned.polled.seen)
        else:
            _warn_of_missing_kernels(planned.plan)
            _warn_of_seeds(planned.plan, arguments)
            text = _render(planned, arguments.format)
        print(text, end="")
    except NbciError as error:
        # The shared library reads stdout only, and ends its build with what this line says.
        if arguments.format == "jenkins":
            print(render_error(error), end="", flush=True)
        raise
    return 0


def _print_sweep(arguments: argparse.Namespace) -> int:
    """Print what a sweep would do, instead of what a run would."""
    from nbci.app.sweeps.sweep import SweepRequest
    from nbci.cli.outlook_text import print_outlook
    from nbci.errors import UsageError

    # What a build needs of a plan, a sweep has not: its trials are planned one by one.
    given = (arguments.out, arguments.poll, arguments.leave, arguments.store, arguments.folder)
    if any(given) or arguments.format not in ("text", "json"):
        raise UsageError("--sweep goes with -p, -f, --kernel, --environment and --json only")
    request = SweepRequest(
        target=arguments.target,
        name=arguments.sweep or None,
        command=(),
        pairs=tuple(arguments.param),
        files=tuple(arguments.file),
        kernel=arguments.kernel,
        environment=arguments.environment or None,
    )
    print_outlook(request, as_json=arguments.format == "json")
    return 0


def _render(planned: PlannedTarget, form: str) -> str:
    from nbci.app.planning import forecast_planned
    from nbci.cli.plan_text import data_line, render_plan
    from nbci.records.codec import to_json

    if form == "jenkins":
        # No forecast: what agents find in their stores decides there, and not on this machine.
        text = render_plan(planned.plan, form)
        if planned.polled is not None:
            text += data_line(planned.polled.seen)
        return text

    plan = forecast_planned(planned)
    if form == "json":
        return to_json(plan)
    return render_plan(plan, form)


def _warn_of_seeds(plan: Plan, arguments: argparse.Namespace) -> None:
    """Warn where a plan is to be carried out in parts, and no part can have another seed."""
    if plan.seeds is None or not (arguments.out or arguments.format == "jenkins"):
        return
    from nbci.cli.arguments import warn
    from nbci.plan.stages import SEVERAL_PLACES, is_in_one_place

    if not is_in_one_place(plan):
        warn(f"seeds: {SEVERAL_PLACES}")


def _warn_of_missing_kernels(plan: Plan) -> None:
    """Warn of kernels that this machine lacks; no error, because planning needs none."""
    from nbci.cli.arguments import warn
    from nbci.engine.prepare import missing_kernels

    for error in missing_kernels([step for step in plan.steps if step.action != "skip"]):
        warn(str(error), error.hint)
