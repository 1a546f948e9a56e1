"""Put the summary of a run on its pull request: one comment, which each later run writes anew.

The token is taken from NBCI_FORGE_TOKEN, GITHUB_TOKEN, GH_TOKEN or GITLAB_TOKEN, and shown nowhere.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, add_run_argument

if TYPE_CHECKING:
    import argparse

    from nbci.runs.folder import RunFolder

_WORDS = {
    "created": "commented",
    "updated": "comment updated",
    "older": "left: a later run has commented",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci comment`."""
    add_run_argument(parser)
    parser.add_argument(
        "--change",
        metavar="URL",
        help="the page of the pull request or merge request "
        "(default: the one that Jenkins, GitHub Actions or GitLab CI is building)",
    )
    parser.add_argument(
        "--report",
        metavar="URL",
        help="where the report is to be read, for links and pictures "
        "(default: NBCI_REPORT_URL; else the build's page)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the comment, and send nothing"
    )
    add_json_argument(parser, "a JSON document with what became of it")


def main(arguments: argparse.Namespace) -> int:
    """Send the comment, or print it with --dry-run."""
    from nbci.app.run_report import render_summary
    from nbci.config import find_project
    from nbci.report.data.gather import REPORT_URL
    from nbci.runs.project_runs import find_run

    project = find_project(Path.cwd())
    folder = find_run(project, arguments.run)
    text = render_summary(project, folder, arguments.report or os.environ.get(REPORT_URL))
    if arguments.dry_run:
        # Neither a token nor a pull request is needed to see what would be written.
        print(text, end="")
        return 0
    return _send(folder, text, arguments)


def _send(folder: RunFolder, text: str, arguments: argparse.Namespace) -> int:
    from nbci.forge.change import find_change, find_token
    from nbci.forge.client import Forge
    from nbci.forge.comment import keep_one

    change = find_change(arguments.change, os.environ)
    forge = Forge(change, find_token(change, os.environ))
    # One comment for each pipeline: a repository may have several, and they end in any order.
    posted = keep_one(forge, folder.read_header().pipeline, folder.run, text)

    if not arguments.json:
        print(f"{change.title}: {_WORDS[posted.what]}\n  {posted.page}")
        return 0
    document = {
        "run": folder.run,
        "change": change.title,
        "comment": posted.what,
        "page": posted.page,
    }
    # On one line, unlike other documents: the log of a build shows it.
    print(json.dumps(document))
    return 0
