"""Say why a metric moved between two runs: each part that differs, with its share of the change.

Hybrids with some parts old and some new are run, as far as their results are not kept already.

Exit codes: 0 answered; 2 it cannot be found out, or takes more step runs than allowed; 4 the
machine failed; 130 interrupted: what was computed is kept, and the same command goes on from there.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, parse_count, print_error, print_json, shown_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from nbci.app.reruns.blame import Blamed

_LIMIT = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci blame`."""
    parser.add_argument(
        "metric", metavar="METRIC", help="the metric's full name, STEP:METRIC, or METRIC"
    )
    parser.add_argument(
        "before",
        metavar="A",
        help="the earlier run: its id or the beginning of it, a release (MODEL@VERSION), "
        "or a git revision",
    )
    parser.add_argument(
        "after", metavar="B", nargs="?", default="latest", help="the later run (default: latest)"
    )
    parser.add_argument(
        "--limit",
        type=parse_count,
        default=_LIMIT,
        metavar="N",
        help=f"refuse where more steps would have to run (default: {_LIMIT})",
    )
    parser.add_argument("--yes", action="store_true", help="run as many steps as it takes")
    parser.add_argument("-j", "--jobs", type=parse_count, metavar="N", help="steps at once at most")
    parser.add_argument("--quiet", "-q", action="store_true", help="print the answer only")
    add_json_argument(parser, "the answer as JSON; all else to stderr")


def main(arguments: argparse.Namespace) -> int:
    """Find the shares, and print them."""
    from nbci.app.reruns.blame import BlameRequest, blame
    from nbci.formatting.terminal import one_line

    limit = arguments.limit
    if arguments.yes:
        limit = None
    request = BlameRequest(
        metric=arguments.metric,
        before=arguments.before,
        after=arguments.after,
        limit=limit,
        jobs=arguments.jobs,
        command=("nbci", *sys.argv[1:]),
    )

    def tell(text: str) -> None:
        if not arguments.quiet:
            print_error(f"nbci: {one_line(text)}")

    blamed = blame(request, tell)
    if arguments.json:
        from nbci.records.codec import plain

        print_json(plain(blamed.blame))
    else:
        for line in _lines(blamed):
            print(line)
    return 0


def _lines(blamed: Blamed) -> Iterator[str]:
    from nbci.blame.sentences import answer_lines

    yield from answer_lines(blamed.blame)
    if blamed.place is not None:
        yield f"  record: {shown_path(blamed.place)}"
