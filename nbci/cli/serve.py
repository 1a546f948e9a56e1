"""Serve a released model over HTTP, by the Open Inference Protocol.

Exit codes: 0 it was told to end, 2 wrong usage, 4 the machine failed, 5 the release is not what was
promoted, or does not answer its sample.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nbci.cli.arguments import optional_path, parse_count, parse_seconds
from nbci.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from nbci.app.serving.serve import ServeRequest

_LARGEST_PORT = 65_535
_MIB = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci serve`."""
    parser.add_argument(
        "reference", metavar="M", help="digits#production, digits@v1.2.0, or digits: the newest"
    )
    places = parser.add_mutually_exclusive_group()
    places.add_argument(
        "--url", metavar="GIT_URL", help="of this repository; no checkout is needed"
    )
    places.add_argument(
        "--from",
        dest="release",
        metavar="FOLDER",
        help="the release that lies there with its evidence, as nbci deploy puts it; SIGHUP looks "
        "into it again",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="where to listen (default: this machine only)"
    )
    parser.add_argument(
        "--port",
        type=_parse_port,
        default=8080,
        metavar="N",
        help="0 takes a free one, which the first line says (default: 8080)",
    )
    parser.add_argument(
        "--open",
        action="store_true",
        dest="is_open",
        help="let other machines ask without NBCI_SERVE_TOKEN",
    )
    parser.add_argument(
        "--follow",
        type=parse_seconds,
        metavar="TIME",
        help="look so often for another version, such as 30s; SIGHUP looks at once",
    )
    parser.add_argument(
        "--workers", type=parse_count, default=1, metavar="N", help="processes (default: 1)"
    )
    parser.add_argument(
        "--threads",
        type=parse_count,
        default=1,
        metavar="N",
        help="threads of one answer, in each process (default: 1)",
    )
    _add_limits(parser)
    _add_candidate(parser)
    _add_request_log(parser)
    parser.add_argument(
        "--log-requests", action="store_true", help="a line of the log for each request"
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch", type=parse_count, default=64, metavar="N", help="rows at once (default: 64)"
    )
    parser.add_argument(
        "--batch-wait",
        type=_parse_milliseconds,
        default=2.0,
        metavar="MS",
        help="how long a batch waits for others, where some came before (default: 2)",
    )
    parser.add_argument(
        "--queue",
        type=parse_count,
        default=1024,
        metavar="N",
        help="how many requests may wait; more are told to come again (default: 1024)",
    )
    parser.add_argument(
        "--body", type=parse_count, default=64, metavar="MIB", help="largest body (default: 64)"
    )
    parser.add_argument(
        "--timeout",
        type=parse_seconds,
        default=30.0,
        metavar="TIME",
        help="how long a request may take (default: 30s)",
    )


def _add_candidate(parser: argparse.ArgumentParser) -> None:
    candidates = parser.add_mutually_exclusive_group()
    candidates.add_argument(
        "--shadow", metavar="M", help="ask this one as well, and compare; its answers are not sent"
    )
    candidates.add_argument(
        "--canary",
        type=_parse_canary,
        metavar="M=10%",
        help="let this one answer a share of the requests, the same ids each time",
    )


def _add_request_log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log", metavar="FOLDER", help="write what is asked and answered, as Parquet by the hour"
    )
    parser.add_argument(
        "--log-share",
        type=_parse_share,
        default=1.0,
        metavar="10%",
        help="of so many requests (default: 100%%)",
    )
    parser.add_argument(
        "--leave-out",
        action="append",
        default=[],
        metavar="INPUT",
        help="do not write this input's values",
    )
    parser.add_argument(
        "--hash",
        action="append",
        default=[],
        dest="hashed",
        metavar="INPUT",
        help="write keyed hashes of this input's values",
    )


def _parse_share(text: str) -> float:
    """Parse a percentage; returns a share from 0 to 1."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not text.endswith("%") or not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage such as 10%")
    return share


def _parse_canary(text: str) -> tuple[str, float]:
    """Parse a model and the share of requests that it answers."""
    model, _, share = text.rpartition("=")
    if not model:
        raise argparse.ArgumentTypeError(f"{text!r} is not M=10%")
    return model, _parse_share(share)


def _parse_port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to {_LARGEST_PORT}")
    return int(text)


def _parse_milliseconds(text: str) -> float:
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = -1.0
    if not 0 <= milliseconds <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of milliseconds up to 1000")
    return milliseconds


def main(arguments: argparse.Namespace) -> int:
    """Serve until the process is told to end; returns the exit code."""
    try:
        from nbci.app.serving.serve import serve
    except ImportError as error:
        raise UsageError(
            f"serving needs {error.name}, which is not installed",
            hint="pip install 'nbci[serve]'",
        ) from error

    serve(_request(arguments), lambda line: print(line, flush=True))
    return ExitCode.SUCCESS


def _request(arguments: argparse.Namespace) -> ServeRequest:
    from nbci.app.serving.serve import ServeRequest
    from nbci.serving.batches import BatchSettings
    from nbci.serving.request_log import LogSettings
    from nbci.serving.routes import Limits

    candidate, share = arguments.canary or (arguments.shadow, 0.0)
    request_log = None
    if arguments.log is not None:
        request_log = LogSettings(
            folder=arguments.log,
            share=arguments.log_share,
            left_out=tuple(arguments.leave_out),
            hashed=tuple(arguments.hashed),
        )
    return ServeRequest(
        reference=arguments.reference,
        url=arguments.url,
        release=optional_path(arguments.release),
        host=arguments.host,
        port=arguments.port,
        workers=arguments.workers,
        threads=arguments.threads,
        is_open=arguments.is_open,
        follow_seconds=arguments.follow,
        logs_requests=arguments.log_requests,
        candidate=candidate,
        candidate_share=share,
        request_log=request_log,
        batches=BatchSettings(
            largest=arguments.batch,
            wait_seconds=arguments.batch_wait / 1000,
            queue=arguments.queue,
        ),
        limits=Limits(body_bytes=arguments.body * _MIB, seconds=arguments.timeout),
    )
