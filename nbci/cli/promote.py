"""Promote a model of a run that its gates let pass: a commit, and tags for git, DVC and GTO.

Exit codes: 0 promoted, 2 wrong usage or refused by the server, 3 the gates do not let it, 4 try
again, 5 altered.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, print_json
from nbci.records.codec import plain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from nbci.promotion.promote import Promotion, Request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci promote`."""
    parser.add_argument("run", metavar="RUN", help="a run's id, its beginning, or `latest`")
    add_release_arguments(parser)


def add_release_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is released, as what, and where to."""
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
    """Declare --dry-run, --no-push and --json."""
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything and say what would happen"
    )
    parser.add_argument(
        "--no-push", dest="push", action="store_false", help="make the tags here only"
    )
    add_json_argument(parser, "one JSON document")


def main(arguments: argparse.Namespace) -> int:
    """Promote the model, and print the release."""
    from nbci.app.promote_run import promote_run
    from nbci.config import find_project
    from nbci.runs.project_runs import find_run

    project = find_project(Path.cwd())
    run = find_run(project, arguments.run)
    promotion = promote_run(project, run, release_request(arguments), os.environ)
    if arguments.json:
        print_json(plain(promotion), ascii_only=False)
    else:
        print(render_promotion(promotion))
    return 0


def release_request(arguments: argparse.Namespace) -> Request:
    """The arguments as the use case takes them."""
    from nbci.promotion.promote import Request

    return Request(
        model=arguments.model,
        stage=arguments.stage,
        version=arguments.version,
        part=arguments.bump,
        push=arguments.push,
        dry_run=arguments.dry_run,
    )


def render_promotion(promotion: Promotion) -> str:
    """The release as text."""
    name = f"{promotion.model} {promotion.version}"
    place = "released"
    if promotion.stage:
        place = f"in {promotion.stage}"
    # Repeating a promotion is no error: a build that was cut off after the push is built again.
    if promotion.done:
        return f"{name} is {place} already, from run {promotion.run}"

    verb = "is"
    if promotion.dry_run:
        verb = "would be"
    if promotion.before:
        place += f", where {promotion.before} was"
    lines = [f"{name} {verb} {place}, from run {promotion.run}"]
    for file in promotion.files:
        lines.append(f"  {file.path}  {file.digest}")
    lines.append(f"  tags:   {' '.join(promotion.tags)}")
    if promotion.commit:
        lines.append(f"  commit: {promotion.commit}")
    if not promotion.dry_run and not promotion.pushed:
        lines.append(local_tags_line(promotion.tags))
    return "\n".join(lines)


def local_tags_line(tags: Iterable[str]) -> str:
    """The command that publishes tags of this clone."""
    # All of them or none, as nbci itself pushes them.
    return f"  here only; git push --atomic origin {' '.join(tags)}"
