"""`nbci jenkins doctor`: what the controller has of what the pipelines need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.cli.arguments import print_json, print_text
from nbci.cli.doctor import health_code, render_checks
from nbci.cli.jenkins import current_branch, open_controller

if TYPE_CHECKING:
    import argparse


def doctor(arguments: argparse.Namespace) -> int:
    """Examine the controller and print the checks; the exit code is 4 when something is missing."""
    from nbci.app.jenkins_project import examine_controller

    project, controller = open_controller()
    agent_command = None
    if arguments.agents:
        agent_command = arguments.command
    found = examine_controller(
        project,
        controller,
        job=arguments.job,
        branch=arguments.branch or current_branch(project),
        agent_command=agent_command,
    )
    if arguments.json:
        print_json(found, ascii_only=False)
    else:
        print_text(render_checks(found))
    return health_code(found)
