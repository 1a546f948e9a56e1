"""Send the requests of a log through two releases, and compare what they answer.

Exit codes: 0 they were compared, 2 wrong usage, or nothing to send again; 4 the machine failed; 5 a
release is not what was promoted.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.cli.arguments import add_json_argument, parse_seconds, print_json, warn
from nbci.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.app.serving.replay_log import ReplayedLog
    from nbci.serving.replay import Replay

_TWO = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci replay`."""
    parser.add_argument("log", metavar="LOG", nargs="?", help="what `nbci serve --log` was given")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        dest="models",
        metavar="M",
        help="digits#production, digits@v1.2.0; two of them",
    )
    parser.add_argument("--file", metavar="NAME", help="which file of releases that have several")
    parser.add_argument(
        "--url", metavar="GIT_URL", help="of this repository; no checkout is needed"
    )
    parser.add_argument("--window", metavar="TIME", help="the newest part only, such as 1d")
    parser.add_argument("--share", metavar="SHARE", help="so many of the requests, such as 10%%")
    parser.add_argument(
        "--out", metavar="FOLDER", help="also write replay.json and metrics.json there"
    )
    parser.add_argument(
        "--settings", metavar="JSON", help="all of that, as a pipeline file says it"
    )
    add_json_argument(parser)


def main(arguments: argparse.Namespace) -> int:
    """Replay, and print what came of it; returns the exit code."""
    try:
        from nbci.app.serving.replay_log import document_of, replay_log, write_replay
    except ImportError as error:
        raise UsageError(
            f"a replay needs {error.name}, which is not installed",
            hint="pip install 'nbci[serve]'",
        ) from error

    given = _given(arguments)
    found = replay_log(_request(given))
    if given["out"] is not None:
        write_replay(Path(given["out"]), found)
    if arguments.json:
        print_json(document_of(found))
    else:
        print("\n".join(_lines(found)))
    _warn(found)
    return ExitCode.SUCCESS


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """What is asked for, from the command line or a pipeline's step."""
    # A step of a pipeline says under the same names what the options do.
    keys = ("log", "models", "file", "url", "window", "share", "out")
    given = {key: getattr(arguments, key) for key in keys}
    if arguments.settings is not None:
        given.update(_settings(arguments.settings))
    if given["log"] is None:
        raise UsageError("it is not said which log", hint="nbci replay LOG --model A --model B")
    if len(given["models"]) != _TWO:
        raise UsageError(
            f"two releases are compared, {len(given['models'])} are given",
            hint="--model wine#production --model wine#candidate",
        )
    return given


def _settings(text: str) -> Mapping[str, Any]:
    # A step's settings were checked against the schema of pipeline files.
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--settings is no JSON: {error}") from error
    if not isinstance(settings, dict):
        raise UsageError("--settings is no JSON object")
    return settings


def _request(given: Mapping[str, Any]) -> Any:
    from nbci.app.serving.replay_log import ReplayRequest
    from nbci.audit_draw import parse_share

    first, second = given["models"]
    window = None
    if given["window"] is not None:
        window = _checked(parse_seconds, str(given["window"]))
    share = 1.0
    if given["share"] is not None:
        share = _checked(parse_share, str(given["share"]))
    return ReplayRequest(
        log=Path(given["log"]),
        models=(first, second),
        folder=Path.cwd(),
        file=given["file"],
        url=given["url"],
        window=window,
        share=share,
    )


def _checked(parse: Any, text: str) -> float:
    try:
        value: float = parse(text)
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    return value


def _lines(found: ReplayedLog) -> list[str]:
    from nbci.formatting.numbers import counted, rough
    from nbci.formatting.tables import table

    replay = found.replay
    asked = f"{counted(replay.requests, 'request')} to {found.model}"
    lines = [f"{asked}: {replay.same} of {counted(replay.rows, 'row')} answered alike"]
    if replay.same_labels is not None:
        lines[0] += f", {replay.same_labels} with the same label"
    lines.append("")
    rows = [("", "version", "p50", "p95", "failed", *_quality_names(replay))]
    for version in replay.versions:
        seconds = [_milliseconds(version.p50_ms), _milliseconds(version.p95_ms)]
        quality = [_number(getattr(version, name)) for name in _quality_fields(replay)]
        rows.append((version.reference, version.version, *seconds, str(version.failed), *quality))
    lines += table(rows, right=frozenset(range(2, len(rows[0]))))
    for output in replay.outputs:
        said = f"{output.name}: {output.other} of {counted(output.rows, 'row')} differ"
        if output.largest is not None:
            said += f", by {rough(output.largest)} at most"
        lines += ["", said]
        for case in output.worst:
            row = f" row {case.row}" if case.row else ""
            lines.append(f"  {case.request!a}{row}: {_short(case.first)} → {_short(case.second)}")
    return lines


def _quality_fields(replay: Replay) -> list[str]:
    """What labels say, where there are any."""
    # Of a log without labels, columns of nothing would take the place of times.
    names = []
    for name in ("accuracy", "mean_absolute_error"):
        if any(getattr(version, name) is not None for version in replay.versions):
            names.append(name)
    return names


def _quality_names(replay: Replay) -> list[str]:
    return [name.replace("_", " ") for name in _quality_fields(replay)]


def _milliseconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3g} ms"


def _number(value: float | None) -> str:
    from nbci.formatting.numbers import number_or_blank

    return number_or_blank(value)


def _short(answer: Any) -> str:
    if isinstance(answer, list):
        return f"[{', '.join(map(_short, answer))}]"
    if isinstance(answer, float):
        return f"{answer:.4g}"
    # Answers may be texts of any length, with escapes of a terminal.
    return ascii(answer)[:60]


def _warn(found: ReplayedLog) -> None:
    """Say what was not compared."""
    replay = found.replay
    if replay.not_replayable:
        warn(f"{replay.not_replayable} requests are not whole in the log, and were not sent again")
    if found.window.doubled:
        warn(f"{found.window.doubled} requests have an id that another one has")
    for version in replay.versions:
        if version.failed:
            warn(f"{version.reference} failed at {version.failed} of {replay.requests} requests")
    for broken in found.window.broken:
        warn(f"{broken.path} is left out from row {broken.rows}: {broken.why}")
