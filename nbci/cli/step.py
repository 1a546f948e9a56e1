"""Run steps of a stored plan here; a store folder carries their results to the steps after them.

Safe to repeat: a step that already passed in this store is not run again.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.app.exit_codes import exit_code
from nbci.cli.arguments import add_store_arguments, parse_count
from nbci.errors import ExitCode

if TYPE_CHECKING:
    import argparse

    from nbci.app.reruns.parts import Parts
    from nbci.audit_draw import Draw
    from nbci.engine.ready import Ready
    from nbci.engine.steps.auditor import Auditor
    from nbci.plan.model import Plan, PlannedStep
    from nbci.plan.stages import Stage
    from nbci.runs.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci step`."""
    add_store_arguments(parser)
    parser.add_argument(
        "--leave",
        metavar="FOLDER",
        help="let this folder hold what these steps make, and nothing else",
    )
    # Only the controller knows of them: nothing of a machine that vanished was brought back.
    parser.add_argument(
        "--lost-attempts",
        metavar="N",
        type=int,
        default=0,
        help="attempts at these steps whose machine vanished with what they did",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--stage",
        metavar="NUMBER",
        type=parse_count,
        help="the steps of that stage, as `nbci plan --format jenkins` numbers them",
    )
    what.add_argument(
        "steps",
        metavar="STEP",
        nargs="*",
        default=[],
        help="steps of the plan, each after those it comes after (default: all)",
    )


def main(arguments: argparse.Namespace) -> int:
    """Run the steps; returns the exit code of the worst."""
    from nbci.cli.live import LineDisplay
    from nbci.config import find_project
    from nbci.engine.distributed.handover import take_handovers
    from nbci.engine.distributed.run_parts import note_lost_attempts, open_store, run_part
    from nbci.engine.imports import place_imports
    from nbci.runs.plan_file import read_plan
    from nbci.trust.target_branch import project_for

    plan = read_plan(Path(arguments.plan))
    project = project_for(find_project(Path.cwd()), plan, os.environ)
    place_imports(project, plan)
    stage = _chosen_stage(plan, arguments)
    store = open_store(project, plan, arguments.store)
    if arguments.bring:
        take_handovers(Path(arguments.bring), store)
    handover = None
    # A build script's unset variable becomes "", which asks for no folder either.
    if arguments.leave:
        handover = Path(arguments.leave)

    # Lines, also on a terminal: what an agent prints goes into the log of a build. `nbci finish`
    # prints the summary of the whole run.
    display = LineDisplay(sys.stdout, runs_folder=store.path.parent, summary=False)
    try:
        if stage is not None and stage.is_beside:
            from nbci.app.reruns.parts import Parts

            parts = Parts(
                project=project,
                plan=plan,
                store=store,
                environ=os.environ,
                command=("nbci", *sys.argv[1:]),
                tell=display.noticed,
            )
            _carry_out_beside(parts, stage, handover)
            return ExitCode.SUCCESS
        steps = stage.steps if stage is not None else _named_steps(plan, arguments.steps)
        note_lost_attempts(store, steps[0].name, arguments.lost_attempts)
        record = run_part(
            project,
            plan,
            store,
            steps,
            display=display,
            environ=os.environ,
            handover=handover,
            audited_by=partial(_auditing, store),
        )
    finally:
        display.close()
    return exit_code(record)


def _auditing(store: RunFolder, ready: Ready, draw: Draw) -> Auditor:
    # Hardly any step is audited, and what audits takes time to import.
    from nbci.app.reruns.audit_reuse import Auditing

    return Auditing(ready, store, draw, ("nbci", *sys.argv[1:]), is_carried_on=True)


def _carry_out_beside(parts: Parts, stage: Stage, handover: Path | None) -> None:
    """Carry steps out with other files or another seed; what cannot be done is for the gates."""
    if stage.seed is not None:
        from nbci.app.reruns.seed_part import seed_in_part

        seed_in_part(parts, stage.seed, handover)
        return
    from nbci.app.reruns.remeasure_part import measure_in_part

    for found in measure_in_part(parts, stage.steps[0], handover):
        if found.reason is not None:
            parts.tell(f"{found.asked} is not measured again: {found.reason}")


def _named_steps(plan: Plan, names: list[str]) -> tuple[PlannedStep, ...]:
    """The steps of those names; all of the plan where there are none."""
    from nbci.plan.select import step_named

    return tuple(step_named(plan, name) for name in dict.fromkeys(names or plan.names))


def _chosen_stage(plan: Plan, arguments: argparse.Namespace) -> Stage | None:
    """The stage of the number that is asked for; None where steps are."""
    from nbci.errors import UsageError
    from nbci.plan.stages import stages

    if arguments.stage is None:
        return None
    for stage in stages(plan):
        if stage.number == arguments.stage:
            return stage
    raise UsageError(
        f"the plan has no stage {arguments.stage}", hint="nbci plan --format jenkins numbers them"
    )
