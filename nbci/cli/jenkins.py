"""Bring a pipeline to Jenkins, keep it in step there, run it and watch it from here.

The address is `jenkins.url` in [tool.nbci] or NBCI_JENKINS_URL; user and token are
NBCI_JENKINS_USER and NBCI_JENKINS_TOKEN, or stand in the keyring or in ~/.netrc.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.arguments import add_json_argument, parse_seconds

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project
    from nbci.jenkins.controller import Controller

# A module each, so that one action does not import what the others need.
_ACTIONS = {
    "init": "jenkins_files",
    "check": "jenkins_files",
    "sync": "jenkins_sync",
    "run": "jenkins_run",
    "status": "jenkins_builds",
    "stop": "jenkins_builds",
    "doctor": "jenkins_doctor",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci jenkins`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_init(
        actions.add_parser(
            "init", help="write Jenkinsfile, jenkins/casc.yaml and jenkins/plugins.txt"
        )
    )
    _add_jenkinsfile(
        actions.add_parser(
            "check",
            help="say whether the Jenkinsfile's generated part is up to date; ask the linter",
        )
    )
    _add_sync(
        actions.add_parser("sync", help="make or change the folders and the job on the controller")
    )
    _add_run(actions.add_parser("run", help="trigger a build, watch it, and end as it ends"))
    _add_status(actions.add_parser("status", help="show the last builds of the job"))
    _add_stop(actions.add_parser("stop", help="interrupt a build, or take it out of the queue"))
    _add_doctor(actions.add_parser("doctor", help="say what the controller lacks"))


def main(arguments: argparse.Namespace) -> int:
    """Call the function of the same name as the action."""
    module = importlib.import_module(f"nbci.cli.{_ACTIONS[arguments.action]}")
    return int(getattr(module, arguments.action)(arguments))


def open_controller() -> tuple[Project, Controller]:
    """The project of the current folder, and its controller."""
    from nbci.config import find_project
    from nbci.jenkins.access import find_access
    from nbci.jenkins.controller import Controller

    project = find_project(Path.cwd())
    return project, Controller(find_access(project, os.environ))


def current_branch(project: Project) -> str | None:
    """The branch that is checked out, if any."""
    from nbci.git.checkout import read_checkout

    checkout = read_checkout(project.root)
    if checkout is None:
        return None
    return checkout.branch


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        help="a notebook or a pipeline (default: the only one)",
    )
    _add_job(parser)
    _add_repository(parser)
    _add_jenkinsfile(parser)
    parser.add_argument(
        "--library", metavar="URL[@VERSION]", help="the repository of nbci's shared library"
    )
    parser.add_argument("--force", action="store_true", help="replace the files in jenkins/, too")


def _add_sync(parser: argparse.ArgumentParser) -> None:
    _add_job(parser)
    _add_repository(parser)
    _add_jenkinsfile(parser)
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    add_json_argument(parser)


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_job(parser)
    _add_branch(parser)
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter's value",
    )
    parser.add_argument(
        "--fetch", metavar="FOLDER", help="bring the report here when the build has ended"
    )
    parser.add_argument("--no-log", action="store_true", help="show the stages only")
    parser.add_argument(
        "--away",
        default="5m",
        type=parse_seconds,
        metavar="TIME",
        help="how long the controller may not answer, as when it restarts (5m)",
    )
    # Jenkins itself would let a build wait for ever for a label that nobody has.
    parser.add_argument(
        "--no-agent",
        default="1m",
        type=parse_seconds,
        metavar="TIME",
        help="how long the build may wait for a label that no agent has (1m)",
    )
    add_json_argument(parser, "how it ended as JSON, and the log to stderr")


def _add_status(parser: argparse.ArgumentParser) -> None:
    _add_job(parser)
    _add_branch(parser)
    parser.add_argument("-n", type=int, default=10, metavar="N", help="how many builds (10)")
    add_json_argument(parser)


def _add_stop(parser: argparse.ArgumentParser) -> None:
    _add_job(parser)
    _add_branch(parser)
    parser.add_argument(
        "number",
        type=int,
        nargs="?",
        metavar="NUMBER",
        help="the build (default: all that run or wait)",
    )
    add_json_argument(parser)


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    _add_job(parser)
    _add_branch(parser)
    parser.add_argument(
        "--agents",
        action="store_true",
        help="also ask each agent for its nbci, kernels and GPUs, by a build of its own",
    )
    # Agents may have nbci in an environment that no PATH names.
    parser.add_argument(
        "--command", default="nbci", metavar="PATH", help="where nbci is on the agents (nbci)"
    )
    add_json_argument(parser, "a JSON list")


def _add_job(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--job",
        metavar="PATH",
        help="the job (default: jenkins.job in [tool.nbci], or nbci/FOLDER)",
    )


def _add_branch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--branch",
        metavar="NAME",
        help="of a job that builds branches (default: the one checked out)",
    )


def _add_jenkinsfile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jenkinsfile",
        metavar="PATH",
        default="Jenkinsfile",
        help="only the script of another job, such as jenkins/watch.Jenkinsfile",
    )


def _add_repository(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--repository", metavar="URL", help="where Jenkins clones from (default: the remote origin)"
    )
