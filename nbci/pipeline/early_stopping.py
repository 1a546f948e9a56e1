"""What ends bad trials of a sweep early: `prune`, and how values are read while a step runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from nbci.errors import UsageError
from nbci.pipeline.metric_names import short_name, step_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.errors import Location

PruneBy = Literal["median", "percentile", "successive_halving", "patient"]
PRUNE_BY: tuple[PruneBy, ...] = ("median", "percentile", "successive_halving", "patient")

_DIRECTIONS = ("minimize", "maximize")

STEP_GROUP = "step"
"""The group of a `report` that has the number of the step."""

_OPTIONS: Mapping[PruneBy, tuple[str, ...]] = {
    "median": ("warmup_steps", "warmup_trials"),
    "percentile": ("warmup_steps", "warmup_trials", "percentile"),
    "successive_halving": ("warmup_steps", "eta"),
    "patient": ("patience",),
}


class Pruning(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Trials are stopped by the values of the metric `on` while they run.

    `direction` says which way it is better. Of `median` and `percentile`, which keeps the best so
    many percent, a trial is compared at each step from `warmup_steps` on, once `warmup_trials` are
    complete. Of `successive_halving`, the best of every `eta` trials go on at the steps
    `warmup_steps`, `eta` times as many, and so on. Of `patient`, a trial ends that has not become
    better in `patience` steps.
    """

    on: str
    by: PruneBy = "median"
    direction: Literal["minimize", "maximize"] | None = None
    warmup_steps: int = 0
    warmup_trials: int = 5
    percentile: float = 25.0
    eta: int = 4
    patience: int = 10


def read_pruning(fields: Mapping[str, Any], where: Location | None) -> Pruning:
    """What the file or the command line asks for; UsageError where an option does not fit."""
    by: PruneBy = fields.get("by", "median")
    known = ("on", "by", "direction", *_OPTIONS[by])
    for name in fields:
        # Left alone, an option of another pruner would seem to work.
        if name not in known:
            raise UsageError(
                f"`{name}` says nothing to the pruner {by}",
                hint=f"what it knows: {', '.join(_OPTIONS[by])}",
                where=where,
            )
    return Pruning(**fields)


def parse_pruning(text: str) -> Pruning:
    """`METRIC`, `METRIC:PRUNER` or `METRIC:PRUNER:DIRECTION`; the metric may name its step."""
    fields: dict[str, Any] = {}
    rest = text
    # From the end: the name of a metric has a colon of its own.
    for key, known in (("direction", _DIRECTIONS), ("by", PRUNE_BY)):
        head, colon, word = rest.rpartition(":")
        if colon and word in known:
            fields[key], rest = word, head
    if not rest.strip():
        raise UsageError(
            f"--prune {text!r} names no metric", hint="for example: --prune train:val_loss:median"
        )
    return read_pruning({"on": rest.strip(), **fields}, None)


def check_report(prune: Pruning | None, report: str | None, where: Location | None) -> None:
    """UsageError where a `report` is no pattern, or is of no use."""
    if report is None:
        return
    pattern_of(report, where)
    if prune is None:
        raise UsageError(
            "`report` says how values are read while a step runs, and nothing asks for them",
            hint="say what stops trials: `prune: {on: STEP:METRIC}`, or --prune",
            where=where,
        )


def pattern_of(report: str, where: Location | None) -> re.Pattern[str]:
    """The pattern by which lines are read; UsageError where it does not tell one value."""
    try:
        pattern = re.compile(report)
    except re.error as error:
        raise UsageError(
            f"`report` is no regular expression: {error}",
            hint="for example: val_loss=([0-9.]+)",
            where=where,
        ) from error
    values = [group for group in range(1, pattern.groups + 1) if group != _step_group(pattern)]
    if len(values) != 1:
        raise UsageError(
            f"`report` has {len(values)} groups for the value, and needs one: {report!r}",
            hint="put the value in brackets, as in val_loss=([0-9.]+), the step in "
            f"(?P<{STEP_GROUP}>[0-9]+), and others in (?:...)",
            where=where,
        )
    return pattern


def _step_group(pattern: re.Pattern[str]) -> int | None:
    return pattern.groupindex.get(STEP_GROUP)


def value_group(pattern: re.Pattern[str]) -> int:
    """The number of the group that has the value."""
    # The two groups are numbered 1 and 2, whichever comes first.
    return 2 if _step_group(pattern) == 1 else 1


def is_same_metric(one: str, other: str) -> bool:
    """Whether two names mean one metric, as far as they say of which step."""
    # A name without a step is that metric of any.
    steps = {step_of(one), step_of(other)} - {None}
    return short_name(one) == short_name(other) and len(steps) < 2
