"""The builds of a job: those that ended, run or wait."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from nbci.errors import UsageError
from nbci.jenkins.controller import job_path
from nbci.jenkins.place import find_job
from nbci.web_pages import checked_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.jenkins.controller import Controller

_PAGE = re.compile(r"(?:job/[^/]+/)+\d+/?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A build, or with no number what waits in the queue.

    `result` is Jenkins' word, or RUNNING, or WAITING: in the queue, or as a build for an agent;
    `description` then says for what. It also does when a stage waits while others run.
    """

    job: str
    number: int | None
    result: str
    began_utc_ms: int | None = None
    seconds: float | None = None
    description: str | None = None
    url: str | None = None


def builds_of(
    controller: Controller, name: str, branch: str | None, current: str | None, *, limit: int
) -> tuple[Build, ...]:
    """List what waits, then the last builds, the newest first."""
    job, found = find_job(controller, name, branch, current)
    builds = []
    item = found.get("queueItem")
    if item:
        builds.append(_read_queue_item(job, item))

    # a job lists its newest 100 builds, by number only: each is a request of its own
    for listed in (found.get("builds") or ())[:limit]:
        document = controller.build(job, listed["number"])
        builds.append(_read_build(controller, job, document))
    return tuple(builds)


def stop_builds(
    controller: Controller, job: str, found: Mapping[str, Any], number: int | None
) -> tuple[list[int], list[int]]:
    """Interrupt a build, or all that run or wait.

    Returns the numbers of the builds, and those of the items of the queue.
    """
    if number is not None:
        if not controller.build(job, number).get("building"):
            raise UsageError(f"build {number} of {job} has ended already")
        controller.stop(job, number)
        return [number], []

    # the queue first: an item that leaves it meanwhile is among the builds that are read next
    cancelled = []
    waiting = (found.get("queueItem") or {}).get("id")
    if waiting is not None:
        controller.cancel(int(waiting))
        cancelled.append(int(waiting))

    # those that run are among the newest: nobody has hundreds at once
    stopped = []
    for listed in (found.get("builds") or ())[:20]:
        if controller.build(job, listed["number"]).get("building"):
            stopped.append(listed["number"])
    for each in stopped:
        controller.stop(job, each)
    return stopped, cancelled


def result_at(controller: Controller, page: str) -> str | None:
    """Jenkins' word for how the build at that page ended; None while it goes on.

    None, too, for a page that is not of this controller.
    """
    # A record names the page: nobody's token may go where that leads.
    own = checked_page(controller.url, http_too=True) or controller.url
    place = page.removeprefix(own)
    if place == page or not _PAGE.match(place):
        return None
    *names, number = unquote(place).rstrip("/").removeprefix("job/").split("/")
    build = controller.build("/".join(names[::2]), int(number))
    # What does not say that it has ended may go on.
    if build.get("building") is not False:
        return None
    return str(build.get("result"))


def _read_queue_item(job: str, item: Mapping[str, Any]) -> Build:
    since = item.get("inQueueSince")
    if since is not None:
        since = int(since)
    return Build(
        job=job,
        number=None,
        result="WAITING",
        description=item.get("why"),
        began_utc_ms=since,
    )


def _read_build(controller: Controller, job: str, build: Mapping[str, Any]) -> Build:
    number = int(build["number"])
    description = build.get("description")
    if build.get("building"):
        seconds = None  # Jenkins gives 0 for the duration until the end
        result, waits_for = _running_state(controller, f"{job_path(job)}{number}/")
        description = waits_for or description
    else:
        result = str(build.get("result"))
        seconds = (build.get("duration") or 0) / 1000
    return Build(
        job=job,
        number=number,
        result=result,
        began_utc_ms=build.get("timestamp"),
        seconds=seconds,
        description=description,
        url=f"{controller.url}{job_path(job)}{number}/",
    )


def _running_state(controller: Controller, path: str) -> tuple[str, str]:
    """RUNNING or WAITING for the build at a path, and what its stages wait for; empty: nothing.

    To Jenkins, a build that waits for an agent is one that runs: its stages stand in the queue,
    each by itself.
    """
    build = _job_and_number(path)
    waits_for = []
    for why, url in controller.waiting_stages():
        if _job_and_number(url) == build:
            waits_for.append(why)
    if not waits_for:
        return "RUNNING", ""

    reasons = "; ".join(dict.fromkeys(waits_for))
    if build in map(_job_and_number, controller.running_stages()):
        return "RUNNING", reasons
    return "WAITING", reasons


def _job_and_number(url: str) -> str:
    """The part of an address, whole or below the controller's, by which builds are compared.

    Unquoted, because Jenkins escapes fewer characters than `urllib.parse.quote`.
    """
    return unquote(f"/{urlsplit(url).path}").partition("/job/")[2]
