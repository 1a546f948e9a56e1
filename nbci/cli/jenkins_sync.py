"""`nbci jenkins sync`: the project's folders and job on the controller."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nbci.cli.arguments import print_json
from nbci.cli.jenkins import open_controller
from nbci.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from nbci.jenkins.sync import Change

_SIGNS = {"create": "+", "update": "~", "keep": "=", "used": "="}
_WORDS = {
    "create": "to be made",
    "update": "to be changed",
    "keep": "as it should be",
    "used": "there, and left as it is",
}


def sync(arguments: argparse.Namespace) -> int:
    """Show what would change, and apply it after --yes or a confirmation."""
    from nbci.app.jenkins_project import job_items
    from nbci.jenkins.bringup import find_repository
    from nbci.jenkins.sync import apply, compare

    project, controller = open_controller()
    controller.version()
    repository = find_repository(project, arguments.repository)
    items = job_items(project, arguments.job, repository, arguments.jenkinsfile)
    changes = compare(controller, items)
    pending = [change for change in changes if change.action in {"create", "update"}]

    if not arguments.json:
        _show(changes)
    is_done = False
    if pending and not arguments.dry_run:
        is_done = arguments.yes or _is_agreed(arguments)
    if is_done:
        apply(controller, changes)

    if arguments.json:
        _print_document(changes, is_done=is_done)
    elif is_done:
        print(f"done: {len(pending)} of {len(changes)} changed")
    elif pending:
        print("nothing was changed")
    else:
        print("nothing to do")
    return ExitCode.SUCCESS


def _show(changes: Sequence[Change]) -> None:
    for change in changes:
        print(f"{_SIGNS[change.action]} {change.item.name}  {_WORDS[change.action]}")
        for line in change.lines:
            print(f"    {line}")


def _print_document(changes: Sequence[Change], *, is_done: bool) -> None:
    rows = []
    for change in changes:
        row = {"item": change.item.name, "action": change.action, "changes": list(change.lines)}
        rows.append(row)
    print_json({"changes": rows, "done": is_done}, ascii_only=False)


def _is_agreed(arguments: argparse.Namespace) -> bool:
    """Ask for confirmation; UsageError without a terminal.

    A controller is shared by others, so nothing is changed there without a clear answer.
    """
    if arguments.json:
        # A question on stdout would stand before the document.
        raise UsageError("--json asks nobody", hint="add --yes or --dry-run")
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody is there to ask", hint="add --yes to do it, or --dry-run to look only"
        )
    return input("do it? [y/N] ").strip().lower() in {"y", "yes"}
