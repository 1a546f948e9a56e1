"""`nbci jenkins status` and `nbci jenkins stop`: builds, as the controller knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.cli.arguments import print_json
from nbci.cli.jenkins import current_branch, open_controller
from nbci.formatting.durations import duration, minute_of
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from nbci.jenkins.builds import Build


def status(arguments: argparse.Namespace) -> int:
    """Print the last builds and the queued ones."""
    from nbci.jenkins.builds import builds_of
    from nbci.jenkins.place import job_name

    project, controller = open_controller()
    # Asked first: an address that is no Jenkins, or lets nobody in, is named as such.
    controller.version()
    name, branch = job_name(project, arguments.job), arguments.branch
    builds = builds_of(controller, name, branch, current_branch(project), limit=arguments.n)

    if arguments.json:
        print_json(builds, ascii_only=False)
    elif not builds:
        print("no builds yet")
    else:
        for line in _table(builds):
            print(line)
    return 0


def _table(builds: Iterable[Build]) -> list[str]:
    rows = [("build", "result", "began", "took", "")]
    for build in builds:
        row = (
            str(build.number or ""),  # what waits in the queue has no number yet
            build.result,
            minute_of(build.began_utc_ms),
            duration(build.seconds),
            one_line(build.description or ""),
        )
        rows.append(row)
    return table(rows)


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
        print_json({"job": job, "stopped": stopped, "cancelled": cancelled})
        return 0

    for number in stopped:
        # Jenkins interrupts a build in its own time: nobody can say that it has ended.
        print(f"build {number} of {job} is told to stop")
    for item in cancelled:
        print(f"item {item} is out of the queue")
    if not stopped and not cancelled:
        print(f"nothing of {job} runs or waits")
    return 0
