"""Check notebooks and pipelines without running them.

Without TARGET: every pipelines/*.yaml of the project, the notebooks that they name, and every other
notebook with step tags. Exit codes: 0 no error was found (with --strict: no warning either), 2
otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import print_json, print_text
from nbci.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci lint`."""
    parser.add_argument(
        "targets",
        metavar="TARGET",
        nargs="*",
        help="a notebook, a pipeline or a folder of them (default: the whole project)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=("text", "json", "issues"),
        default="text",
        help="issues: what Jenkins' warnings plugin reads (recordIssues tool: issues())",
    )
    form.add_argument(
        "--json", dest="format", action="store_const", const="json", help="print a JSON list"
    )
    # For a CI: warnings are about what may be meant, and must not break builds by themselves.
    parser.add_argument("--strict", action="store_true", help="let warnings count as errors do")


def main(arguments: argparse.Namespace) -> int:
    """Check the targets, and print the findings."""
    from nbci.lint.project import check_targets
    from nbci.lint.render import as_data, as_issues, as_text

    checked = check_targets(arguments.targets, Path.cwd())
    if arguments.format == "text":
        # Findings quote source code, which may hold anything.
        print_text(as_text(checked))
    elif arguments.format == "json":
        print_json(as_data(checked))
    else:
        print_json(as_issues(checked))

    failing = {"error"}
    if arguments.strict:
        failing.add("warning")
    for finding in checked.findings:
        if finding.severity in failing:
            return ExitCode.USAGE
    return ExitCode.SUCCESS
