"""Run a notebook or a pipeline: its steps in kernels of their own, side by side where nothing
stands between them.

Exit codes: 0 passed, 1 a step failed, 2 wrong usage or input, 3 a gate refused, 4 the machine
failed, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nbci.cli.arguments import add_parameter_arguments, positive, seconds, shown_path
from nbci.cli.verdict import exit_code
from nbci.errors import UsageError
from nbci.trust.change import change_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from nbci.config import Project
    from nbci.params import Assignment
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan
    from nbci.runs.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci run`."""
    parser.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        help="a notebook (.ipynb, .py, .md) or a pipeline (.yaml)",
    )
    add_parameter_arguments(parser)
    parser.add_argument(
        "-j",
        "--jobs",
        type=positive,
        metavar="N",
        help="steps at once at most (default: the processors)",
    )
    parser.add_argument("--from", dest="first", action="append", default=[], metavar="STEP",
                        help="begin at this step; what it needs comes from the last run that has it")  # fmt: skip
    parser.add_argument(
        "--until", action="append", default=[], metavar="STEP", help="end with this step"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="STEP", help="run just this step"
    )
    going = parser.add_mutually_exclusive_group()
    going.add_argument(
        "--keep-going",
        action="store_true",
        default=None,
        help="after a failure run what does not need it",
    )
    going.add_argument(
        "--fail-fast",
        dest="keep_going",
        action="store_false",
        help="start nothing new after a failure",
    )
    parser.add_argument(
        "--force", action="store_true", help="run every step, whatever earlier results there are"
    )
    parser.add_argument(
        "--force-step",
        action="append",
        default=[],
        metavar="STEP",
        help="run this step in any case",
    )
    parser.add_argument(
        "--run-timeout", type=seconds, metavar="TIME", help="stop the whole run after this, e.g. 2h"
    )
    parser.add_argument(
        "--cell-timeout", type=seconds, metavar="TIME", help="no cell may take longer, e.g. 20m"
    )
    parser.add_argument(
        "--no-gate", action="store_true", help="judge, but let no gate refuse the run"
    )
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="carry on a run that failed or was interrupted (or `latest`)",
    )
    parser.add_argument(
        "--dvc", action="store_true", help="run as a stage that `nbci export dvc` wrote"
    )
    parser.add_argument(
        "--quiet", "-q", action="store_true", help="print failures and the result only"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document at the end; all else to stderr"
    )


def main(arguments: argparse.Namespace) -> int:
    """Run, show what happens, write the report; the answer is the exit code."""
    if arguments.target is not None and arguments.resume is not None:
        raise UsageError("name either a TARGET or a run to --resume", hint="a run knows its target")
    if arguments.resume:
        return _resume(arguments)
    arguments.target = arguments.target or _only_target()
    return _start(arguments)


def _only_target() -> str:
    """The pipeline of a project that has one."""
    from nbci.config import find_project
    from nbci.formatting.numbers import listed
    from nbci.project.targets import pipelines_of, targets_of

    project = find_project(Path.cwd())
    pipelines = pipelines_of(project)
    if len(pipelines) == 1:
        return pipelines[0]
    targets = targets_of(project)
    here = f"this project has {listed(targets, 10)}"
    none = "there is neither a pipeline nor a notebook with step tags here"
    raise UsageError("name either a TARGET or a run to --resume", hint=here if targets else none)


def _start(arguments: argparse.Namespace) -> int:
    from nbci.cli.unchanged import quick_run

    if not arguments.dvc and (code := quick_run(arguments)) is not None:
        return code
    from nbci.engine.prepare import plan_target
    from nbci.plan.select import Selection, limited, select
    from nbci.project.sources import read_target
    from nbci.runs.folder import new_run

    target = read_target(arguments.target)
    exported: tuple[Assignment, ...] = ()
    if arguments.dvc:
        from nbci.engine.dvc_stage import exported_params

        exported = exported_params(target.project, target.pipeline)
    plan = plan_target(
        target,
        environ=os.environ,
        files=arguments.file,
        pairs=arguments.param,
        kernel=arguments.kernel,
        exported=exported,
    )
    project = _project_for(target.project, plan)
    selection = Selection(
        first=tuple(arguments.first), until=tuple(arguments.until), only=tuple(arguments.only)
    )
    if arguments.dvc and not (selection.first or selection.until):
        from nbci.engine.dvc_stage import select_stage

        plan = select_stage(project, plan, selection.only, os.environ)
    else:
        plan = select(plan, selection)
    plan = limited(plan, arguments.run_timeout, arguments.cell_timeout)
    request = Request(project=project, plan=plan, notebooks=target.pipeline.notebooks)
    return _carry_out(arguments, request, lambda: new_run(project))


def _resume(arguments: argparse.Namespace) -> int:
    from nbci.config import find_project
    from nbci.engine.observed.before_resume import refuse_changed
    from nbci.project.sources import read_notebooks
    from nbci.runs.folder import find_run

    if (
        arguments.param
        or arguments.file
        or arguments.first
        or arguments.until
        or arguments.only
        or arguments.kernel
    ):
        raise UsageError(
            "a resumed run carries on its own plan",
            hint="leave out -p, -f, --from, --until, --only, --kernel",
        )
    project = find_project(Path.cwd())
    folder = find_run(project, arguments.resume)
    if not folder.hold():
        raise UsageError(f"run {folder.run} is still going on")
    plan = folder.read_plan()
    project = _project_for(project, plan)
    request = Request(
        project=project, plan=plan, notebooks=read_notebooks(project, plan.sources or {})
    )
    refuse_changed(project, plan, folder, os.environ)
    return _carry_out(arguments, request, lambda: folder)


def _project_for(project: Project, plan: Plan) -> Project:
    """The project as a build of a fork has it; most runs are none, and need nothing of git."""
    if plan.fork is None and change_of(os.environ) is None:
        return project
    from nbci.trust.target_branch import project_for

    return project_for(project, plan, os.environ)


class Request(NamedTuple):
    """What is to be run; no dataclass, which a run with nothing to do would wait for."""

    project: Project
    plan: Plan
    notebooks: Mapping[str, TaggedNotebook]


def _carry_out(
    arguments: argparse.Namespace, request: Request, make_folder: Callable[[], RunFolder]
) -> int:
    """Everything is checked before the run gets its folder."""
    from nbci.cli.live import choose_display
    from nbci.cli.publish import getting_ready, publish
    from nbci.cli.unchanged import remember_run
    from nbci.data.repository import project_cache
    from nbci.data.sharing import share
    from nbci.engine.caching.reuse import KnownOuts, recall_results, results_to_take_over
    from nbci.engine.prepare import header
    from nbci.engine.ready import make_ready
    from nbci.engine.run import RunOptions, run_plan
    from nbci.gates.judging import Judging
    from nbci.kernels.descriptors import kernels_at_once
    from nbci.plan.select import named_steps
    from nbci.runs.index import note_run

    plan, project = request.plan, request.project
    again = named_steps(plan, arguments.force_step)
    cache = project_cache(project, os.environ)
    share(project, cache, os.environ)
    ready = make_ready(project, plan, request.notebooks, cache=cache, environ=os.environ)
    recall_results(project, plan.target, cache)
    taken_over = results_to_take_over(project, plan, ready.cache, ready.index)
    forced = bool(arguments.force or ((arguments.first or arguments.only) and not arguments.dvc))
    display = choose_display(
        quiet=arguments.quiet,
        json=arguments.json,
        stdout=sys.stdout,
        stderr=sys.stderr,
        runs_folder=shown_path(project.runs_folder),
    )
    judging = Judging(project, plan, os.environ)
    jobs = arguments.jobs or project.jobs or os.cpu_count() or 1
    if any(step.action in ("run", "depends") for step in plan.steps):
        jobs = kernels_at_once(min(jobs, len(plan.steps)))
    folder = make_folder()
    options = RunOptions(
        jobs=jobs,
        keep_going=plan.keep_going if arguments.keep_going is None else arguments.keep_going,
        taken_over=taken_over,
        tick=display.tick,
        judge=judging.judged,
        ahead=getting_ready(plan),
        publish=lambda record: publish(project, folder, plan, request.notebooks, record),
    )
    context = ready.begin(folder, display, log=folder.path / "events.jsonl")
    context.known_outs = KnownOuts(project)
    context.forced = lambda step: forced or step in again
    try:
        folder.write_plan(plan)
        begun = header(folder.run, plan, project.root, ["nbci", *sys.argv[1:]], ready.mask)
        record = run_plan(context, begun, options)
        if arguments.dvc:
            from nbci.engine.dvc_stage import write_notes_of

            write_notes_of(project, plan, record, arguments.only)
        elif not arguments.resume and plan.fork is None:
            remember_run(arguments, context, record, judging)
        note_run(project, record)
    finally:
        display.close()
        folder.release()
        ready.save()
    if arguments.json:
        from nbci.cli.show_text import show_document

        print(
            json.dumps(
                show_document(record, runs_folder=str(shown_path(project.runs_folder))), indent=1
            )
        )
    return exit_code(record, gates=not (arguments.no_gate or arguments.dvc))
