"""A change from a fork under the rules of the branch that it goes to.

Its steps and code are the change's, the policy is that branch's.
"""

from __future__ import annotations

import re
from operator import attrgetter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.errors import Location, UsageError, spelling_hint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.params import Parameter
    from nbci.pipeline.model import Pipeline, Step


def under_policy(change: Pipeline, policy: Pipeline) -> Pipeline:
    """The change's pipeline, judged, released, placed and triggered as `policy` says.

    Steps are without secrets, but for those that `policy` has for forks; what they asked for is in
    `withheld`. Parameters that decide over gates, agents and containers are the policy's.
    UsageError for an agent or a container that it never asks for.
    """
    _refuse_other_places(change, policy)
    steps = [_without_secrets(step, policy.fork_secrets) for step in change.steps]
    return replace(
        change,
        name=policy.name,
        params=_parameters(change, policy),
        metrics=policy.metrics,
        gates=policy.gates,
        gate_places=policy.gate_places,
        models=policy.models,
        # Whether the change still has the steps that measure them, its verdict tells.
        model_places=None,
        triggers=policy.triggers,
        seeds=policy.seeds,
        fork_secrets=policy.fork_secrets,
        keep_going=policy.keep_going,
        run_timeout_seconds=policy.run_timeout_seconds,
        steps=tuple(steps),
    )


def _without_secrets(step: Step, allowed: tuple[str, ...]) -> Step:
    given: list[str] = []
    withheld: list[str] = []
    for name in step.secrets:
        if name in allowed:
            given.append(name)
        else:
            withheld.append(name)
    return replace(step, secrets=tuple(given), withheld=tuple(withheld))


def _refuse_other_places(change: Pipeline, policy: Pipeline) -> None:
    """UsageError for an agent or a container that no step of the policy asks for.

    Agents are lent, and images are started by a daemon that may do anything: neither is for
    strangers to name.
    """
    for kind in ("agent", "container"):
        place_of = attrgetter(kind)
        # A step without one runs where the whole build does.
        known = set(map(place_of, policy.steps)) - {None}
        for step in change.steps:
            name = place_of(step)
            if name is None or name in known:
                continue
            raise UsageError(
                f"step {step.name} asks for the {kind} {name!r}, "
                "and no step of the change's target branch does",
                hint=spelling_hint(name, known, "a change from a fork runs where that branch runs"),
                where=Location(step.notebook),
            )


def _parameters(change: Pipeline, policy: Pipeline) -> tuple[Parameter, ...]:
    """The change's, but the policy's where one of its decisions names them.

    Decisions are a gate's condition, an agent and a container.
    """
    deciding: dict[str, Parameter] = {}
    for parameter in policy.params:
        if _decides(parameter.name, policy):
            deciding[parameter.name] = parameter
    chosen = [deciding.pop(parameter.name, parameter) for parameter in change.params]
    # What the change left out would else be missing where the policy names it.
    return (*chosen, *deciding.values())


def _decides(name: str, policy: Pipeline) -> bool:
    """Whether the policy names the parameter where it decides; too often rather than too rarely."""
    # As a word anywhere in the text: expressions of Jenkins are not parsed here.
    word = re.compile(rf"\b{re.escape(name)}\b")
    return any(map(word.search, _deciding_texts(policy)))


def _deciding_texts(policy: Pipeline) -> Iterator[str]:
    for gate in policy.gates:
        if gate.when is not None:
            yield gate.when
    for step in policy.steps:
        for text in (step.agent, step.container):
            if text is not None:
                yield text
