"""`nbci jenkins init` and `nbci jenkins check`: the files of a project that are for Jenkins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def init(arguments: argparse.Namespace) -> int:
    """Write the missing files, and update the generated part of the Jenkinsfile."""
    from nbci.app.jenkins_project import InitRequest, jenkins_files
    from nbci.config import find_project

    project = find_project(Path.cwd())
    request = InitRequest(
        target=arguments.target,
        job=arguments.job,
        repository=arguments.repository,
        library=arguments.library,
        jenkinsfile=arguments.jenkinsfile,
    )
    for name, text in jenkins_files(project, request).items():
        # Only the generated part of a Jenkinsfile differs: replacing it takes nothing away.
        may_replace = arguments.force or name == arguments.jenkinsfile
        print(f"  {_write(project.root / name, text, replace=may_replace):11}  {name}")
    return ExitCode.SUCCESS


def check(arguments: argparse.Namespace) -> int:
    """Say whether the generated part is up to date, and what the controller's linter says."""
    from nbci.app.jenkins_project import check_jenkinsfile
    from nbci.config import find_project
    from nbci.jenkins.access import address

    project = find_project(Path.cwd())
    checked = check_jenkinsfile(project, arguments.jenkinsfile)
    if checked.difference:
        print(checked.difference)
        print("\nthe generated part is out of date; `nbci jenkins init` writes it anew")
    else:
        print(f"the generated part is what {checked.target} asks for")

    has_problems = False
    # The check of the generated part needs no controller, and runs in any CI.
    if address(project, os.environ) is None:
        print("no controller is set, so its linter was not asked")
    else:
        has_problems = _has_lint_problems(checked.text)
    return ExitCode.USAGE if checked.difference or has_problems else ExitCode.SUCCESS


def _has_lint_problems(text: str) -> bool:
    """Ask the controller's linter, and print what it says."""
    from nbci.cli.jenkins import open_controller
    from nbci.formatting.terminal import one_line
    from nbci.jenkins.check import lint

    _, controller = open_controller()
    found = lint(controller, text)
    for problem in found.problems:
        print(f"the controller's linter: {one_line(problem)}")
    print(f"{controller.url}: {found.checked}")
    return bool(found.problems)


def _write(path: Path, text: str, *, replace: bool) -> str:
    """Write the file if it is missing or may be replaced; returns a word for what was done."""
    from nbci.app.jenkins_project import read_text
    from nbci.store.files import write_atomic

    old = read_text(path)
    if old == text:
        return "as it was"
    if old is not None and not replace:
        # It is the author's from the first time on.
        return "left alone"
    write_atomic(path, text)
    return "made" if old is None else "updated"
