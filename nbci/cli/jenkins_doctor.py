"""`nbci jenkins doctor`: what the controller has of what the pipelines need."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from nbci.cli.arguments import print_text
from nbci.cli.doctor import health_code, render_checks
from nbci.cli.jenkins import current_branch, open_controller

if TYPE_CHECKING:
    import argparse


def doctor(arguments: argparse.Namespace) -> int:
    """Look, and say what was found; 4 when something is missing."""
    from nbci.app.jenkins_project import examine_controller

    project, controller = open_controller()
    found = examine_controller(
        project,
        controller,
        job=arguments.job,
        branch=arguments.branch or current_branch(project),
        agent_command=arguments.command if arguments.agents else None,
    )
    if arguments.json:
        document = [asdict(finding) for finding in found]
        print(json.dumps(document, indent=1, ensure_ascii=False))
    else:
        print_text(render_checks(found))
    return health_code(found)
