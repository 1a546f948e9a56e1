"""Deploy a release to the places that its pipeline file names: put it there, watch it, go back.

Exit codes: 0 it runs there, 2 wrong usage, 3 it did not stay and the version before is back, 4 try
again, 5 the release is not what was promoted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import print_error, print_json
from nbci.cli.promote import add_publish_arguments, local_tags_line
from nbci.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from nbci.app.deployment.deploy import Deployed, Deployments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci deploy`."""
    parser.add_argument(
        "reference", metavar="RELEASE", help="digits@v1.2.0, digits#production, or digits: newest"
    )
    parser.add_argument(
        "target", metavar="TARGET", nargs="?", help="the place (default: all of the model's)"
    )
    parser.add_argument(
        "--pipeline",
        metavar="FILE",
        help="the file whose `deploy:` names the places (default: the one that made the release)",
    )
    parser.add_argument("--reason", metavar="TEXT", help="why; it stands in the tag")
    parser.add_argument(
        "--stop", action="store_true", help="end what runs at TARGET, and put nothing there"
    )
    parser.add_argument(
        "--after-promotion",
        action="store_true",
        help="for CI: where the model has no place, or the build is of a change, do nothing",
    )
    add_publish_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """Deploy, and print what runs where; returns the exit code."""
    from nbci.app.deployment.deploy import DeployRequest, deploy

    request = DeployRequest(
        reference=arguments.reference,
        target=arguments.target,
        pipeline=arguments.pipeline,
        reason=arguments.reason,
        push=arguments.push,
        dry_run=arguments.dry_run,
        stop=arguments.stop,
        after_promotion=arguments.after_promotion,
    )
    # What is being done goes to stderr: standard output is the result alone, as JSON or text.
    done = deploy(Path.cwd(), request, os.environ, lambda text: print_error(f"nbci: {text}"))
    if arguments.json:
        from nbci.records.codec import plain

        print_json(plain(done))
    else:
        print("\n".join(_lines(done)))
    # The document above says where; a build script needs only that it is so.
    if done.refused:
        return ExitCode.GATE_REFUSED
    return ExitCode.SUCCESS


def _lines(done: Deployments) -> Iterator[str]:
    if done.remark:
        yield done.remark
    for each in done.deployments:
        yield _sentence(each)
        # Those that passed, too: how much room was left is what the next limit is made of.
        for rule in each.rules:
            yield f"  {rule.answer}: {rule.gate}, {rule.reason}"
        for note in each.notes:
            yield f"  {note}"
        if each.tags:
            yield f"  tags:   {' '.join(each.tags)}"
            if not each.pushed:
                yield local_tags_line(each.tags)


def _sentence(each: Deployed) -> str:
    name = f"{each.model} {each.version}"
    where = each.target
    if each.address:
        where += f", {each.address}"
    was = ""
    if each.before and each.before != each.version:
        was = f", where {each.before} was"
    match each.state:
        case "deployed":
            return f"{name} runs at {where}{was}"
        case "there":
            return f"{name} runs at {where} already"
        case "written":
            return f"{name} is written for {where}, and nothing runs"
        case "planned":
            return f"{name} would be put at {where}{was}"
        case "stopped":
            return f"nothing of {each.model} runs at {where} any more"
        case _:
            now = f"{each.now} runs there" if each.now else "nothing runs there"
            return f"{name} does not stay at {where}: {each.reason}; {now}"
