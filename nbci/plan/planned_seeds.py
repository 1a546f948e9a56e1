"""The seeds that a plan is carried out with beside its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.errors import UsageError
from nbci.pipeline.seeds import FEWEST_JUDGED, seed_values
from nbci.plan.model import PlannedSeeds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.params import BoundParameter
    from nbci.pipeline.model import Pipeline
    from nbci.plan.model import Plan


def plan_seeds(pipeline: Pipeline, bound: Sequence[BoundParameter]) -> PlannedSeeds | None:
    """The seeds of the pipeline with these parameters; None where it asks for none.

    UsageError for fewer than its gates need to tell a difference from noise.
    """
    if pipeline.seeds is None:
        return None
    values = seed_values(pipeline.seeds, bound)
    for at, gate in enumerate(pipeline.gates):
        if gate.beyond_noise and len(values) < FEWEST_JUDGED:
            raise UsageError(
                f"`beyond_noise` can never refuse with {len(values)} seeds, in gate {at + 1}: "
                f"chance alone gives what they show too often",
                hint=f"take at least {FEWEST_JUDGED} seeds",
                where=pipeline.gate_places[at],
            )
    return PlannedSeeds(parameter=pipeline.seeds.parameter, values=values)


def steps_with_seed(plan: Plan, other: Plan, parameter: str) -> Iterator[str]:
    """The steps on which another value of the parameter tells, by the plan made with it.

    Those that only take what such steps give are not among them.
    """
    mentioned = _mentioning(plan, parameter)
    for step, changed in zip(plan.steps, other.steps, strict=True):
        if step.parts != changed.parts or step.notebook in mentioned:
            yield step.name


def _mentioning(plan: Plan, parameter: str) -> frozenset[str]:
    """The notebooks with a definition that reads the parameter, perhaps through a value."""
    found = set()
    for notebook, definitions in (plan.definitions or {}).items():
        if any(parameter in definition.mentions for definition in definitions):
            found.add(notebook)
    return frozenset(found)
