"""What a sweep is: `sweep.json`; and what became of its trials: lines of `trials.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from nbci.pipeline.search_space import Choices, Direction, Method, Range
from nbci.records.run_record import ParameterValue

FORMAT = 1
FROM_SWEEP = "sweep"
"""The source of a parameter that a sweep varies."""

TrialState = Literal["running", "complete", "failed"]


class SweepRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A search: over which `space`, for what, how, until when.

    `name` is that in the pipeline file; None where the command line gave the space. `params` are
    the parameters as they are where they are not searched, `sources` the digests of the files that
    the pipeline was read from. `seed` is drawn where none was asked for. `kernel` and `environment`
    are those of the command line.
    """

    sweep: str
    pipeline: str
    target: str
    space: tuple[Range | Choices, ...]
    objective: str
    direction: Direction
    method: Method
    seed: int
    nbci: str
    started_utc: str
    format: int = field(default_factory=lambda: FORMAT)
    name: str | None = None
    trials: int | None = None
    minutes: float | None = None
    no_better_in: int | None = None
    parallel: int = 1
    params: tuple[ParameterValue, ...] = ()
    sources: Mapping[str, str] | None = None
    kernel: str | None = None
    environment: str | None = None
    command: tuple[str, ...] = ()

    @property
    def own_values(self) -> dict[str, Any]:
        """The values that the parameters have where they are not searched."""
        return {param.name: param.value for param in self.params}


class Work(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many steps, and how long they took, all together."""

    steps: int = 0
    seconds: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(steps=self.steps + other.steps, seconds=self.seconds + other.seconds)


class TrialRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One trial: `params` are those that were searched, `run` is where it was carried out.

    `values` are those of the objective. `same_as` is the trial of the same point whose values these
    are. An `interrupted` one failed through no fault of its own. `reused` is what steps took whose
    results were there already, when they ran.
    """

    number: int
    state: TrialState
    params: Mapping[str, Any]
    values: tuple[float, ...] = ()
    run: str | None = None
    error: str | None = None
    same_as: int | None = None
    interrupted: bool = False
    started_utc: str | None = None
    ended_utc: str | None = None
    seconds: float | None = None
    computed: Work = Work()
    reused: Work = Work()
