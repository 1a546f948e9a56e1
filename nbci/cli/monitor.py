"""Judge a window of data or of a request log against the release that answers it, by rules.

Exit codes: 0 the rules hold, or only warn; 2 wrong usage, or the release has no profile; 3 a rule
refuses; 4 something away; 5 the release is not what was promoted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.cli.arguments import (
    add_json_argument,
    parse_seconds,
    print_error,
    print_json,
    print_text,
    shown_path,
    warn,
)
from nbci.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse

    from nbci.app.monitoring.request import MonitorRequest
    from nbci.records.monitoring import MonitorResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci monitor`."""
    parser.add_argument(
        "reference",
        metavar="M",
        nargs="?",
        help="digits#production, digits@v1.2.0, or digits: the newest",
    )
    parser.add_argument(
        "--data", metavar="PATH", help="a table (CSV, TSV, JSON lines, Parquet) or images"
    )
    parser.add_argument("--log", metavar="FOLDER", help="what `nbci serve --log` was given")
    parser.add_argument(
        "--labels",
        metavar="PATH",
        help="a table with request (or id) and label; by default those added to the log",
    )
    parser.add_argument(
        "--window", type=parse_seconds, metavar="TIME", help="the newest of the log, such as 1d"
    )
    parser.add_argument(
        "--rules", metavar="FILE", help="a file with `rules:`, or a pipeline with one monitor"
    )
    parser.add_argument("--url", metavar="GIT_URL", help="of this repository")
    parser.add_argument(
        "--out", metavar="FOLDER", help="for what is found (default: .nbci/monitors/M/ID)"
    )
    parser.add_argument(
        "--history", action="store_true", help="show the windows that were judged before"
    )
    parser.add_argument(
        "--settings", metavar="JSON", help="what a step of a pipeline says, instead of all of this"
    )
    add_json_argument(parser)


def main(arguments: argparse.Namespace) -> int:
    """Judge a window, and print what was found."""
    from nbci.config import find_project

    root = find_project(Path.cwd()).root
    if arguments.history:
        return _history(arguments, root)
    return _monitor(arguments, root)


def _monitor(arguments: argparse.Namespace, root: Path) -> int:
    from nbci.app.build_files import write_monitor_ending
    from nbci.app.monitoring.monitor import monitor
    from nbci.app.monitoring.results import keep_result
    from nbci.cli.monitor_text import monitor_lines
    from nbci.records.codec import to_json

    # One form for both: what holds for a step holds for the command.
    settings = _settings(arguments)
    done = monitor(_request(settings, root))
    out = settings.get("out")
    folder = keep_result(root, done.result, None if out is None else Path(out))
    # A step's folder is the user's; where a CI asked for one, it reads how its build is to end.
    if arguments.out is not None:
        write_monitor_ending(folder, done.result)
    if arguments.json:
        print_text(to_json(done.result).rstrip("\n"))
    else:
        place = shown_path(folder.absolute() / "index.html")
        print_text("\n".join((*monitor_lines(done), f"page: {place}")))
    for note in done.notes:
        warn(note)
    # A release of another repository is none that was decided on here.
    if settings.get("url") is None:
        _close_decision(root, done.result)
    # The result is written by now: who reads the exit code finds the reasons.
    if done.result.result == "failed":
        return ExitCode.GATE_REFUSED
    return ExitCode.SUCCESS


def _close_decision(root: Path, result: MonitorResult) -> None:
    """Tell the decision that led to the version which was watched, if one did."""
    from nbci.app.retraining.note_events import close_by_window
    from nbci.config import find_project

    said = close_by_window(find_project(root), result)
    if said is not None:
        print_error(f"nbci: {said}")


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings as a pipeline file has them, whoever gave them."""
    if arguments.settings is not None:
        return _from_step(arguments.settings)
    if arguments.reference is None:
        raise UsageError(
            "no model was named", hint="nbci monitor digits#production --log logs/digits"
        )
    return {
        "model": arguments.reference,
        "url": arguments.url,
        "data": arguments.data,
        "log": arguments.log,
        "labels": arguments.labels,
        "window": arguments.window,
        "out": arguments.out,
        "rules_file": arguments.rules,
    }


def _from_step(text: str) -> dict[str, Any]:
    try:
        # By hand, too, so it is looked at like any other option.
        settings = json.loads(text)
    except ValueError as error:
        raise UsageError(f"the settings are no JSON: {error}") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("model"), str):
        raise UsageError("the settings name no model")
    return settings


def _request(settings: dict[str, Any], root: Path) -> MonitorRequest:
    import os

    from nbci.app.monitoring.request import MonitorRequest
    from nbci.formatting.durations import parse_duration
    from nbci.registry.grammar import parse_reference

    def path(key: str) -> Path | None:
        value = settings.get(key)
        return None if value is None else Path(value)

    window = settings.get("window")
    return MonitorRequest(
        reference=parse_reference(settings["model"]),
        folder=root,
        url=settings.get("url"),
        data=path("data"),
        log=path("log"),
        labels=path("labels"),
        window_seconds=None if window is None else parse_duration(window),
        rules=settings.get("rules"),
        rules_file=path("rules_file"),
        # The engine says it to every step.
        step=os.environ.get("NBCI_STEP"),
    )


def _history(arguments: argparse.Namespace, root: Path) -> int:
    from nbci.app.monitoring.results import earlier_results
    from nbci.cli.monitor_text import history_lines
    from nbci.records.codec import plain
    from nbci.registry.grammar import parse_reference

    if arguments.reference is None:
        raise UsageError("no model was named", hint="nbci monitor digits --history")
    model = parse_reference(arguments.reference).model
    results, problems = earlier_results(root, model)
    if arguments.json:
        print_json([plain(result) for result in results])
    else:
        print_text("\n".join(history_lines(model, results)))
    for problem in problems:
        warn(problem)
    return ExitCode.SUCCESS
