"""Check a Jenkinsfile with the controller's own linter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.jenkins.failures import MissingError

if TYPE_CHECKING:
    from nbci.jenkins.controller import Controller

_NOT_DECLARATIVE = "did not contain the 'pipeline' step"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintResult:
    """The linter's objections, and what it looked at, in words."""

    problems: tuple[str, ...]
    checked: str


def lint(controller: Controller, jenkinsfile: str) -> LintResult:
    """Ask the linter: it knows declarative pipelines, of others only whether they are Groovy."""
    version = controller.version()
    try:
        lines = controller.validate(jenkinsfile)
    except MissingError:
        without_linter = (
            f"Jenkins {version} has no linter (the plugin pipeline-model-definition is missing)"
        )
        return LintResult(problems=(), checked=without_linter)

    # nbci writes scripted pipelines, for which this complaint is the only answer
    problems = tuple(line for line in lines if _NOT_DECLARATIVE not in line)
    if len(problems) == len(lines):
        checked = f"Jenkins {version} checked it as a declarative pipeline"
    else:
        checked = (
            f"Jenkins {version} read it as Groovy;"
            " its linter checks declarative pipelines only, and this is none"
        )
    return LintResult(problems=problems, checked=checked)
