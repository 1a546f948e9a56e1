"""What a report is made of: the run, the run that it is compared with, and the runs before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.report.data.addresses import NOWHERE, Addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbci.behaviour.of_runs import StepBehaviour
    from nbci.plan.compare import RunDifference
    from nbci.plan.model import Plan
    from nbci.records.blames import Blame
    from nbci.records.proof import Proof
    from nbci.records.run_record import RunRecord

    Notebooks = Mapping[str, Mapping[str, Any]]
    """Each step's executed notebook by the step's name, where there is one."""
    ReadFile = Callable[[str], bytes | None]
    """The content of a file that the run recorded as an out or metrics file, by its path; None
    where it is gone.
    """
    ListFiles = Callable[[str], tuple[str, ...]]
    """The files of a folder that the run recorded as an out, by their paths in it; none where they
    are not known.
    """


def no_file(_path: str) -> bytes | None:
    """For a run whose files are not at hand."""
    return None


def no_files(_path: str) -> tuple[str, ...]:
    """For a run whose folders are not at hand."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRun:
    """A run with what its pages show."""

    record: RunRecord
    plan: Plan
    notebooks: Notebooks
    read_file: ReadFile = no_file
    list_files: ListFiles = no_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The run that this one is compared with.

    `title` says in words which run it is and why that one was chosen.
    """

    title: str
    run: ShownRun
    difference: RunDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """An earlier run of the pipeline, for trends; metrics by their full names."""

    run: str
    started_utc: str | None
    result: str
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A version of a model that was made from the run.

    `stage` is the one that it is in now, `card` is Markdown.
    """

    model: str
    version: str
    stage: str | None = None
    card: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """All that a report is made of. `history`: earlier runs, oldest first, this one left out.

    `no_baseline` says why there is none to compare with, `problems` what else could not be had, and
    why. `behaviours` compare the predictions of both; `proofs` and `blames` have the newest first.
    A brief report leaves out what takes long to draw. A comparison is of two runs that a user
    named, and its baseline one of them.
    """

    run: ShownRun
    baseline: Baseline | None = None
    no_baseline: str | None = None
    behaviours: tuple[StepBehaviour, ...] = ()
    history: tuple[PastRun, ...] = ()
    releases: tuple[Release, ...] = ()
    proofs: tuple[Proof, ...] = ()
    blames: tuple[Blame, ...] = ()
    problems: tuple[str, ...] = ()
    reused_too: bool = True
    is_brief: bool = False
    is_comparison: bool = False
    addresses: Addresses = NOWHERE
    url: str | None = None
    """Where CI is going to show the report, for links to it from elsewhere."""
