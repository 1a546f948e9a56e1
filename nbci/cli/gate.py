"""Judge a run once more by the gates of its own plan: what was asked, found, compared with, and
what came of it.

Exit codes: 0 the gates let it pass, 3 one refused, 1 the run itself failed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_run_argument
from nbci.errors import UsageError, nearest

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import GateResult, Override, Verdict


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
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")


def main(arguments: argparse.Namespace) -> int:
    """Judge, keep the verdict, print it; the answer says whether the run may pass."""
    from nbci.cli.live.gates import gates_word, verdict_lines
    from nbci.cli.publish import publish_report
    from nbci.cli.verdict import exit_code
    from nbci.config import find_project
    from nbci.gates.judging import Judging
    from nbci.records.codec import plain
    from nbci.runs.folder import find_run

    _check(arguments)
    project = find_project(Path.cwd())
    folder = find_run(project, arguments.run)
    if not folder.hold():
        raise UsageError(f"run {folder.run} is still going on")
    try:
        folder.settle()
        record, plan = folder.read(), folder.read_plan()
        if record.result == "passed":
            folder.check_seal(project.signers_file)
        if record.result == "passed" and plan.gates and not plan.leaves_out:
            judging = Judging(project, plan, os.environ)
            record = judging.judged(record, record.verdict.overrides if record.verdict else ())
            if arguments.override and record.verdict is not None:
                override = _override(arguments, project, record.verdict)
                record = judging.judged(record, (*record.verdict.overrides, override))
            folder.write_run(record)
            publish_report(project, folder, plan, record)
    finally:
        folder.release()
    if arguments.json:
        document = plain(record.verdict) if record.verdict else None
        print(
            json.dumps({"run": record.run, "result": record.outcome, "verdict": document}, indent=1)
        )
        return exit_code(record)
    for line in verdict_lines(record.verdict):
        print(line)
    print(
        f"{record.pipeline} {record.run} {record.outcome}{gates_word(record.verdict) or _unjudged(record, plan)}"
    )
    return exit_code(record)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.override is None and (arguments.reason or arguments.by):
        raise UsageError(
            "--reason and --by go with --override", hint="name the gate: --override GATE"
        )
    if arguments.override is not None and not (arguments.reason or "").strip():
        raise UsageError("an override needs a reason", hint='--reason "why the run may pass"')


def _unjudged(record: RunRecord, plan: Plan) -> str:
    if record.result != "passed":
        return "; only a run that passed is judged"
    return (
        "; not judged: it leaves out steps that were not asked for"
        if plan.gates
        else "; there are no gates"
    )


def _override(arguments: argparse.Namespace, project: Project, verdict: Verdict) -> Override:
    """The override that is asked for; UsageError where there is nothing to override."""
    from nbci.records.verdict import Override
    from nbci.runs.folder import now_utc

    gate = _gate(arguments.override, verdict)
    if gate.result != "failed":
        raise UsageError(
            f"the gate {gate.gate!r} does not refuse the run",
            hint="only a gate that failed is overridden",
        )
    return Override(
        gate=gate.gate,
        by=(arguments.by or "").strip() or _user(project),
        reason=arguments.reason.strip(),
        at_utc=now_utc(),
        asked=gate.asked,
        found=gate.found,
        baseline=gate.baseline,
    )


def _gate(name: str, verdict: Verdict) -> GateResult:
    for number, gate in enumerate(verdict.gates, 1):
        if name in (gate.gate, str(number)):
            return gate
    titled = [gate for gate in verdict.gates if gate.title == name]
    if len(titled) == 1:
        return titled[0]
    names = [gate.gate for gate in verdict.gates]
    close = nearest(name, names)
    raise UsageError(
        f"there is no gate {name!r}",
        hint=f"did you mean {close!r}?" if close else f"the gates are: {', '.join(names)}",
    )


def _user(project: Project) -> str:
    from nbci.git.process import Git
    from nbci.runs.folder import user_name

    name = Git(project.root).get("config", "user.name") or user_name()
    if name is None:
        raise UsageError("an override needs a name", hint="--by NAME")
    return name
