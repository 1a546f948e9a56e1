"""Finds which values pass between steps: what each step takes, from which steps, and gives."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dataflow.flow_analysis import FlowAnalysis
from nbci.dataflow.flow_warnings import cut_warnings, join_warnings
from nbci.dataflow.fresh import NONE_FRESH
from nbci.dataflow.origin import NOTHING_BROUGHT, Brought, Origin
from nbci.dataflow.step_code import StepGraph, names_of_steps
from nbci.dataflow.undefined import Undefined, undefined_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.dataflow.names import Names
    from nbci.dataflow.prelude import Statement
    from nbci.dataflow.step_code import StepCode


class Take(Struct, frozen=True, kw_only=True):
    """A value that a step takes, and the nearest steps before it that have it.

    There is one giver, or several at a join. `needed`: the step's code may read the value;
    otherwise the step only passes it on.
    """

    name: str
    givers: tuple[str, ...]
    needed: bool = True


class Give(Struct, frozen=True, kw_only=True):
    """A value that a step hands on as it is at the step's end.

    `optional`: there may be no value then, which is no mistake.
    """

    name: str
    optional: bool = False


class StepFlow(Struct, frozen=True, kw_only=True):
    """What passes into and out of one step, sorted by name.

    `makes` are names bound to values never the same twice (such as times) that the step hands on
    to all others, though it may not change them.
    """

    name: str
    takes: tuple[Take, ...] = ()
    gives: tuple[Give, ...] = ()
    names: Names
    makes: frozenset[str] = frozenset()


class Flow(Struct, frozen=True, kw_only=True):
    """The values of a pipeline, and what is to be reported about them.

    `warnings` are about joins, `undefined` about names that no step gives. `apart` says what steps
    make each for itself though the whole notebook would not: names never the same twice, and names
    that an earlier step deleted; and which steps may lack subclasses that the whole notebook has.
    """

    steps: tuple[StepFlow, ...]
    warnings: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    undefined: tuple[Undefined, ...] = ()

    def step(self, name: str) -> StepFlow:
        """The flow of the step with that name."""
        return next(step for step in self.steps if step.name == name)


def flow(
    steps: Sequence[StepCode],
    params: frozenset[str] = frozenset(),
    prelude: Sequence[Statement] = (),
    *,
    settled: frozenset[str] = frozenset(),
    brought: Brought = NOTHING_BROUGHT,
    fresh: Mapping[str, str] = NONE_FRESH,
) -> Flow:
    """The values that pass between the steps of one notebook; their graph has no cycle.

    `settled` are those of the parameters whose objects nobody can change, such as numbers;
    `brought` are names that kernels bring; `fresh` are names bound to what is never the same twice,
    with the place.
    """
    graph = StepGraph.of(steps)
    origin = Origin.of(params, prelude, settled, brought)
    names = names_of_steps(steps, graph.order, origin)
    analysis = FlowAnalysis(graph, origin, names, steps, fresh)
    analysis.find_givers()
    undefined = undefined_names(
        graph.names, graph.before, names, analysis.have, origin, guessed=analysis.nowhere
    )
    return Flow(
        steps=_step_flows(analysis),
        warnings=tuple(join_warnings(analysis)),
        apart=tuple(cut_warnings(analysis)),
        undefined=undefined,
    )


def _step_flows(analysis: FlowAnalysis) -> tuple[StepFlow, ...]:
    """What passes between the steps: the values that a step needs, or that one behind it does."""
    graph = analysis.graph
    takes: defaultdict[int, list[Take]] = defaultdict(list)
    gives: defaultdict[int, set[str]] = defaultdict(set)
    # Backwards, since a step passes on what steps after it turn out to need.
    for step in reversed(graph.order):
        have = analysis.have[step]
        needed = analysis.uses[step] & have.keys()
        passed = (gives[step] - analysis.names[step].surely_binds) & have.keys()
        for name in needed | passed:
            givers = sorted(have[name])
            take = Take(name=name, givers=graph.names_of(givers), needed=name in needed)
            takes[step].append(take)
            for giver in givers:
                gives[giver].add(name)

    flows = []
    for step in range(len(graph.names)):
        flows.append(_step_flow(analysis, step, takes[step], gives[step]))
    return tuple(flows)


def _step_flow(
    analysis: FlowAnalysis, step: int, takes: Iterable[Take], gives: Iterable[str]
) -> StepFlow:
    shown_gives = []
    for name in sorted(gives):
        shown_gives.append(Give(name=name, optional=step not in analysis.present[name]))
    return StepFlow(
        name=analysis.graph.names[step],
        takes=tuple(sorted(takes, key=lambda take: take.name)),
        gives=tuple(shown_gives),
        names=analysis.names[step],
        makes=frozenset(analysis.makes[step]),
    )
