"""`nbci jenkins sync`: the project's folders and job on the controller."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

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
    """Show what would change, and do it when that is wanted."""
    from nbci.jenkins.bringup import find_repository
    from nbci.jenkins.items import wanted_items
    from nbci.jenkins.place import job_name
    from nbci.jenkins.sync import apply, compare

    project, controller = open_controller()
    controller.version()
    repository = find_repository(project, arguments.repository)
    items = wanted_items(
        job_name(project, arguments.job), repository, project.jenkins.pull_requests
    )
    changes = compare(controller, items)
    pending = [change for change in changes if change.action in {"create", "update"}]
    wanted = bool(pending) and not arguments.dry_run
    if arguments.json and wanted and not arguments.yes:
        raise UsageError("--json asks nobody", hint="add --yes or --dry-run")
    if not arguments.json:
        _show(changes)
    done = wanted and (arguments.yes or _agreed())
    if done:
        apply(controller, changes)
    if arguments.json:
        rows = [
            {"item": c.item.name, "action": c.action, "changes": list(c.lines)} for c in changes
        ]
        print(json.dumps({"changes": rows, "done": done}, indent=1, ensure_ascii=False))
    elif done:
        print(f"done: {len(pending)} of {len(changes)} changed")
    else:
        print("nothing was changed" if pending else "nothing to do")
    return ExitCode.SUCCESS


def _show(changes: Sequence[Change]) -> None:
    for change in changes:
        print(f"{_SIGNS[change.action]} {change.item.name}  {_WORDS[change.action]}")
        for line in change.lines:
            print(f"    {line}")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody is there to ask", hint="add --yes to do it, or --dry-run to look only"
        )
    return input("do it? [y/N] ").strip().lower() in {"y", "yes"}
