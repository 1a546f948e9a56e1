"""Judge a run once more by its plan's gates: what was asked, found, compared with, and the answer.

Exit codes: 0 the gates let it pass, 3 one refused, 1 the run itself failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, add_run_argument, print_error, print_json
from nbci.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from nbci.app.judge import AskedOverride, JudgedRun
    from nbci.records.run_record import RunRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci gate`."""
    add_run_argument(parser)
    parser.add_argument(
        "--override", metavar="GATE", help="let the run pass this gate, by its name or number"
    )
    parser.add_argument("--reason", metavar="TEXT", help="why it may pass; stays in the evidence")
    parser.add_argument(
        "--by", metavar="NAME", help="who says so (default: git's user.name, else the user)"
    )
    add_json_argument(parser, "the verdict as JSON")


def main(arguments: argparse.Namespace) -> int:
    """Judge the run, store the verdict and print it; returns the exit code."""
    from nbci.app.exit_codes import exit_code
    from nbci.app.judge import judge_again

    # The run's plan has the gates: those that were edited since count from the next run on.
    judged = judge_again(arguments.run, _override(arguments), print_error)
    if arguments.json:
        _print_document(judged.record)
    else:
        _print_verdict(judged)
    return exit_code(judged.record)


def _override(arguments: argparse.Namespace) -> AskedOverride | None:
    """The override from the arguments, if any; UsageError without --reason or --override."""
    from nbci.app.judge import AskedOverride

    reason, by = arguments.reason, arguments.by
    if arguments.override is None:
        # Without this, a forgotten --override would look like an override that was not needed.
        if reason or by:
            hint = "name the gate: --override GATE"
            raise UsageError("--reason and --by go with --override", hint=hint)
        return None
    if not (reason or "").strip():
        raise UsageError("an override needs a reason", hint='--reason "why the run may pass"')
    return AskedOverride(arguments.override, reason.strip(), (by or "").strip() or None)


def _print_document(record: RunRecord) -> None:
    from nbci.records.codec import plain

    verdict = record.verdict and plain(record.verdict)
    print_json({"run": record.run, "result": record.outcome, "verdict": verdict})


def _print_verdict(judged: JudgedRun) -> None:
    from nbci.cli.live.gates import gates_word, verdict_lines

    record = judged.record
    for line in verdict_lines(record.verdict):
        print(line)
    result = gates_word(record.verdict) or _why_not_judged(judged)
    print(f"{record.pipeline} {record.run} {record.outcome}{result}")


def _why_not_judged(judged: JudgedRun) -> str:
    if judged.record.result != "passed":
        return "; only a run that passed is judged"
    # Gates of a part of the pipeline could pass by leaving out what they would refuse.
    if judged.plan.gates:
        return "; not judged: it leaves out steps that were not asked for"
    return "; there are no gates"
