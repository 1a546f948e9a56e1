"""A project on Jenkins: its files for Jenkins, and what the controller has for the project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nbci.errors import Location, UsageError
from nbci.jenkins.items import JENKINSFILE, wanted_items
from nbci.jenkins.jenkinsfile import target_of
from nbci.jenkins.place import job_name
from nbci.project.sources import read_target
from nbci.store.safe_paths import place_inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbci.config import Project
    from nbci.health_check import Check
    from nbci.jenkins.controller import Controller
    from nbci.jenkins.items import Item
    from nbci.pipeline.model import Pipeline, Step
    from nbci.project.sources import Target

_MARK = "// >>> nbci"


class InitRequest(NamedTuple):
    """One call of `nbci jenkins init`; None stands for what the project says.

    `jenkinsfile` is relative to the project.
    """

    target: str | None
    job: str | None
    repository: str | None
    library: str | None
    jenkinsfile: str = JENKINSFILE


class CheckedJenkinsfile(NamedTuple):
    """The Jenkinsfile, what it was made from, and how its generated part differs from today's."""

    text: str
    target: str
    difference: str


def jenkins_files(project: Project, request: InitRequest) -> dict[str, str]:
    """The files that Jenkins needs in the project, by their paths in it."""
    from nbci.jenkins.bringup import casc, find_library, find_repository, plugins_text
    from nbci.jenkins.jenkinsfile import update_part, whole_file

    old = read_text(place_inside(project.root, request.jenkinsfile))
    pipeline = find_target(project, request.target, old).pipeline
    library = find_library(project, request.library)
    repository = find_repository(project, request.repository)
    pull_requests = project.jenkins.pull_requests

    # The part around the marks is its author's from the first time on.
    jenkinsfile = whole_file(pipeline, library.line) if old is None else update_part(old, pipeline)
    # The controller is described by the first one; this is another job's.
    if request.jenkinsfile != JENKINSFILE:
        return {request.jenkinsfile: jenkinsfile}
    job = job_name(project, request.job)
    return {
        JENKINSFILE: jenkinsfile,
        "jenkins/casc.yaml": casc(job, repository, library, _node_labels(pipeline), pull_requests),
        "jenkins/plugins.txt": plugins_text(pull_requests),
    }


def check_jenkinsfile(project: Project, path: str = JENKINSFILE) -> CheckedJenkinsfile:
    """Compare the generated part with what it would be now; UsageError without a Jenkinsfile."""
    from nbci.jenkins.jenkinsfile import changes, update_part

    text = read_text(place_inside(project.root, path))
    if text is None:
        raise UsageError(
            f"there is no {path}", hint="nbci jenkins init", where=Location(str(project.root))
        )
    target = target_of(text)
    fresh = update_part(text, find_target(project, target, text).pipeline)
    return CheckedJenkinsfile(text, target, changes(text, fresh, path))


def job_items(
    project: Project, job: str | None, repository: str, script: str = JENKINSFILE
) -> tuple[Item, ...]:
    """What the controller should have of a job: the project's first one, or one more of a script.

    `script` is relative to the project. UsageError for another script than the first job's where
    it is missing, or no job of its own is named for it.
    """
    if script != JENKINSFILE:
        if read_text(place_inside(project.root, script)) is None:
            raise UsageError(
                f"there is no {script}", hint=f"nbci jenkins init TARGET --jenkinsfile {script}"
            )
        # the first job would stop training, and watch instead
        if job is None or job_name(project, job) == job_name(project):
            raise UsageError(
                f"{script} needs a job of its own: {job_name(project)} runs {JENKINSFILE}",
                hint=f"name one, as in --job {job_name(project)}-watch",
            )
    name = job_name(project, job)
    return wanted_items(name, repository, project.jenkins.pull_requests, script=script)


def examine_controller(
    project: Project,
    controller: Controller,
    *,
    job: str | None,
    branch: str | None,
    agent_command: str | None,
) -> tuple[Check, ...]:
    """Look at what the controller has of what the project needs.

    With an `agent_command` each agent is asked, too, by a build that calls nbci by that name.
    """
    from nbci.jenkins.doctor import examine

    labels, text = _asked_labels(project)
    name = job_name(project, job)
    found = examine(controller, name, branch, labels=labels, jenkinsfile=text)
    if agent_command is not None:
        found += tuple(_examine_agents(controller, name, agent_command))
    return found


def find_target(project: Project, given: str | None, jenkinsfile: str | None) -> Target:
    """The notebook or pipeline: given, from the Jenkinsfile, or the only one of pipelines/."""
    if given is not None:
        # The shell completes paths from here; a Jenkinsfile has them from the project's root.
        is_here = Path(given).exists()
        return read_target(given if is_here else str(project.root / given))
    if jenkinsfile is not None:
        return read_target(str(project.root / target_of(jenkinsfile)))

    found = sorted((project.root / "pipelines").glob("*.y*ml"))
    if len(found) != 1:
        shown = ", ".join(path.name for path in found) or "nothing"
        raise UsageError(
            "which pipeline is it?", hint=f"nbci jenkins init TARGET; pipelines/ holds {shown}"
        )
    return read_target(str(found[0]))


def read_text(path: Path) -> str | None:
    """The file with its own line endings, which a change keeps; None where there is no file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=Location(str(path))) from error


def _node_labels(pipeline: Pipeline) -> tuple[str, ...]:
    """The labels that one node can carry; `a && b` is an expression, which no node is named by."""
    return tuple(filter(str.isidentifier, _agents(pipeline.steps)))


def _agents(steps: Iterable[Step]) -> list[str]:
    return sorted({step.agent for step in steps if step.agent})


def _asked_labels(project: Project) -> tuple[list[str], str]:
    """The labels that the steps of the Jenkinsfile's pipeline ask for, and the Jenkinsfile's text.

    Both are empty without one: a project may be looked at before it is brought to Jenkins.
    """
    path = project.root / JENKINSFILE
    if not path.exists():
        return [], ""

    text = path.read_text(encoding="utf-8", errors="replace")
    # Written by hand, without a generated part: nothing names its pipeline.
    if _MARK not in text:
        return [], text
    steps = read_target(str(project.root / target_of(text))).pipeline.steps
    return _agents(steps), text


def _examine_agents(controller: Controller, job: str, command: str) -> Iterator[Check]:
    """What the agents themselves say that they have."""
    from nbci.health_check import Check
    from nbci.jenkins.agents import agent_findings, ask_agents, available_nodes
    from nbci.jenkins.doctor import has_labels

    nodes = controller.nodes()
    names = available_nodes(nodes)
    if not names:
        yield Check(
            name="agents",
            state="missing",
            found="there is none that builds can run on",
            advice="connect one",
        )
        return
    gpus = [str(node.get("displayName")) for node in nodes if has_labels(node, "gpu")]
    yield from agent_findings(names, ask_agents(controller, job, names, command), gpus)
