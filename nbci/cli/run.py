"""Run a notebook or a pipeline, each step in a Jupyter kernel, side by side where they can.

Exit codes: 0 passed, 1 a step failed, 2 wrong usage or input, 3 a gate refused, 4 the machine
failed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.app.request import Presentation, RunRequest
from nbci.app.unchanged import reuse_last_run
from nbci.audit_draw import parse_share
from nbci.cli.arguments import (
    add_build_files_argument,
    add_folder_argument,
    add_json_argument,
    add_parameter_arguments,
    optional_path,
    parse_count,
    parse_seconds,
    print_json,
    shown_path,
)
from nbci.cli.unchanged_text import print_unchanged
from nbci.errors import UsageError
from nbci.runs.run_file import new_run_id

if TYPE_CHECKING:
    from nbci.config import Project
    from nbci.engine.listener import Display
    from nbci.records.run_record import RunRecord

_TARGETS_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci run`."""
    parser.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        help="a notebook (.ipynb, .py, .md) or a pipeline (.yaml)",
    )
    add_parameter_arguments(parser)
    add_folder_argument(parser)
    parser.add_argument(
        "-j",
        "--jobs",
        type=parse_count,
        metavar="N",
        help="steps at once at most (default: the processors)",
    )
    parser.add_argument(
        "--seeds",
        type=parse_count,
        metavar="N",
        help="carry it out with N values of its seed, to see how far metrics move by chance",
    )
    _add_step_arguments(parser)
    _add_failure_arguments(parser)
    _add_presentation_arguments(parser)


def _add_step_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which steps run, and for which earlier results are ignored."""
    parser.add_argument(
        "--from",
        dest="first",  # `from` is a keyword of Python
        action="append",
        default=[],
        metavar="STEP",
        help="begin at this step; what it needs comes from the last run that has it",
    )
    parser.add_argument(
        "--until", action="append", default=[], metavar="STEP", help="end with this step"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="STEP", help="run just this step"
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
        "--audit",
        type=_parse_share,
        metavar="SHARE",
        help="run this share of the reused steps again, e.g. 10%%, and compare",
    )


def _add_failure_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ends a run, and how to resume one."""
    going = parser.add_mutually_exclusive_group()
    going.add_argument(
        "--keep-going",
        action="store_true",
        default=None,  # neither option was given: the pipeline file decides
        help="after a failure run what does not need it",
    )
    going.add_argument(
        "--fail-fast",
        dest="keep_going",
        action="store_false",
        help="start nothing new after a failure",
    )
    parser.add_argument(
        "--run-timeout",
        type=parse_seconds,
        metavar="TIME",
        help="stop the whole run after this, e.g. 2h",
    )
    parser.add_argument(
        "--cell-timeout",
        type=parse_seconds,
        metavar="TIME",
        help="no cell may take longer, e.g. 20m",
    )
    parser.add_argument(
        "--no-gate", action="store_true", help="judge, but let no gate refuse the run"
    )
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="carry on a run that failed or was interrupted (or `latest`)",
    )


def _add_presentation_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the output: for DVC, a person, a CI or a program."""
    parser.add_argument(
        "--dvc", action="store_true", help="run as a stage that `nbci export dvc` wrote"
    )
    parser.add_argument(
        "--quiet", "-q", action="store_true", help="print failures and the result only"
    )
    add_build_files_argument(parser)
    add_json_argument(parser, "one JSON document at the end; all else to stderr")


def main(arguments: argparse.Namespace) -> int:
    """Run the target, and show its progress; returns the exit code."""
    if arguments.target is not None and arguments.resume is not None:
        raise UsageError("name either a TARGET or a run to --resume", hint="a run knows its target")
    request = _request(arguments)

    # JSON has the steps of the run, for which their records must be read.
    if not arguments.json:
        unchanged = reuse_last_run(request)
        if unchanged is not None:
            print_unchanged(unchanged, quiet=arguments.quiet)
            return unchanged.exit_code

    # Imported only here: a run with nothing to do would wait for it.
    from nbci.app.exit_codes import exit_code
    from nbci.app.run_target import run

    shown = presentation(quiet=arguments.quiet, json=arguments.json)
    project, record = run(request, shown)
    if arguments.json:
        _print_document(project, record)
    return exit_code(record, gates=request.gates_count)


def _request(arguments: argparse.Namespace) -> RunRequest:
    """The arguments as the use case takes them."""
    target = arguments.target
    if target is None and not arguments.resume:
        target = _only_target()
    return RunRequest(
        target=target,
        resume=arguments.resume or None,
        command=("nbci", *sys.argv[1:]),
        pairs=tuple(arguments.param),
        files=tuple(arguments.file),
        kernel=arguments.kernel,
        seeds=arguments.seeds,
        first=tuple(arguments.first),
        until=tuple(arguments.until),
        only=tuple(arguments.only),
        force=arguments.force,
        force_steps=tuple(arguments.force_step),
        jobs=arguments.jobs,
        keep_going=arguments.keep_going,
        run_timeout_seconds=arguments.run_timeout,
        cell_timeout_seconds=arguments.cell_timeout,
        no_gate=arguments.no_gate,
        for_dvc=arguments.dvc,
        run=new_run_id(time.time()),
        audit=arguments.audit,
        folder=arguments.folder or None,
        environment=arguments.environment or None,
        build_files=optional_path(arguments.out),
    )


def _parse_share(text: str) -> float:
    """Parse a share such as `10%`."""
    try:
        return parse_share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _only_target() -> str:
    """The only pipeline of the project; UsageError that lists its targets when there is none."""
    from nbci.config import find_project
    from nbci.formatting.numbers import listed
    from nbci.project.targets import pipelines_of, targets_of

    project = find_project(Path.cwd())
    pipelines = pipelines_of(project)
    if len(pipelines) == 1:
        return pipelines[0]

    # Several pipelines, or notebooks alone: a guess could run hours of the wrong work.
    targets = targets_of(project)
    hint = "there is neither a pipeline nor a notebook with step tags here"
    if targets:
        hint = f"this project has {listed(targets, _TARGETS_SHOWN)}"
    raise UsageError("name either a TARGET or a run to --resume", hint=hint)


def presentation(*, quiet: bool, json: bool) -> Presentation:
    """The functions that show the run on a terminal or in a log."""
    from nbci.cli.live import choose_display

    def open_display(project: Project) -> Display:
        return choose_display(
            quiet=quiet,
            json=json,
            stdout=sys.stdout,
            stderr=sys.stderr,
            runs_folder=shown_path(project.runs_folder),
        )

    return Presentation(open_display, _summary_of)


def _summary_of(record: RunRecord) -> dict[str, Any]:
    """The texts that a later run with nothing to do prints as they are (see `unchanged_text`)."""
    from nbci.cli.live.gates import gates_word, verdict_lines
    from nbci.cli.live.summary import metric_lines

    return {
        "metrics": metric_lines(record),
        "verdict": verdict_lines(record.verdict),
        "gates": gates_word(record.verdict),
    }


def _print_document(project: Project, record: RunRecord) -> None:
    from nbci.cli.show_text import show_document

    runs_folder = shown_path(project.runs_folder)
    print_json(show_document(record, runs_folder=str(runs_folder)))
