"""What a sweep is: `sweep.json`; and what became of its trials: lines of `trials.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field, to_builtins

from nbci.pipeline.confirmation import Confirmation
from nbci.pipeline.early_stopping import Pruning
from nbci.pipeline.fidelity import Fidelity
from nbci.pipeline.search_space import Choices, Direction, Method, Range
from nbci.plan.parts import digest_of
from nbci.records.codec import from_json, refuse_other_format
from nbci.records.run_record import ParameterValue

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 2
_DIGEST_LENGTH = 12
FROM_SWEEP = "sweep"
"""The source of a parameter that a sweep varies."""
FROM_FIDELITY = "fidelity"
"""The source of the parameter of which trials get more and more: all of it, where nobody says."""

TrialState = Literal["running", "complete", "pruned", "failed"]


class Objective(Struct, frozen=True, kw_only=True):
    """A metric that is to be best, and which way that is."""

    metric: str
    direction: Direction


class SweepRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A search: over which `space`, for what, how, until when.

    Of several `objectives`, none comes first.

    `name` is that in the pipeline file; None where the command line gave the space. `params` are
    the parameters as they are where they are not searched, `sources` the digests of the files that
    the pipeline was read from. `prune` has its direction. `seed` is drawn where
    none was asked for. `kernel` and `environment` are those of the command line. Where other
    processes may work at the same study, `study` is its name and `storage` the database, without a
    password.
    """

    sweep: str
    pipeline: str
    target: str
    space: tuple[Range | Choices, ...]
    objectives: tuple[Objective, ...]
    method: Method
    seed: int
    nbci: str
    started_utc: str
    format: int = field(default_factory=lambda: FORMAT)
    name: str | None = None
    trials: int | None = None
    minutes: float | None = None
    no_better_in: int | None = None
    prune: Pruning | None = None
    confirm: Confirmation | None = None
    report: str | None = None
    fidelity: Fidelity | None = None
    parallel: int = 1
    params: tuple[ParameterValue, ...] = ()
    sources: Mapping[str, str] | None = None
    kernel: str | None = None
    environment: str | None = None
    command: tuple[str, ...] = ()
    study: str | None = None
    storage: str | None = None

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

    def __sub__(self, other: Work) -> Work:
        seconds = round(max(self.seconds - other.seconds, 0.0), 3)
        return Work(steps=max(self.steps - other.steps, 0), seconds=seconds)


class TrialRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One trial: `params` are those that were searched, `run` is where it was carried out.

    `values` are those of the objectives, in their order. `same_as` is the trial of the same point
    whose values these are. An `interrupted` one failed through no fault of its own. `reused` is
    what steps took whose results were there already, when they ran. `worker` is who carried it
    out: a lane of the process, or a branch of a build. `curve` are values that were seen while it
    ran, each with the step of training at which it was, in their order. An `earlier` one is a run
    from before the sweep, which only tells what its point gave. `sweep` is the one that carries it
    out, where several share a study. With a `fidelity`, `rung` is the last one that it got to, from
    0, and `resource` what it had of the parameter there; the curve has the objective at each rung,
    and `run` is the last of its runs.
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
    worker: str | None = None
    curve: tuple[tuple[float, float], ...] = ()
    rung: int | None = None
    resource: int | float | None = None
    earlier: bool = False
    sweep: str | None = None


def search_digest(sweep: SweepRecord) -> str:
    """The same for two sweeps that search for the same in the same, whatever their budgets."""
    searched = {
        "pipeline": sweep.pipeline,
        "target": sweep.target,
        "space": to_builtins(sweep.space),
        "objectives": to_builtins(sweep.objectives),
        "method": sweep.method,
        "prune": to_builtins(sweep.prune),
        "fidelity": to_builtins(sweep.fidelity),
        "params": sweep.own_values,
        "sources": dict(sweep.sources or {}),
        "kernel": sweep.kernel,
        "environment": sweep.environment,
    }
    return digest_of(searched)[:_DIGEST_LENGTH]


def shared_name(sweep: SweepRecord) -> str:
    """The name of the study that all processes share which search for the same."""
    return f"{sweep.pipeline}/{sweep.name or 'search'}@{search_digest(sweep)}"


def read_sweep(text: bytes, path: Path) -> SweepRecord:
    """The record of that file; UsageError where its format is none that is known here."""
    text = _in_format_2(text)
    # A version that does not know all of it must not go on with it.
    refuse_other_format(text, FORMAT, "the sweep", path)
    return from_json(text, SweepRecord, str(path))


def _in_format_2(text: bytes) -> bytes:
    """A record of format 1, which knew one objective, as format 2 has it; others as they are."""
    try:
        document = json.loads(text)
    except ValueError:
        return text
    if not isinstance(document, dict) or document.get("format") != 1:
        return text
    metric, direction = document.pop("objective", None), document.pop("direction", None)
    document["objectives"] = [{"metric": metric, "direction": direction}]
    document["format"] = FORMAT
    return json.dumps(document).encode()
