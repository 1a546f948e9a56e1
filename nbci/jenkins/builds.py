"""The builds of a job: those that were, that run and that wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from nbci.errors import UsageError
from nbci.jenkins.controller import job_path
from nbci.jenkins.place import find_job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.jenkins.controller import Controller


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
    """What waits, then the last builds, the newest first."""
    job, found = find_job(controller, name, branch, current)
    waiting = found.get("queueItem") or {}
    first = (
        (
            Build(
                job=job,
                number=None,
                result="WAITING",
                description=waiting.get("why"),
                began_utc_ms=_began(waiting),
            ),
        )
        if waiting
        else ()
    )
    numbers = [build["number"] for build in found.get("builds") or ()][:limit]
    return (*first, *(_read(controller, job, controller.build(job, number)) for number in numbers))


def stop_builds(
    controller: Controller, job: str, found: Mapping[str, Any], number: int | None
) -> tuple[list[int], list[int]]:
    """Interrupt a build, or all that run or wait; the builds and the items of the queue."""
    if number is not None:
        if not controller.build(job, number).get("building"):
            raise UsageError(f"build {number} of {job} has ended already")
        controller.stop(job, number)
        return [number], []
    waiting = (found.get("queueItem") or {}).get("id")
    if waiting is not None:
        controller.cancel(int(waiting))
    # those that run are among the newest: nobody has hundreds at once
    newest = [build["number"] for build in found.get("builds") or ()][:20]
    running = [each for each in newest if controller.build(job, each).get("building")]
    for each in running:
        controller.stop(job, each)
    return running, [] if waiting is None else [int(waiting)]


def _read(controller: Controller, job: str, build: Mapping[str, Any]) -> Build:
    number = int(build["number"])
    result, seconds = "RUNNING", None
    description = build.get("description")
    if build.get("building"):
        # to Jenkins, a build that waits for an agent is one that runs; its stages stand in the
        # queue, each by itself
        path = f"{job_path(job)}{number}/"
        waits_for = [why for why, url in controller.waiting_stages() if _is_at(url, path)]
        if waits_for:
            result = (
                "RUNNING"
                if any(_is_at(url, path) for url in controller.running_stages())
                else "WAITING"
            )
            description = "; ".join(dict.fromkeys(waits_for))
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


def _is_at(url: str, path: str) -> bool:
    """Whether an address, whole or below the controller's, is of that path: Jenkins escapes fewer
    characters.
    """
    return _job_and_number(url) == _job_and_number(path)


def _job_and_number(url: str) -> str:
    return unquote(f"/{urlsplit(url).path}").partition("/job/")[2]


def _began(item: Mapping[str, Any]) -> int | None:
    since = item.get("inQueueSince")
    return int(since) if since is not None else None
