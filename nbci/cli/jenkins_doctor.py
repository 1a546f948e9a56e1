"""`nbci jenkins doctor`: what the controller has of what the pipelines need."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from nbci.app.health import Check
from nbci.cli.doctor import rendered
from nbci.cli.jenkins import current_branch, open_controller
from nbci.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from nbci.config import Project
    from nbci.jenkins.controller import Controller
    from nbci.jenkins.doctor import Finding


def doctor(arguments: argparse.Namespace) -> int:
    """Look, and say what was found; 4 when something is missing."""
    from nbci.jenkins.doctor import examine
    from nbci.jenkins.place import job_name

    project, controller = open_controller()
    branch = arguments.branch or current_branch(project)
    labels, jenkinsfile = _asked_for(project)
    found = examine(
        controller, job_name(project, arguments.job), branch, labels=labels, jenkinsfile=jenkinsfile
    )
    if arguments.agents:
        found += tuple(_of_agents(controller, job_name(project, arguments.job), arguments.command))
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in found], indent=1, ensure_ascii=False))
    else:
        checks = [
            Check(name=each.name, state=each.state, found=each.found, advice=each.advice)
            for each in found
        ]
        sys.stdout.buffer.write(f"{rendered(checks)}\n".encode("utf-8", errors="backslashreplace"))
    return (
        ExitCode.INFRASTRUCTURE
        if any(each.state == "missing" for each in found)
        else ExitCode.SUCCESS
    )


def _of_agents(controller: Controller, job: str, command: str) -> Iterator[Finding]:
    """What the agents themselves say that they have."""
    from nbci.jenkins.agents import agent_findings, ask_agents, askable
    from nbci.jenkins.doctor import Finding, carries

    nodes = controller.nodes()
    names = askable(nodes)
    if not names:
        yield Finding(
            name="agents",
            state="missing",
            found="there is none that builds can run on",
            advice="connect one",
        )
        return
    gpus = [str(node.get("displayName")) for node in nodes if carries(node, "gpu")]
    yield from agent_findings(names, ask_agents(controller, job, names, command), gpus)


def _asked_for(project: Project) -> tuple[list[str], str]:
    """The labels of the pipeline that the Jenkinsfile runs, and its text; nothing where there is
    none.
    """
    from nbci.jenkins.jenkinsfile import target_of
    from nbci.project.sources import read_target

    path = project.root / "Jenkinsfile"
    if not path.exists():
        return [], ""
    text = path.read_text(encoding="utf-8", errors="replace")
    if "// >>> nbci" not in text:
        return [], text
    steps = read_target(str(project.root / target_of(text))).pipeline.steps
    return sorted({step.agent for step in steps if step.agent}), text
