"""The stages in which a CI engine carries a plan out: chains of steps, each on one agent."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.graph import followers_of, reachable
from nbci.pipeline.paths import overlaps_any
from nbci.plan.evaluation import remeasured_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.plan.model import Plan, PlannedStep

ATTEMPTS = 2
"""How often a stage is tried whose agent vanishes.

Steps that fail are tried again by `nbci step` itself.
"""

# For the checkout, stashes and the start of the kernel, which the steps' own limits leave out.
_SLACK_SECONDS = 300
_ENVIRONMENT_SECONDS = 1800
"""How long making an environment may take."""
_NAMED_IN_FULL = 60
_ANY_PLACE = (None, False, None, ())
SEVERAL_PLACES = (
    "its steps are for several kinds of agents, and a seed is carried out on one; "
    "`nbci run` carries out all on one machine"
)


class Stage(Struct, frozen=True, kw_only=True):
    """Steps that run one after another in one place; `number` counts from 1.

    `after` are the stages that it waits for, `needs` those whose results must be where it runs. One
    that `remeasures` carries its step out with the files of the baselines of gates, one with a
    `seed` all steps with that value of the plan's seed.
    """

    number: int
    steps: tuple[PlannedStep, ...]
    after: tuple[int, ...] = ()
    needs: tuple[int, ...] = ()
    remeasures: bool = False
    seed: int | float | None = None

    @property
    def is_beside(self) -> bool:
        """Whether its steps are carried out once more, beside the run's own."""
        return self.remeasures or self.seed is not None

    @property
    def name(self) -> str:
        """The names of its steps; of a long chain, the first and the last."""
        if self.remeasures:
            return f"{self.steps[0].name}, with the files of the baseline"
        if self.seed is not None:
            return f"all steps, with seed {self.seed}"
        names = [step.name for step in self.steps]
        text = ", ".join(names)
        if len(text) <= _NAMED_IN_FULL:
            return text
        return f"{names[0]} .. {names[-1]} ({len(names)} steps)"

    @property
    def agent(self) -> str:
        """The label of the agent that it needs; empty when any will do."""
        return self.steps[0].agent or ""

    @property
    def container(self) -> str:
        """The image that it runs in; empty when in none."""
        return self.steps[0].container or ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets that its steps ask for."""
        return self.steps[0].secrets

    @property
    def timeout_seconds(self) -> int | None:
        """When to give up on `nbci step`; None when a step of it has no timeout.

        `nbci step` ends its steps at their timeouts itself, so this is for when it hangs.
        """
        total = 0.0
        for step in self.steps:
            if step.timeout_seconds is None:
                return None
            total += step.timeout_seconds * (step.retries + 1)
        environments = {step.environment for step in self.steps if step.environment is not None}
        return int(total) + _SLACK_SECONDS + _ENVIRONMENT_SECONDS * len(environments)


def stages(plan: Plan) -> tuple[Stage, ...]:
    """The plan's stages, each behind those it comes after. Steps that the plan skips are in none.

    A chain in one place is one stage: a step joins the stage of the only one before it, when
    nothing else follows that. Behind them are the stages that measure models of baselines again,
    and those of other seeds.
    """
    # A skipped step has no stage, and what follows it must still wait for what was before it.
    after = _after_without_skipped(plan)
    followers = followers_of(after)
    chains: list[list[PlannedStep]] = []
    chain_of: dict[str, int] = {}
    for step in plan.steps:
        if step.name not in after:
            continue
        before = after[step.name]
        # A second follower could begin in parallel: it would wait for the rest of the chain.
        joins = len(before) == 1 and len(followers[before[0]]) == 1
        if joins and _place(chains[chain_of[before[0]]][-1]) == _place(step):
            chain_of[step.name] = chain_of[before[0]]
            chains[chain_of[step.name]].append(step)
        else:
            chain_of[step.name] = len(chains)
            chains.append([step])

    needed = _needed_steps(plan)
    found = []
    for number, chain in enumerate(chains, start=1):
        found.append(_stage(number, chain, after, needed, chain_of))
    for step in remeasured_steps(plan):
        stage = _stage(len(found) + 1, [step], after, needed, chain_of)
        found.append(replace(stage, remeasures=True))
    found += _seed_stages(plan, tuple(range(1, len(chains) + 1)), len(found))
    return tuple(found)


def _seed_stages(plan: Plan, numbers: tuple[int, ...], count: int) -> Iterator[Stage]:
    """A stage for each further seed, behind the plan's own: what no seed changes is reused."""
    if plan.seeds is None or not is_in_one_place(plan):
        return
    # The one that needs a place of its own gives the stage's.
    steps = sorted(_steps_to_run(plan), key=lambda step: _place(step) == _ANY_PLACE)
    for at, value in enumerate(plan.seeds.values[1:], start=count + 1):
        # Behind all of them, since any step may be one that no seed reaches.
        yield Stage(number=at, steps=tuple(steps), after=numbers, needs=numbers, seed=value)


def is_in_one_place(plan: Plan) -> bool:
    """Whether one machine can carry out all steps: at most one kind of agent is asked for."""
    places = {_place(step) for step in _steps_to_run(plan)}
    return len(places - {_ANY_PLACE}) <= 1


def _steps_to_run(plan: Plan) -> list[PlannedStep]:
    return [step for step in plan.steps if step.action != "skip"]


def _stage(
    number: int,
    chain: Sequence[PlannedStep],
    after: Mapping[str, Sequence[str]],
    needed: Mapping[str, Iterable[str]],
    chain_of: Mapping[str, int],
) -> Stage:
    waits = {chain_of[name] + 1 for name in after[chain[0].name]}
    needs = set(waits)
    for step in chain:
        for name in needed[step.name]:
            # A skipped step is in no chain, and has no results.
            if name in chain_of:
                needs.add(chain_of[name] + 1)
    return Stage(
        number=number,
        steps=tuple(chain),
        after=tuple(sorted(waits)),
        needs=tuple(sorted(needs - {number})),
    )


def _needed_steps(plan: Plan) -> dict[str, set[str]]:
    """For each step, the steps before it whose values, files or metrics it may take.

    A value may come by way of any step in between that takes something from where it comes from:
    variables that share objects pass together.
    """
    writers: list[tuple[str, str]] = []
    takers: dict[str, list[str]] = defaultdict(list)
    for step in plan.steps:
        for path in step.writes:
            writers.append((path, step.name))
        for giver in _givers(step):
            takers[giver].append(step.name)

    before = plan.edges()
    needed = {}
    for step in plan.steps:
        names = _metric_steps(step, before)
        givers = _givers(step)
        if givers:
            names |= reachable(givers, takers) & reachable([step.name], before)
        for path, writer in writers:
            if overlaps_any(path, step.deps):
                names.add(writer)
        needed[step.name] = names - {step.name}
    return needed


def _givers(step: PlannedStep) -> set[str]:
    givers: set[str] = set()
    for take in step.takes:
        givers.update(take.givers)
    return givers


def _metric_steps(step: PlannedStep, names: Iterable[str]) -> set[str]:
    """The steps whose metrics stand in the parameters, as `${step:metric}`."""
    asked = repr(step.params)
    # Most steps ask for none: a search for every name of the plan would cost the square of it.
    if "${" not in asked:
        return set()
    return {name for name in names if f"${{{name}:" in asked}


def _place(step: PlannedStep) -> tuple[object, ...]:
    """What two steps must share to run in one stage: where they run, and the secrets they see."""
    # An agent, its container and its secrets are given to a stage of Jenkins as a whole.
    return step.agent, step.gpu, step.container, tuple(sorted(step.secrets))


def _after_without_skipped(plan: Plan) -> Mapping[str, Sequence[str]]:
    """For each step that is not skipped, those it comes after, also by way of skipped ones."""
    through: dict[str, tuple[str, ...]] = {}
    after: dict[str, tuple[str, ...]] = {}
    for step in plan.steps:
        before: dict[str, None] = {}
        for direct in step.after:
            before |= dict.fromkeys(through.get(direct, (direct,)))
        if step.action == "skip":
            through[step.name] = tuple(before)
        else:
            after[step.name] = tuple(before)
    return after


def needs_of_machine(step: PlannedStep) -> str | None:
    """What only the step's own agent has; None where any machine will do."""
    if step.agent:
        return f"an agent with the label {step.agent}"
    if step.gpu:
        return "a GPU"
    if step.container:
        return f"the container {step.container}"
    if step.secrets:
        return f"the secret {step.secrets[0]}"
    return None
