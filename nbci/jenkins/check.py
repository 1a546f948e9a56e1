"""What a controller's own linter makes of a Jenkinsfile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.jenkins.failures import MissingError

if TYPE_CHECKING:
    from nbci.jenkins.controller import Controller

_NOT_DECLARATIVE = "did not contain the 'pipeline' step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Linted:
    """What the linter has against it, and what it looked at, in words."""

    problems: tuple[str, ...]
    checked: str


def lint(controller: Controller, jenkinsfile: str) -> Linted:
    """Ask the linter: it knows declarative pipelines, of others only whether they are Groovy."""
    version = controller.version()
    try:
        said = controller.validate(jenkinsfile)
    except MissingError:
        return Linted(
            problems=(),
            checked=f"Jenkins {version} has no linter (the plugin pipeline-model-definition is missing)",
        )
    problems = tuple(line for line in said if _NOT_DECLARATIVE not in line)
    scripted = len(problems) < len(said)
    return Linted(
        problems=problems,
        checked=f"Jenkins {version} read it as Groovy; its linter checks declarative pipelines only, and this is none"
        if scripted
        else f"Jenkins {version} checked it as a declarative pipeline",
    )
