"""Train a released model again, if there is reason to and the limits let it: decide, then run.

What is decided, why, and what comes of it is kept in git: `nbci decisions MODEL` lists it. With
--hand-over a CI runs it: nbci decides, writes that down, and says what to start.

Exit codes: those of `nbci run`; 0 where nothing is to be done now; 3 where the gates refuse what
came of it, or where so many tries came to nothing that a person has to look; 4 where `origin` is
away.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.cli.arguments import add_json_argument, print_json
from nbci.formatting.terminal import one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from nbci.app.retraining.decide import Decided, RetrainRequest
    from nbci.app.retraining.follow import CarriedOut
    from nbci.config import Project
    from nbci.records.decision import Decision


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci retrain`."""
    parser.add_argument("model", metavar="M", help="wine, or wine#production")
    parser.add_argument(
        "--because",
        metavar="FILE",
        help="the monitor.json of `nbci monitor` that gives the reason (- reads it from stdin)",
    )
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a parameter; the others are as the release had them",
    )
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument(
        "--plan",
        action="store_true",
        help="say what would start, why and what it costs; nothing is written",
    )
    doing.add_argument(
        "--hand-over",
        action="store_true",
        help="decide, and let a CI run it: the JSON says what to start",
    )
    doing.add_argument(
        "--refuse", metavar="WHY", help="say no to the decision that waits for a person"
    )
    doing.add_argument(
        "--failed",
        metavar="WHY",
        help="say that what counts as running has ended, as a build that was killed",
    )
    doing.add_argument(
        "--reset", action="store_true", help="let what failed or was given up be tried again"
    )
    asking = parser.add_mutually_exclusive_group()
    asking.add_argument("--ask", action="store_true", help="let a person decide, as `ask: true`")
    asking.add_argument(
        "--yes",
        action="store_true",
        help="a person says yes: no limit holds but that none runs at that time",
    )
    parser.add_argument(
        "--if-wanted",
        action="store_true",
        help="start nothing that the pipeline's `triggers: monitor` does not ask for",
    )
    parser.add_argument(
        "--format",
        choices=("text", "jenkins"),
        default="text",
        help="jenkins: lines of fields with tabs between them, for a CI",
    )
    parser.add_argument(
        "--promote", action="store_true", help="promote the model if its gates let it pass"
    )
    parser.add_argument("--quiet", "-q", action="store_true", help="print the result only")
    add_json_argument(parser, "one JSON document at the end; all else to stderr")


def main(arguments: argparse.Namespace) -> int:
    """Decide, and carry it out; returns the exit code."""
    from nbci.app.retraining.decide import (
        RetrainRequest,
        decide,
        end_open,
        foresee_retraining,
        refuse_waiting,
        reset,
    )
    from nbci.config import find_project

    project = find_project(Path.cwd())
    if arguments.reset:
        return _show_change(reset(project, arguments.model), arguments)
    if arguments.refuse is not None:
        change = refuse_waiting(project, arguments.model, arguments.refuse)
        return _show_change(change, arguments)
    if arguments.failed is not None:
        return _show_change(end_open(project, arguments.model, arguments.failed), arguments)
    request = RetrainRequest(
        model=arguments.model,
        because=arguments.because,
        pairs=tuple(arguments.param),
        insists=arguments.yes,
        asks=arguments.ask,
        if_wanted=arguments.if_wanted,
    )
    if arguments.plan:
        return _show(foresee_retraining(project, request), arguments)
    decided = decide(project, request)
    # A CI asks in its own way.
    if decided.answer.start == "ask" and not arguments.hand_over:
        decided = _ask_person(project, request, decided)
    if decided.answer.start is True:
        # Imported only here: it brings DVC.
        from nbci.app.retraining.new_data import with_new_data

        decided = with_new_data(decided)
    if decided.answer.start is not True or arguments.hand_over:
        return _show(decided, arguments)
    return _carry_out(project, decided, arguments)


def _ask_person(project: Project, request: RetrainRequest, decided: Decided) -> Decided:
    """Ask on the terminal, where one is; anywhere else the decision goes on waiting."""
    from msgspec.structs import replace

    from nbci.app.retraining.decide import decide, refuse_waiting

    # A CI has no terminal; and what stdin has given cannot be asked for again.
    if not sys.stdin.isatty() or request.because == "-":
        return decided
    print("\n".join(_lines(decided)), file=sys.stderr)
    print("Train again? [y/N] ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    # A terminal that was closed has said nothing: the decision goes on waiting.
    if not line:
        return decided
    if line.strip().lower() in ("y", "yes"):
        return decide(project, request._replace(insists=True, asks=False))
    refuse_waiting(project, request.model, "a person said no")
    no = replace(decided.answer, start=False, sentence="a person said no")
    return replace(decided, answer=no)


def _carry_out(project: Project, decided: Decided, arguments: argparse.Namespace) -> int:
    from nbci.app.exit_codes import exit_code
    from nbci.app.retraining.follow import carry_out
    from nbci.cli.run import presentation

    assert decided.decision is not None
    if not (arguments.quiet or arguments.json):
        print("\n".join(_lines(decided)), flush=True)
    done = carry_out(
        project,
        decided.decision,
        presentation(quiet=arguments.quiet, json=arguments.json),
        command=("nbci", *sys.argv[1:]),
        promotes=arguments.promote,
        environ=os.environ,
    )
    if arguments.json:
        print_json({**decided.document, **_outcome_document(done)}, ascii_only=False)
    else:
        last = done.decision.last
        print(f"decision {done.decision.id}: {done.decision.state}")
        if last is not None:
            print(f"  {one_line(last.sentence)}")
    return exit_code(done.record)


def _outcome_document(done: CarriedOut) -> dict[str, Any]:
    from nbci.records.codec import plain

    last = done.decision.last
    document: dict[str, Any] = {
        "run": done.record.run,
        "outcome": done.decision.state,
        "outcome_sentence": last.sentence if last is not None else "",
    }
    if done.promotion is not None:
        document["promotion"] = plain(done.promotion)
    return document


def _show(decided: Decided, arguments: argparse.Namespace) -> int:
    """Print what was decided; 3 where nothing is tried any more."""
    from nbci.errors import ExitCode

    if arguments.json:
        print_json(decided.document, ascii_only=False)
    elif arguments.format == "jenkins":
        print("\n".join(_tabbed_lines(decided)))
    else:
        print("\n".join(_lines(decided)))
    return ExitCode.GATE_REFUSED if decided.answer.gives_up else ExitCode.SUCCESS


def _show_change(decision: Decision, arguments: argparse.Namespace) -> int:
    from nbci.records.codec import plain

    last = decision.last
    if arguments.json:
        print_json(plain(decision), ascii_only=False)
    elif arguments.format == "jenkins":
        # What a person refused, or let be tried again, starts nothing now.
        sentence = last.sentence if last is not None else ""
        lines = (("start", "no"), ("sentence", sentence), ("because", decision.sentence))
        print("\n".join(_tabbed(lines)))
    else:
        print(f"decision {decision.id}: {last.sentence if last is not None else ''}")
    return 0


def _tabbed_lines(decided: Decided) -> list[str]:
    """The same as fields, which the library for Jenkins reads without a plugin for JSON."""
    answer, document = decided.answer, decided.document
    lines = [
        ("start", {True: "yes", False: "no", "ask": "ask"}[answer.start]),
        ("sentence", answer.sentence),
        ("because", decided.reason),
        ("cost", _cost(decided)),
        ("pipeline", document["pipeline"]),
        ("decision", document["decision"] or ""),
    ]
    if answer.gives_up:
        lines.append(("gives_up", "yes"))
    params = [("param", name, value) for name, value in document["parameters"].items()]
    return _tabbed((*lines, *params))


def _tabbed(lines: Iterable[tuple[str, ...]]) -> list[str]:
    # A tab or a line break in a value would begin another field or line.
    return ["nbci-retrain 1", *("\t".join(map(one_line, fields)) for fields in lines)]


def _cost(decided: Decided) -> str:
    from nbci.formatting.durations import duration
    from nbci.formatting.numbers import counted

    expected = decided.expected
    if expected.seconds is None:
        return "unknown: no run of it is known here"
    return f"about {duration(expected.seconds)} ({counted(expected.runs, 'earlier run')})"


def _lines(decided: Decided) -> list[str]:
    """What starts or not, why, and what it costs."""
    from nbci.app.retraining.model_in_use import wanted_data
    from nbci.formatting.tables import table

    answer = decided.answer
    # Whoever reads only the first line should know.
    words = {True: "starts", False: "does not start", "ask": "waits for a person"}
    facts = [
        ("retraining", f"{decided.model.name} {decided.model.version} {words[answer.start]}"),
        ("why", decided.reason),
        ("limits", answer.sentence),
        ("pipeline", decided.model.manifest.target),
        ("parameters", " ".join(decided.parameters)),
        ("costs", _cost(decided)),
        ("decision", decided.decision.id if decided.decision is not None else ""),
    ]
    asked = wanted_data(decided.model, decided.parameters, os.environ)
    if asked and (decided.decision is None or decided.decision.data is None):
        # They are counted when it begins: with --plan nothing is read that takes long.
        facts.append(("new data", str(asked.get("log") or ", ".join(asked.get("update", ())))))
    if decided.decision is not None and decided.decision.data is not None:
        facts.append(("data", decided.decision.data.sentence))
    if not decided.model.is_shared:
        facts.append(("shared", "no: there is no remote origin, so that the limits hold here only"))
    if answer.start == "ask":
        name = decided.model.name.rpartition(":")[2]
        facts.append(("to go on", f"nbci retrain {name} --yes, or --refuse WHY"))
    if answer.gives_up:
        facts.append(("to go on", f"nbci retrain {decided.model.name} --reset"))
    return table([(name, one_line(value)) for name, value in facts if value])
