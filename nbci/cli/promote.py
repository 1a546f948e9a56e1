"""Promote a model of a run that its gates let pass: a release commit and tags that git, DVC and GTO
understand.

Exit codes: 0 promoted, 2 wrong usage or refused by the server, 3 the gates do not let it, 4 try
again, 5 altered.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.records.codec import plain

if TYPE_CHECKING:
    import argparse

    from nbci.promotion.promote import Promotion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci promote`."""
    parser.add_argument("run", metavar="RUN", help="a run's id, its beginning, or `latest`")
    parser.add_argument(
        "--model", metavar="M", help="the model (default: the only one that the pipeline declares)"
    )
    parser.add_argument(
        "--stage", metavar="S", help="put it into this stage (default: the model's own)"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--bump",
        choices=("major", "minor", "patch"),
        default="patch",
        help="which number goes up (default: patch)",
    )
    which.add_argument("--version", metavar="V", help="this version, e.g. 2.0.0")
    add_publish_arguments(parser)


def add_publish_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what happens to the tags, and how the answer is printed."""
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything and say what would happen"
    )
    parser.add_argument(
        "--no-push", dest="push", action="store_false", help="make the tags here only"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(arguments: argparse.Namespace) -> int:
    """Promote and say what was made."""
    from nbci.app.promote_run import promote_run
    from nbci.config import find_project
    from nbci.promotion.promote import Request
    from nbci.runs.folder import find_run

    project = find_project(Path.cwd())
    request = Request(
        model=arguments.model,
        stage=arguments.stage,
        version=arguments.version,
        part=arguments.bump,
        push=arguments.push,
        dry_run=arguments.dry_run,
    )
    done = promote_run(project, find_run(project, arguments.run), request, os.environ)
    print(json.dumps(plain(done), indent=1, ensure_ascii=False) if arguments.json else render(done))
    return 0


def render(done: Promotion) -> str:
    """What was made, for people."""
    stage = f" in {done.stage}" if done.stage else ""
    if done.done:
        return f"{done.model} {done.version} is{stage or ' released'} already, from run {done.run}"
    would = "would be" if done.dry_run else "is"
    before = f", where {done.before} was" if done.before else ""
    lines = [
        f"{done.model} {done.version} {would}{stage or ' released'}{before}, from run {done.run}"
    ]
    lines += [f"  {file.path}  {file.digest}" for file in done.files]
    lines.append(f"  tags:   {' '.join(done.tags)}")
    if done.commit:
        lines.append(f"  commit: {done.commit}")
    if not done.dry_run and not done.pushed:
        lines.append(f"  here only; git push --atomic origin {' '.join(done.tags)}")
    return "\n".join(lines)
