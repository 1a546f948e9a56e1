"""Gather the steps that `nbci step` ran into a run, with its report; promote its model if asked to.

Safe to repeat: the same store becomes the same run. The exit code is the run's; of a run that
passed, its promotion's. On a branch that nothing is promoted from, --promote says so and changes
nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import (
    add_build_files_argument,
    add_json_argument,
    add_lost_argument,
    add_store_arguments,
    optional_path,
    print_error,
    print_json,
    shown_path,
)
from nbci.records.codec import plain

if TYPE_CHECKING:
    import argparse

    from nbci.app.finish import FinishedRun, FinishRequest
    from nbci.promotion.promote import Promotion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci finish`."""
    add_store_arguments(parser)
    add_build_files_argument(parser)
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
    add_lost_argument(parser)
    # `const` tells --promote without a model from no --promote at all.
    parser.add_argument(
        "--promote",
        nargs="?",
        const="",
        metavar="M",
        help="if it passed, and was built on a branch that its models are promoted from, promote "
        "this model (without M: the only one that there is)",
    )
    add_json_argument(parser, "the JSON that schemas/show.schema.json describes")


def main(arguments: argparse.Namespace) -> int:
    """Gather the steps, write the report, print the result; returns the run's exit code."""
    from nbci.app.finish import finish
    from nbci.errors import ExitCode

    request = _request(arguments)
    finished = finish(request)
    promotion: Promotion | None = None
    remark = ""
    try:
        if finished.exit_code == ExitCode.SUCCESS and arguments.promote is not None:
            promotion, remark = _promote(request, finished, arguments.promote or None)
    finally:
        # The run is there, whatever became of its promotion.
        if arguments.json:
            _print_document(finished, promotion)
        else:
            _print_run(finished, remark)
    return finished.exit_code


def _request(arguments: argparse.Namespace) -> FinishRequest:
    from nbci.app.finish import FinishRequest

    return FinishRequest(
        plan=Path(arguments.plan),
        store=arguments.store,
        bring=optional_path(arguments.bring),
        command=("nbci", *sys.argv[1:]),
        stopped_by=arguments.stopped_by,
        lost=dict(arguments.lost),
        build_files=optional_path(arguments.out),
        shown_outputs=optional_path(arguments.shown),
        gates_count=not arguments.no_gate,
        warn=lambda text: print_error(f"nbci: {text}"),
        tell=print_error,
    )


def _promote(
    request: FinishRequest, finished: FinishedRun, model: str | None
) -> tuple[Promotion | None, str]:
    """The promotion, and a text about it; None and the reason where none can be now."""
    from nbci.app.finish import promote_finished
    from nbci.cli.promote import render_promotion
    from nbci.promotion.facts import ElsewhereError
    from nbci.promotion.proof_check import NotProved

    try:
        promotion = promote_finished(request, finished, model)
    except ElsewhereError as error:
        # No failure: a job builds all branches with the same command.
        return None, f"not promoted: {error.message}"
    except NotProved as error:
        # No run can be proved before it has ended.
        return None, f"not promoted: {error.message}; {error.hint}, then promote it"
    return promotion, render_promotion(promotion)


def _print_document(finished: FinishedRun, promotion: Promotion | None) -> None:
    from nbci.cli.show_text import show_document

    runs_folder = shown_path(finished.project.runs_folder)
    document = show_document(finished.record, runs_folder=str(runs_folder))
    if promotion is not None:
        document["promotion"] = plain(promotion)
    print_json(document)


def _print_run(finished: FinishedRun, remark: str) -> None:
    from nbci.cli.show_text import render_show

    print(render_show(finished.record))
    if remark:
        print(remark)
