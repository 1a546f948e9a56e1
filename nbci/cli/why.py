"""Say why a step would run: what exactly has changed since it ran last, old and new."""

from __future__ import annotations

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
    """Print the action for the step, and a line for each reason."""
    from nbci.app.planning import PlanRequest, changes_since_last_run, forecast_here, plan_only
    from nbci.plan.select import step_named

    planned = plan_only(
        PlanRequest(
            target=arguments.target,
            pairs=arguments.param,
            files=arguments.file,
            kernel=arguments.kernel,
        )
    )
    forecast = forecast_here(planned.project, planned.plan)
    if arguments.step is None:
        for each in forecast.steps:
            print(f"{each.name}: {_action(each)}")
        return 0

    step = step_named(forecast, arguments.step)
    print(f"{step.name}: {_action(step)}")
    changes = changes_since_last_run(planned.project, planned.plan, step)
    if changes is None:
        print("  it never ran here")
    # A single change is the reason, which the first line has.
    elif changes != [step.reason]:
        for text in changes:
            print(f"  {text}")
    return 0


def _action(step: PlannedStep) -> str:
    """The action for the step, with its reason."""
    if not step.reason:
        return step.action
    return f"{step.action}, {step.reason}"
