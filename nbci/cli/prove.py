"""Prove a run: carry it out once more without kept results, in a workspace of its own, and compare.

Exit codes: 0 reproduced, bit for bit or within the tolerance; 1 not reproduced; 2 the run cannot be
proved; 3 what was to be promoted is refused; 4 the machine failed; 130 interrupted.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import (
    add_json_argument,
    add_run_argument,
    parse_count,
    parse_seconds,
    print_error,
    print_json,
    shown_path,
)
from nbci.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.app.reruns.prove import Proving
    from nbci.engine.listener import Display
    from nbci.records.proof import Proof

_ITEMS_SHOWN = 20
_CAUSE_SECONDS = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci prove`."""
    add_run_argument(parser)
    parser.add_argument(
        "--steps",
        action="append",
        default=[],
        metavar="STEP[,STEP]",
        help="only these run again; what they need of others is taken from the run",
    )
    parser.add_argument(
        "--tolerance",
        type=_parse_tolerance,
        metavar="SHARE",
        help="numbers count as equal that differ by this share of their size (default: 1e-06)",
    )
    parser.add_argument(
        "--no-cause",
        dest="finds_cause",
        action="store_false",
        help="do not look for the reason of a difference by running the step again",
    )
    parser.add_argument(
        "--cause-within",
        type=parse_seconds,
        metavar="TIME",
        help="look for it no longer than this, such as 90s, 30m, 2h (default: 10m)",
    )
    parser.add_argument(
        "--no-resume",
        dest="resumes",
        action="store_false",
        help="begin again from the start where the last proof was interrupted",
    )
    parser.add_argument("-j", "--jobs", type=parse_count, metavar="N", help="steps at once at most")
    parser.add_argument("--quiet", "-q", action="store_true", help="print the answer only")
    parser.add_argument(
        "--out", metavar="FOLDER", help="also put the proof there, and how a build is to end"
    )
    # `const` tells --promote without a model from no --promote at all.
    parser.add_argument(
        "--promote",
        nargs="?",
        const="",
        metavar="M",
        help="if it was reproduced, and its models are promoted from this branch, promote this one "
        "(without M: the only one that there is)",
    )
    add_json_argument(parser, "the proof as JSON; all else to stderr")


def _parse_tolerance(text: str) -> float:
    """Parse a share from 0 up to, but not, 1."""
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    # Also refuses NaN, with which every comparison is false.
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share such as 1e-6")
    return share


def main(arguments: argparse.Namespace) -> int:
    """Prove the run, and print what came of it."""
    from nbci.app.reruns.prove import ProofRequest, prove
    from nbci.closeness import RELATIVE_TOLERANCE

    if arguments.out:
        from nbci.app.build_files import clear_build_files

        # A proof takes as long as its run: what is refused is refused before it.
        clear_build_files(Path(arguments.out))
    tolerance = arguments.tolerance
    if tolerance is None:
        tolerance = RELATIVE_TOLERANCE
    request = ProofRequest(
        run=arguments.run,
        steps=tuple(_names(arguments.steps)),
        jobs=arguments.jobs,
        tolerance=tolerance,
        command=("nbci", *sys.argv[1:]),
        cause_seconds=_cause_seconds(arguments),
        resumes=arguments.resumes,
    )

    def open_display(runs: Path) -> Display:
        from nbci.cli.live import choose_display

        # As with --json: its summary tells how to go on with a run, and this one ends here.
        return choose_display(
            quiet=arguments.quiet,
            json=True,
            stdout=sys.stdout,
            stderr=sys.stderr,
            runs_folder=shown_path(runs),
        )

    proving = prove(request, open_display)
    _print(proving, as_json=arguments.json)
    if arguments.out and proving.proof is not None:
        from nbci.app.build_files import write_proof_files

        write_proof_files(Path(arguments.out), proving.proof)
    if arguments.promote is not None and proving.exit_code == ExitCode.SUCCESS:
        _promote(arguments)
    return proving.exit_code


def _promote(arguments: argparse.Namespace) -> None:
    """Promote a model of the run; on a branch without promotion, say so."""
    from nbci.app.build_files import add_deployments
    from nbci.app.promote_run import promote_run
    from nbci.cli.promote import render_promotion
    from nbci.config import find_project
    from nbci.promotion.facts import ElsewhereError
    from nbci.promotion.promote import Request
    from nbci.runs.project_runs import find_run

    project = find_project(Path.cwd())
    folder = find_run(project, arguments.run)
    try:
        done = promote_run(project, folder, Request(model=arguments.promote or None), os.environ)
    except ElsewhereError as error:
        # No failure: a job builds all branches with the same command.
        print_error(f"not promoted: {error.message}")
    else:
        print_error(render_promotion(done))
        if arguments.out:
            add_deployments(Path(arguments.out), project, folder.read_plan().target, done)


def _cause_seconds(arguments: argparse.Namespace) -> float | None:
    if not arguments.finds_cause:
        return None
    return float(arguments.cause_within or _CAUSE_SECONDS)


def _names(given: list[str]) -> Iterator[str]:
    for text in given:
        for name in text.split(","):
            if name.strip():
                yield name.strip()


def _print(proving: Proving, *, as_json: bool) -> None:
    proof = proving.proof
    if proof is None:
        print_error(f"nbci: nothing is proved: the second run {_why_not(proving)}")
    elif as_json:
        from nbci.records.codec import plain

        print_json(plain(proof))
    else:
        for line in _lines(proof, shown_path(proving.folder.path)):
            print(line)


def _why_not(proving: Proving) -> str:
    if proving.record.result == "interrupted":
        return "was interrupted"
    failures = proving.record.failures
    if not failures:
        return "did not pass"
    return f"could not be carried out: {failures[0].message}"


def _lines(proof: Proof, folder: Path) -> Iterator[str]:
    """The answer, what is not the same bit for bit, and where the record is."""
    from nbci.formatting.numbers import and_more
    from nbci.formatting.tables import table
    from nbci.formatting.terminal import one_line
    from nbci.proofs.sentences import item_details, item_name

    yield one_line(proof.sentence)
    rows = []
    for step in proof.steps:
        for item in step.items:
            rows.append((step.step, item_name(item), item.agreement, item_details(item)))
    for line in table(rows[:_ITEMS_SHOWN]):
        yield f"  {line}"
    if len(rows) > _ITEMS_SHOWN:
        yield f"  …{and_more(len(rows), _ITEMS_SHOWN)}"
    yield from _cause_lines(proof)
    for text in proof.surroundings:
        yield f"  not the same: {one_line(text)}"
    yield f"  record: {folder / 'proof.json'}"


def _cause_lines(proof: Proof) -> Iterator[str]:
    """How often the step was run to find the cause, and with what held."""
    if proof.cause is None:
        return
    from nbci.formatting.numbers import counted
    from nbci.formatting.tables import table
    from nbci.proofs.sentences import try_words

    ran = counted(proof.cause.runs, "time")
    yield f"  why: step {proof.cause.step} ran {ran} more; what was held, and what came of it:"
    for line in table(list(map(try_words, proof.cause.tried))):
        yield f"    {line}"
