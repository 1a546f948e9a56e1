"""Say what a worker is to do next for a sweep whose trials are carried out on agents.

For programs, such as the library for Jenkins: prints lines of fields with tabs between them, first
the version `nbci-plan 1`. Then `trial` and its number with the lines of `nbci plan --format
jenkins` that carry it out (`shared` for the steps of it that other trials need, too); or `wait`,
for what, and after how many seconds to ask again, or else when another worker has told something;
or `over` and why. The workers of a
sweep ask one after another.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.sweep import add_arguments as add_sweep_arguments
from nbci.cli.sweep import sweep_request
from nbci.cli.sweep_arguments import add_state_arguments, add_worker_argument

if TYPE_CHECKING:
    import argparse

    from nbci.app.sweeps.hand_out import Part


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci sweep next`."""
    add_sweep_arguments(parser)
    add_state_arguments(parser)
    add_worker_argument(parser)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="write the plan for `nbci step`"
    )
    parser.add_argument(
        "--leave",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="let this folder hold what stands of the plan's steps already",
    )
    parser.add_argument(
        "--before",
        type=Path,
        metavar="FILE",
        help="what `nbci sweep end --carry` wrote in an earlier build: go on with that",
    )


def main(arguments: argparse.Namespace) -> int:
    """Print what the worker is to do."""
    from nbci.app.sweeps.hand_out import NextRequest, hand_out
    from nbci.cli.arguments import print_error
    from nbci.cli.plan_text import JENKINS_FORMAT, render_error
    from nbci.errors import NbciError

    request = NextRequest(
        sweep=sweep_request(arguments),
        state=arguments.state,
        worker=arguments.worker,
        out=arguments.out,
        leave=arguments.leave,
        store=arguments.store,
        before=arguments.before,
        tell=lambda text: print_error(f"nbci: {text}"),
    )
    try:
        print(JENKINS_FORMAT, *_lines(hand_out(request)), sep="\n")
    except NbciError as error:
        # The shared library reads stdout only, and ends its build with what this line says.
        print(render_error(error), end="", flush=True)
        raise
    return 0


def _lines(part: Part) -> list[str]:
    from nbci.cli.plan_text import jenkins_line, stage_lines

    if part.waits_for is not None:
        return [jenkins_line("wait", part.waits_for, part.ask_again_seconds or "")]
    if part.plan is None or part.job is None:
        return [jenkins_line("over", " ".join(str(part.over).split()))]
    # The stage view of a CI shows the names only.
    kind, named = "trial", f"trial {part.job.trial}: "
    if part.job.shared:
        kind, named = "shared", "for all trials: "
    return [jenkins_line(kind, part.job.trial), *stage_lines(part.plan, named)]
