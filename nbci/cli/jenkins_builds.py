"""`nbci jenkins status` and `nbci jenkins stop`: builds, as the controller knows them."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nbci.cli.jenkins import current_branch, open_controller
from nbci.formatting.durations import duration
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line

if TYPE_CHECKING:
    import argparse


def status(arguments: argparse.Namespace) -> int:
    """Print the last builds and what waits."""
    from nbci.jenkins.builds import builds_of
    from nbci.jenkins.place import job_name

    project, controller = open_controller()
    controller.version()
    name, branch = job_name(project, arguments.job), arguments.branch
    builds = builds_of(controller, name, branch, current_branch(project), limit=arguments.n)
    if arguments.json:
        print(json.dumps([asdict(build) for build in builds], indent=1, ensure_ascii=False))
    elif not builds:
        print("no builds yet")
    else:
        rows = [
            (
                str(build.number or ""),
                build.result,
                _time(build.began_utc_ms),
                duration(build.seconds),
                one_line(build.description or ""),
            )
            for build in builds
        ]
        print(
            "\n".join(
                line.rstrip() for line in table([("build", "result", "began", "took", ""), *rows])
            )
        )
    return 0


def stop(arguments: argparse.Namespace) -> int:
    """Interrupt one build, or all that run or wait."""
    from nbci.jenkins.builds import stop_builds
    from nbci.jenkins.place import find_job, job_name

    project, controller = open_controller()
    controller.version()
    job, found = find_job(
        controller, job_name(project, arguments.job), arguments.branch, current_branch(project)
    )
    stopped, cancelled = stop_builds(controller, job, found, arguments.number)
    if arguments.json:
        print(json.dumps({"job": job, "stopped": stopped, "cancelled": cancelled}, indent=1))
        return 0
    for number in stopped:
        print(f"build {number} of {job} is told to stop")
    for item in cancelled:
        print(f"item {item} is out of the queue")
    if not stopped and not cancelled:
        print(f"nothing of {job} runs or waits")
    return 0


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
