"""Show what a run would do, without starting a kernel: steps, order, agents, the values and files
that pass.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.cli.arguments import add_parameter_arguments

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project
    from nbci.data.dvc_imports import Polled
    from nbci.plan.model import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci plan`."""
    parser.add_argument(
        "target", metavar="TARGET", help="a notebook (.ipynb, .py, .md) or a pipeline (.yaml)"
    )
    add_parameter_arguments(parser)
    parser.add_argument(
        "--in",
        dest="folder",
        metavar="FOLDER",
        help="run a notebook's cells there, not in its own folder",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--format", choices=("text", "tree", "mermaid", "json", "jenkins"), default="text",
                       help="how to show it (default: text)")  # fmt: skip
    shown.add_argument("--json", dest="format", action="store_const", const="json",
                       help="print the JSON that schemas/plan.schema.json describes")  # fmt: skip
    parser.add_argument("--poll", metavar="SEEN",
                        help="for a timer: where the pipeline has `triggers: {data: ...}`, bring imported data up to "
                        "date that has changed at its source and is not SEEN, the `data` line of an earlier plan; plan "
                        "nothing where none has")  # fmt: skip
    parser.add_argument(
        "--out", metavar="FILE", help="write the plan for `nbci step` and `nbci finish`"
    )
    parser.add_argument(
        "--store", metavar="FOLDER", help="with --leave: the folder that carries results"
    )
    parser.add_argument("--leave", metavar="FOLDER",
                        help="let this folder hold what `store.remote` has of the plan's steps already")  # fmt: skip


def main(arguments: argparse.Namespace) -> int:
    """Print the plan, and write it if asked."""
    from nbci.cli.plan_text import render_error
    from nbci.errors import NbciError

    try:
        return _plan(arguments)
    except NbciError as error:
        if arguments.format == "jenkins":
            print(render_error(error), end="", flush=True)
        raise


def _plan(arguments: argparse.Namespace) -> int:
    from nbci.cli.plan_text import data_line, render_nothing, render_plan
    from nbci.data.repository import project_cache
    from nbci.engine.prepare import mask_for, plan_target, refuse_written_secrets
    from nbci.engine.steps.environment import check_environments
    from nbci.engine.write_places import check_places
    from nbci.project.sources import read_target
    from nbci.records.codec import to_json
    from nbci.store.files import write_atomic
    from nbci.trust.target_branch import project_for

    target = read_target(arguments.target, arguments.folder)
    plan = plan_target(
        target,
        environ=os.environ,
        files=arguments.file,
        pairs=arguments.param,
        kernel=arguments.kernel,
    )
    refuse_written_secrets(plan, mask_for(target.project, plan, os.environ))
    check_environments(target.project.root, plan.steps)
    check_places(
        target.project.root, plan.steps, project_cache(target.project, os.environ).object_folders
    )
    polled = _polled(target.project, plan, arguments.poll)
    if polled is not None and not polled.texts:
        print(render_nothing(arguments.format, polled.seen), end="")
        return 0
    if polled is not None:
        plan = replace(plan, imports=polled.texts)
    if arguments.out:
        write_atomic(Path(arguments.out), to_json(plan))
    if arguments.leave:
        from nbci.engine.distributed.run_parts import decide_before, open_store

        project = project_for(target.project, plan, os.environ)
        decide_before(
            project,
            plan,
            open_store(project, plan, arguments.store),
            os.environ,
            Path(arguments.leave),
        )
    _tell_missing_kernels(plan)
    if arguments.format != "jenkins":
        plan = forecast_here(project_for(target.project, plan, os.environ), plan)
    shown = to_json(plan) if arguments.format == "json" else render_plan(plan, arguments.format)
    print(
        shown
        + (data_line(polled.seen) if polled is not None and arguments.format == "jenkins" else ""),
        end="",
    )
    return 0


def _tell_missing_kernels(plan: Plan) -> None:
    """A machine that only plans needs no kernel, so this is no error yet."""
    from nbci.cli.arguments import warn
    from nbci.engine.prepare import missing_kernels

    for error in missing_kernels([step for step in plan.steps if step.action != "skip"]):
        warn(str(error), error.hint)


def _polled(project: Project, plan: Plan, seen: str | None) -> Polled | None:
    """What became of the imported data that the steps depend on; None where nobody asks."""
    if seen is None or plan.fork is not None or "data" not in (plan.triggers or {}):
        return None
    from nbci.data.dvc_imports import poll, seen_in

    return poll(project, [dep for step in plan.steps for dep in step.deps], seen_in(seen))


def forecast_here(project: Project, plan: Plan) -> Plan:
    """The plan with what would run and what earlier results of this machine would be reused."""
    from nbci.data.repository import project_cache
    from nbci.data.sharing import share
    from nbci.engine.caching.forecast import forecast
    from nbci.engine.caching.reuse import last_records
    from nbci.errors import InfrastructureError
    from nbci.store.file_index import project_index

    index = project_index(project)
    cache = project_cache(project, os.environ)
    share(project, cache, os.environ)
    found = forecast(plan, project, cache, index, last_records(project, plan.target))
    with contextlib.suppress(
        InfrastructureError
    ):  # where nothing can be written, one may still look
        index.save()
        cache.save()
    return found
