"""A change from a fork under the rules of the branch that it goes to: its steps and code, that
branch's policy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.errors import Location, UsageError, nearest

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
    return replace(
        change,
        name=policy.name,
        params=_parameters(change, policy),
        metrics=policy.metrics,
        gates=policy.gates,
        gate_places=policy.gate_places,
        models=policy.models,
        triggers=policy.triggers,
        fork_secrets=policy.fork_secrets,
        keep_going=policy.keep_going,
        run_timeout_seconds=policy.run_timeout_seconds,
        steps=tuple(_without_secrets(step, policy.fork_secrets) for step in change.steps),
    )


def _without_secrets(step: Step, allowed: tuple[str, ...]) -> Step:
    withheld = tuple(name for name in step.secrets if name not in allowed)
    return replace(
        step, secrets=tuple(name for name in step.secrets if name in allowed), withheld=withheld
    )


def _refuse_other_places(change: Pipeline, policy: Pipeline) -> None:
    """Agents are lent, and images are started by a daemon that may do anything: neither is for
    strangers to name.
    """
    for kind, named in (("agent", _agent), ("container", _container)):
        known = {name for step in policy.steps if (name := named(step)) is not None}
        for step in change.steps:
            name = named(step)
            if name is not None and name not in known:
                close = nearest(name, known)
                raise UsageError(
                    f"step {step.name} asks for the {kind} {name!r}, and no step of the change's target branch does",
                    hint=f"did you mean {close!r}?"
                    if close
                    else "a change from a fork runs where that branch runs",
                    where=Location(step.notebook),
                )


def _agent(step: Step) -> str | None:
    return step.agent


def _container(step: Step) -> str | None:
    return step.container


def _parameters(change: Pipeline, policy: Pipeline) -> tuple[Parameter, ...]:
    """The change's, but the policy's where a gate's condition, an agent or a container names them."""
    deciding = {
        parameter.name: parameter
        for parameter in policy.params
        if _is_named(parameter.name, policy)
    }
    kept = [deciding.pop(parameter.name, parameter) for parameter in change.params]
    return (*kept, *deciding.values())


def _is_named(name: str, policy: Pipeline) -> bool:
    return any(re.search(rf"\b{re.escape(name)}\b", text) for text in _deciding_texts(policy))


def _deciding_texts(policy: Pipeline) -> Iterator[str]:
    yield from (gate.when for gate in policy.gates if gate.when is not None)
    yield from (
        text for step in policy.steps for text in (step.agent, step.container) if text is not None
    )
