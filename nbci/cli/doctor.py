"""Say what is missing on this machine, and what to do about it.

Exit codes: 0 all that is needed is there, 4 something is missing.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import print_text
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
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def main(arguments: argparse.Namespace) -> int:
    """Look, and say what was found."""
    from nbci.app.health import examine

    checks = examine(Path.cwd(), start_kernels=arguments.start)
    if arguments.json:
        print(json.dumps([asdict(check) for check in checks], indent=1))
    else:
        # A locale without UTF-8 is one of the things that are looked for.
        print_text(render_checks(checks))
    return health_code(checks)


def render_checks(checks: Sequence[Check]) -> str:
    """A line for each check, below it what to do, and at the end the answer.

    Checks are of this machine, findings of a Jenkins controller; both look the same.
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
    """The exit code: what is only noted is no failure."""
    return ExitCode.INFRASTRUCTURE if _missing(checks) else ExitCode.SUCCESS


def _missing(checks: Sequence[Check]) -> list[str]:
    return [check.name for check in checks if check.state == "missing"]
