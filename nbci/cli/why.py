"""Say why a step would run: what exactly has changed since it ran last, old and new."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_parameter_arguments

if TYPE_CHECKING:
    import argparse

    from nbci.plan.model import PlannedStep


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci why`."""
    parser.add_argument(
        "target", metavar="TARGET", help="a notebook (.ipynb, .py, .md) or a pipeline (.yaml)"
    )
    parser.add_argument(
        "step", metavar="STEP", nargs="?", help="a step of it (default: a line for each)"
    )
    add_parameter_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """Print what the step would do, and each reason on a line of its own."""
    from nbci.cli.plan import forecast_here
    from nbci.engine.caching.reuse import last_records
    from nbci.engine.prepare import plan_target
    from nbci.engine.steps.inputs import reached_parts
    from nbci.plan.parts import changes
    from nbci.plan.select import step_named
    from nbci.project.sources import read_target

    target = read_target(arguments.target)
    plan = plan_target(
        target,
        environ=os.environ,
        files=arguments.file,
        pairs=arguments.param,
        kernel=arguments.kernel,
    )
    forecast = forecast_here(target.project, plan)
    if arguments.step is None:
        for planned in forecast.steps:
            print(f"{planned.name}: {_action(planned)}")
        return 0
    step = step_named(forecast, arguments.step)
    print(f"{step.name}: {_action(step)}")
    last = last_records(target.project, plan.target)(step.name)
    if last is None:
        print("  it never ran here")
    elif step.action == "run":
        known = [part for part in last.parts if part.kind not in ("value", "file")]
        now = (*step.parts, *reached_parts(step, plan, last.takes, step.params or {}))
        texts = changes(known, tuple(dict.fromkeys(now)))
        for text in texts if texts != [step.reason] else ():
            print(f"  {text}")
    return 0


def _action(step: PlannedStep) -> str:
    return step.action + (f", {step.reason}" if step.reason else "")
