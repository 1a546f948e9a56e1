"""Say what is missing on this machine, and what to do about it.

Exit codes: 0 all that is needed is there, 4 something is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, print_json, print_text
from nbci.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from nbci.health_check import Check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci doctor`."""
    parser.add_argument(
        "--start", action="store_true", help="also start each installed kernel, which takes a while"
    )
    add_json_argument(parser, "a JSON list")


def main(arguments: argparse.Namespace) -> int:
    """Examine the machine, and print the checks."""
    from nbci.app.health import examine

    checks = examine(Path.cwd(), start_kernels=arguments.start)
    if arguments.json:
        print_json(checks)
    else:
        # A locale without UTF-8 is one of the things that are looked for.
        print_text(render_checks(checks))
    return health_code(checks)


def render_checks(checks: Sequence[Check]) -> str:
    """A line for each check, below it the advice, and at the end what is missing.

    `nbci jenkins doctor` prints the checks of a controller in the same form.
    """
    width = max((len(check.name) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{check.state:7}  {check.name:{width}}  {check.found}".rstrip())
        if check.advice:
            lines.append(f"{'':7}  {'':{width}}  → {check.advice}")

    missing = _missing(checks)
    answer = "all that is needed is there"
    if missing:
        answer = f"missing: {', '.join(missing)}"
    return "\n".join([*lines, "", answer])


def health_code(checks: Sequence[Check]) -> ExitCode:
    """The exit code: 4 when something is missing."""
    return ExitCode.INFRASTRUCTURE if _missing(checks) else ExitCode.SUCCESS


def _missing(checks: Sequence[Check]) -> list[str]:
    return [check.name for check in checks if check.state == "missing"]
