"""Gather the steps that `nbci step` ran into a run of this project, with its report; promote its
model, if asked to.

Safe to repeat: the same store becomes the same run. The exit code is the run's; of a run that
passed, its promotion's. On a branch that nothing is promoted from, --promote says so and changes
nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_store_arguments, shown_path
from nbci.cli.verdict import exit_code
from nbci.records.codec import plain

if TYPE_CHECKING:
    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.promotion.promote import Promotion
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci finish`."""
    add_store_arguments(parser)
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="also put report and notebooks there, and how a build is to end",
    )
    parser.add_argument(
        "--shown", metavar="FOLDER", help="also put the pictures and HTML that cells showed there"
    )
    parser.add_argument(
        "--stopped-by",
        metavar="WHAT",
        help="what stopped the build, for the steps that it cut short",
    )
    parser.add_argument(
        "--no-gate", action="store_true", help="judge, but let no gate refuse the run"
    )
    parser.add_argument(
        "--lost",
        metavar="STAGE=TRIES",
        nargs="+",
        type=_lost_stage,
        default=[],
        help="stages whose machine vanished in each of so many tries",
    )
    parser.add_argument("--promote", nargs="?", const="", metavar="M",
                        help="if it passed, and was built on a branch that its models are promoted from, promote this "
                        "model (without M: the only one that there is)")  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help="print the JSON that schemas/show.schema.json describes"
    )


def main(arguments: argparse.Namespace) -> int:
    """Gather, write the report, print the result; the answer is the run's exit code."""
    from nbci.cli.publish import publish
    from nbci.cli.show_text import render_show, show_document
    from nbci.config import find_project
    from nbci.engine.distributed.handover import take_in
    from nbci.engine.distributed.run_parts import finish, keep_outs, open_store
    from nbci.engine.imports import place_imports
    from nbci.errors import ExitCode
    from nbci.gates.judging import Judging
    from nbci.project.sources import read_notebooks
    from nbci.runs.folder import read_plan
    from nbci.runs.index import note_run
    from nbci.trust.target_branch import project_for

    plan = read_plan(Path(arguments.plan))
    project = project_for(find_project(Path.cwd()), plan, os.environ)
    place_imports(project, plan)
    notebooks = read_notebooks(project, plan.sources or {})
    store = open_store(project, plan, arguments.store)
    if arguments.bring:
        take_in(Path(arguments.bring), store)
    folder, record = finish(
        project,
        plan,
        store,
        command=["nbci", *sys.argv[1:]],
        environ=os.environ,
        stopped_by=arguments.stopped_by,
        lost=dict(arguments.lost),
    )
    try:
        folder.write_run(record)
        record = Judging(project, plan, os.environ).judged(record)
        folder.write_run(record)
        keep_outs(project, record, store, os.environ)
        _bring_notebooks(project, folder, record, store)
        publish(project, folder, plan, notebooks, record, reused_too=True)
        note_run(project, record)
        _leave(arguments, folder, plan, record)
    finally:
        folder.release()
    code = exit_code(record, gates=not arguments.no_gate)
    promotion, said = None, None
    try:
        if code == ExitCode.SUCCESS and arguments.promote is not None:
            promotion, said = _promoted(project, folder, arguments.promote or None)
        if promotion is not None and arguments.out:
            _leave(arguments, folder, plan, record)
    finally:  # the run is there, whatever became of its promotion
        if arguments.json:
            document = show_document(record, runs_folder=str(shown_path(project.runs_folder)))
            print(
                json.dumps(
                    document | ({"promotion": plain(promotion)} if promotion else {}), indent=1
                )
            )
        else:
            print("\n".join(filter(None, (render_show(record), said))))
    return code


def _lost_stage(text: str) -> tuple[int, int]:
    stage, separator, tries = text.partition("=")
    if not (separator and stage.isdecimal() and tries.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not STAGE=TRIES, two numbers")
    return int(stage), int(tries)


def _leave(arguments: argparse.Namespace, folder: RunFolder, plan: Plan, record: RunRecord) -> None:
    """What others take from here: the report with how a build is to end, and what the cells showed."""
    from nbci.cli.ending import write_ending, write_shown

    if arguments.out:
        write_ending(Path(arguments.out), folder, record, gates=not arguments.no_gate)
    if arguments.shown:
        write_shown(Path(arguments.shown), folder, plan)


def _promoted(
    project: Project, folder: RunFolder, model: str | None
) -> tuple[Promotion | None, str]:
    """What was promoted, in words; a job of all branches asks for it on all of them, and only some
    promote.
    """
    from nbci.cli.promote import promote_run, render
    from nbci.cli.publish import publish_report
    from nbci.promotion.facts import ElsewhereError
    from nbci.promotion.promote import Request

    try:
        done = promote_run(project, folder, Request(model=model), os.environ)
    except ElsewhereError as error:
        return None, f"not promoted: {error.message}"
    publish_report(
        project, folder, folder.read_plan(), folder.read(), reused_too=True
    )  # now with the release's card
    return done, render(done)


def _bring_notebooks(
    project: Project, folder: RunFolder, record: RunRecord, store: RunFolder
) -> None:
    """Of reused steps; what cannot be brought now is missed in the report, and nowhere else."""
    from nbci.data.sharing import share
    from nbci.engine.caching.reuse import bring_notebooks
    from nbci.errors import InfrastructureError, IntegrityError
    from nbci.store.cache import Cache
    from nbci.store.file_index import project_index

    cache = Cache(store.path)
    try:
        share(project, cache, os.environ, travels=True)
        bring_notebooks(folder, record, cache, project_index(project))
    except (InfrastructureError, IntegrityError) as error:
        print(f"nbci: the report lacks notebooks of reused steps: {error}", file=sys.stderr)
