"""Read plans from files, and refuse those that would write where no step may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.errors import IntegrityError, Location, UsageError
from nbci.pipeline.paths import is_outside, leaves_project
from nbci.plan.model import FORMAT, Plan
from nbci.records.codec import from_json, refuse_other_format

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.plan.model import PlannedStep


def read_plan(path: Path) -> Plan:
    """Read a plan that came from elsewhere, to be carried out.

    UsageError for one in another format; IntegrityError when a step would write where none may.
    """
    plan = read_own_plan(path)
    # A plan comes from another machine, and carrying it out writes files.
    for step in plan.steps:
        _refuse_other_places(step, path)
    for place in plan.imports or {}:
        if leaves_project(place):
            raise IntegrityError(
                f"it would write {place!r}, outside the project", where=Location(str(path))
            )
    return plan


def read_own_plan(path: Path) -> Plan:
    """Read a plan that a run of this project wrote; its places are not checked."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(
            "there is no such plan",
            where=Location(str(path)),
            hint="make one: nbci plan TARGET --out FILE",
        ) from None
    refuse_other_format(text, FORMAT, "the plan", path)
    return from_json(text, Plan, str(path))


def _refuse_other_places(step: PlannedStep, path: Path) -> None:
    """Raise IntegrityError when a step of the plan at `path` reads or writes outside the project.

    Nor may it write into what git, DVC and nbci have there.
    """
    read = [step.name, step.notebook]
    if step.cwd != ".":
        read.append(step.cwd)
    written = step.writes
    wrong = [*filter(is_outside, read), *filter(leaves_project, written)]
    if wrong:
        raise IntegrityError(
            f"step {step.name!r} names {wrong[0]!r}, which is no place inside the project",
            where=Location(str(path)),
            hint="the plan was altered, or an older nbci made it: make it again",
        )
