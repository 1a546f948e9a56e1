"""The conditions under which a step is tried for the cause of a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.handoff.values import RANDOM_STATE
from nbci.kernels.held import NOTHING_HELD, Held

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.records.proof import Condition
    from nbci.records.run_record import StepRecord

_HASH_SEED = "PYTHONHASHSEED"
_THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"),
)


class Trial(Struct, frozen=True, kw_only=True):
    """A condition, how it is held, and what it means when a step's result depends on it.

    `other` holds it at another state, for what is the same in each run on one machine, and another
    on the next one.
    """

    condition: Condition
    title: str
    held: Held
    meaning: str
    other: Held | None = None


_ALL = (
    Trial(
        condition="numpy",
        title="a seed for numpy",
        held=Held(in_kernel=("numpy",)),
        meaning="it draws from numpy's generator without a seed",
    ),
    Trial(
        condition="torch",
        title="a seed for torch",
        held=Held(in_kernel=("torch",)),
        meaning="it draws from torch's generator without a seed",
    ),
    Trial(
        condition="hash seed",
        title="the hash seed",
        held=Held(variables={_HASH_SEED: "0"}),
        meaning="it depends on the order of a set, which the hash seed decides (PYTHONHASHSEED)",
        other=Held(variables={_HASH_SEED: "1"}),
    ),
    Trial(
        condition="file order",
        title="the order of files in folders",
        held=Held(in_kernel=("file order",)),
        meaning="it depends on the order in which a folder lists its files",
        other=Held(in_kernel=("file order reversed",)),
    ),
    Trial(
        condition="clock",
        title="the clock",
        held=Held(in_kernel=("clock",)),
        meaning="it uses the clock",
    ),
    Trial(
        condition="threads",
        title="one thread",
        held=Held(variables=dict.fromkeys(_THREADS, "1")),
        meaning="it depends on the number of threads that libraries compute in",
        other=Held(variables=dict.fromkeys(_THREADS, "1")),
    ),
    Trial(
        condition="random",
        title="a seed for random",
        held=Held(in_kernel=("random",)),
        meaning="it draws from Python's random generator without a seed",
    ),
    Trial(
        condition="network",
        title="no network",
        held=Held(in_kernel=("network",)),
        meaning="it uses the network",
    ),
)


def trials_for(record: StepRecord, environ: Mapping[str, str]) -> tuple[Trial, ...]:
    """The conditions on which the step's result may depend, the likely ones first.

    `record` is of the step as it ran, `environ` the environment of its kernel.
    """
    seen = {part.kind for part in record.observed}
    possible = []
    for trial in _ALL:
        if _may_matter(trial.condition, record, seen, environ):
            possible.append(trial)
    drawn = tuple(_drawn_from(record))
    return tuple(sorted(possible, key=lambda trial: trial.condition not in drawn))


def _may_matter(
    condition: Condition, record: StepRecord, seen: set[str], environ: Mapping[str, str]
) -> bool:
    packages = record.distributions or {}
    match condition:
        case "numpy" | "torch":
            return condition in packages
        case "hash seed":
            # What nbci sets where nothing else is was the same in both runs.
            return environ.get(_HASH_SEED, "0") != "0"
        case "threads":
            return bool(packages) and any(environ.get(name) != "1" for name in _THREADS)
        case "file order":
            return "folder" in seen
        case "network":
            return "network" in seen
        case _:
            return True


def _drawn_from(record: StepRecord) -> Iterator[str]:
    """The conditions that stand for generators from which the step was seen to draw."""
    for part in record.observed:
        if part.kind == "random":
            module = part.label.removeprefix(RANDOM_STATE)
            yield module.partition(".")[0]


def held_by(trials: Iterable[Trial]) -> Held:
    """All of these held at once."""
    held = NOTHING_HELD
    for trial in trials:
        held = held.with_too(trial.held)
    return held
