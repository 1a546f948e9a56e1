"""How the trial that a sweep chose is confirmed: by a step, or with seeds, that no trial saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import UsageError, spelling_hint
from nbci.graph import by_name
from nbci.pipeline.seeds import with_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbci.errors import Location
    from nbci.pipeline.document import Document
    from nbci.pipeline.model import Pipeline
    from nbci.pipeline.search_space import Dimension


class Confirmation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The `step` that measures on data that no trial read, or how many further `seeds`."""

    step: str | None = None
    seeds: int | None = None


def read_confirmation(given: str | Mapping[str, Any] | None) -> Confirmation | None:
    """What `confirm` of a sweep says; the schema has looked at its form."""
    if given is None:
        return None
    if isinstance(given, str):
        return Confirmation(step=given)
    return Confirmation(seeds=given["seeds"])


def check_confirmations(document: Document, pipeline: Pipeline) -> None:
    """UsageError where a sweep of the file cannot be confirmed as it says; with line and column."""
    for name, sweep in pipeline.sweeps.items():
        if sweep.confirm is not None:
            where = document.where("sweeps", name, "confirm")
            check_confirmation(sweep.confirm, pipeline, sweep.space, where)


def check_confirmation(
    confirm: Confirmation,
    pipeline: Pipeline,
    space: Iterable[Dimension],
    where: Location | None,
) -> None:
    """UsageError where there is no such step, or no seed that a search leaves alone."""
    # A node stands for all of its steps, as in gates.
    steps: dict[str, None] = {}
    for step in pipeline.steps:
        steps |= {step.name: None, step.node: None}
    if confirm.step is not None and confirm.step not in steps:
        raise UsageError(
            f"there is no step {confirm.step!r} to confirm with",
            hint=spelling_hint(confirm.step, steps, f"steps: {', '.join(steps)}"),
            where=where,
        )
    if confirm.seeds is None:
        return
    seed = seed_parameter(confirm, pipeline)
    # Its trials have seen several seeds then, and the best one is the luckiest.
    if seed in by_name(space):
        raise UsageError(
            f"the seed {seed} is searched, so other values of it confirm nothing",
            hint=f"leave {seed} out of `params`, or confirm with a step",
            where=where,
        )


def seed_parameter(confirm: Confirmation, pipeline: Pipeline) -> str:
    """The parameter of which a run takes further values; UsageError where there is none."""
    return with_count(pipeline.seeds, int(confirm.seeds or 0), pipeline.params).parameter


def refuse_seen(confirm: Confirmation | None, ran: Mapping[str, str]) -> None:
    """UsageError where trials run the step; `ran` are those that they run, each with its node."""
    if confirm is None or confirm.step is None:
        return
    if confirm.step in ran or confirm.step in ran.values():
        raise UsageError(
            f"trials run the step {confirm.step}, so what it measures confirms nothing",
            hint="name a step behind the one that measures the objective, and name the objective "
            "in full, STEP:METRIC: else trials run all steps",
        )
