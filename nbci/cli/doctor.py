"""Say what is missing on this machine, and what to do about it.

Exit codes: 0 all that is needed is there, 4 something is missing.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from nbci.app.health import Check


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
        text = rendered(checks)
        sys.stdout.buffer.write(f"{text}\n".encode("utf-8", errors="backslashreplace"))
    return (
        ExitCode.INFRASTRUCTURE
        if any(check.state == "missing" for check in checks)
        else ExitCode.SUCCESS
    )


def rendered(checks: Sequence[Check]) -> str:
    """A line for each check, below it what to do, and at the end the answer."""
    width = max((len(check.name) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{check.state:7}  {check.name:{width}}  {check.found}".rstrip())
        lines += [f"{'':7}  {'':{width}}  → {check.advice}"] if check.advice else []
    missing = [check.name for check in checks if check.state == "missing"]
    lines += ["", f"missing: {', '.join(missing)}" if missing else "all that is needed is there"]
    return "\n".join(lines)
