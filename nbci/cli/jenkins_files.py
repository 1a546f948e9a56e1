"""`nbci jenkins init` and `nbci jenkins check`: the files of a project that are for Jenkins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.errors import ExitCode, Location, UsageError

if TYPE_CHECKING:
    import argparse

    from nbci.config import Project
    from nbci.project.sources import Target

_JENKINSFILE = "Jenkinsfile"


def init(arguments: argparse.Namespace) -> int:
    """Write what is missing, and the generated part of the Jenkinsfile anew."""
    from nbci.config import find_project
    from nbci.jenkins.bringup import casc, find_library, find_repository, plugins_text
    from nbci.jenkins.jenkinsfile import updated, whole_file
    from nbci.jenkins.place import job_name

    project = find_project(Path.cwd())
    old = _text(project.root / _JENKINSFILE)
    pipeline = _target(project, arguments.target, old).pipeline
    library = find_library(project, arguments.library)
    labels = tuple(
        sorted({step.agent for step in pipeline.steps if step.agent and step.agent.isidentifier()})
    )
    repository = find_repository(project, arguments.repository)
    pull_requests = project.jenkins.pull_requests
    files = {
        _JENKINSFILE: whole_file(pipeline, library.line) if old is None else updated(old, pipeline),
        "jenkins/casc.yaml": casc(
            job_name(project, arguments.job), repository, library, labels, pull_requests
        ),
        "jenkins/plugins.txt": plugins_text(pull_requests),
    }
    for name, text in files.items():
        done = _write(project.root / name, text, replace=arguments.force or name == _JENKINSFILE)
        print(f"  {done}  {name}")
    return ExitCode.SUCCESS


def check(arguments: argparse.Namespace) -> int:
    """Say whether the generated part is what it would be now, and what the controller's linter
    says.
    """
    from nbci.config import find_project
    from nbci.jenkins.access import address
    from nbci.jenkins.jenkinsfile import changes, target_of, updated

    project = find_project(Path.cwd())
    old = _text(project.root / _JENKINSFILE)
    if old is None:
        raise UsageError(
            "there is no Jenkinsfile", hint="nbci jenkins init", where=Location(str(project.root))
        )
    target = target_of(old)
    new = updated(old, _target(project, target, old).pipeline)
    difference = changes(old, new, _JENKINSFILE)
    if difference:
        print(difference)
        print("\nthe generated part is out of date; `nbci jenkins init` writes it anew")
    else:
        print(f"the generated part is what {target} asks for")
    problems = _linted(old) if address(project, os.environ) is not None else None
    if problems is None:
        print("no controller is set, so its linter was not asked")
    return ExitCode.USAGE if difference or problems else ExitCode.SUCCESS


def _linted(text: str) -> bool:
    """Ask the linter, and print what it says; whether it found something."""
    from nbci.cli.jenkins import open_controller
    from nbci.formatting.terminal import one_line
    from nbci.jenkins.check import lint

    _, controller = open_controller()
    found = lint(controller, text)
    for problem in found.problems:
        print(f"the controller's linter: {one_line(problem)}")
    print(f"{controller.url}: {found.checked}")
    return bool(found.problems)


def _target(project: Project, given: str | None, jenkinsfile: str | None) -> Target:
    """The notebook or pipeline: as given, as the Jenkinsfile says, or the only one in pipelines/."""
    from nbci.jenkins.jenkinsfile import target_of
    from nbci.project.sources import read_target

    if given is not None:
        here = Path(given)
        return read_target(given if here.exists() else str(project.root / given))
    if jenkinsfile is not None:
        return read_target(str(project.root / target_of(jenkinsfile)))
    found = sorted((project.root / "pipelines").glob("*.y*ml"))
    if len(found) != 1:
        shown = ", ".join(path.name for path in found) or "nothing"
        raise UsageError(
            "which pipeline is it?", hint=f"nbci jenkins init TARGET; pipelines/ holds {shown}"
        )
    return read_target(str(found[0]))


def _text(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=Location(str(path))) from error


def _write(path: Path, text: str, *, replace: bool) -> str:
    """Write the file if it is missing or may be replaced; the word for what was done."""
    from nbci.store.files import write_atomic

    old = _text(path)
    if old == text:
        return "as it was  "
    if old is not None and not replace:
        return "left alone "  # it is the author's from the first time on
    write_atomic(path, text)
    return "made       " if old is None else "updated    "
