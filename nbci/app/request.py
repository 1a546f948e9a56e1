"""What a user asked of `nbci run`, and how its progress is to be presented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.engine.listener import Display
    from nbci.params import Assignment
    from nbci.records.cause import Cause
    from nbci.records.chosen import Chosen
    from nbci.records.run_record import RunRecord


# Named tuples: a run with nothing to do imports this module, and importing msgspec or dataclasses
# would take a fifth of its time.
class RunRequest(NamedTuple):
    """One call of `nbci run`: either a `target`, or a run to `resume`.

    `pairs` are `-p NAME=VALUE`, `files` those of `-f`; `None` stands for the default of the
    project or the plan. `command` is what the record names as the way to run it again. `run` is the
    id of a new run, given ahead, as it decides which steps are audited; `audit` is the share of
    them that is asked for, from 0 to 1. `folder` is where a notebook's cells run,
    `environment` the lock file of steps that name none, `build_files` where a CI finds the
    report and how the build ends. `assigned` are parameters with their values as they are; `chosen`
    is the trial of a sweep that the run carries out, `because` the decision that it follows from,
    with its data as `imports`: `.dvc` files by path, with their texts.
    """

    target: str | None
    resume: str | None
    command: tuple[str, ...]
    pairs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    kernel: str | None = None
    seeds: int | None = None
    first: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    force: bool = False
    force_steps: tuple[str, ...] = ()
    jobs: int | None = None
    keep_going: bool | None = None
    run_timeout_seconds: float | None = None
    cell_timeout_seconds: float | None = None
    no_gate: bool = False
    for_dvc: bool = False
    run: str | None = None
    audit: float | None = None
    folder: str | None = None
    environment: str | None = None
    build_files: Path | None = None
    assigned: tuple[Assignment, ...] = ()
    chosen: Chosen | None = None
    because: Cause | None = None
    imports: Mapping[str, str] | None = None

    @property
    def is_of_project(self) -> bool:
        """Whether the target's own project says all that the run is made of."""
        return self.folder is None and self.environment is None

    @property
    def gates_count(self) -> bool:
        """Whether a gate may refuse the run; a stage of DVC is no place to judge the whole run."""
        return not (self.no_gate or self.for_dvc)

    @property
    def forces_all(self) -> bool:
        """Whether earlier results are ignored: a step that is named to be run is run."""
        names_steps = bool(self.first or self.only) and not self.for_dvc
        return self.force or names_steps


class Presentation(NamedTuple):
    """How a run is shown: what the command line gives to the use case, which prints nothing.

    `summary_of` gives the parts of a run's summary as text. They are stored for a later run with
    nothing to do, which has no time to import what formats them.
    """

    open_display: Callable[[Project], Display]
    summary_of: Callable[[RunRecord], Mapping[str, Any]]
