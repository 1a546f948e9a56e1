"""Warns of values that steps may have otherwise than the whole notebook would have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.dataflow.outside import SUBCLASSES
from nbci.dataflow.subclasses import defined_classes, makes_unnamed_classes
from nbci.dataflow.trie import NO_GIVERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbci.dataflow.flow import FlowAnalysis


def cut_warnings(flowing: FlowAnalysis) -> Iterator[str]:
    """What steps make each for itself, or may lack, though the whole notebook would not."""
    yield from _fresh_warnings(flowing)
    yield from _deletion_warnings(flowing)
    yield from _subclass_warnings(flowing)


def _fresh_warnings(flowing: FlowAnalysis) -> Iterator[str]:
    """Warn of names never the same twice that no step can make for all that use them."""
    for name, users, maker in flowing.fresh_users:
        if maker is None:
            shown = _shown(flowing, users)
            yield (
                f"`{name}` ({flowing.fresh[name]}) is never the same twice, "
                f"and each of the steps {shown} makes its own, "
                "as none of them comes before all others: "
                "bind it in a step that they come after, or make it a parameter"
            )


def _deletion_warnings(flowing: FlowAnalysis) -> Iterator[str]:
    """Warn of names that all steps make, one step deletes and a later one uses.

    The later step has made them again, while the whole notebook would not have them.
    """
    for step, names in enumerate(flowing.names):
        for name in sorted((names.unbinds | names.may_unbind) & flowing.origin.own):
            later = flowing.step_and_followers(step) - {step}
            users = [user for user in flowing.users(name) if user in later]
            # Where another step has made the name since, the later step has that value.
            again = [user for user in users if _givers(flowing, user, name) <= {step}]
            if again:
                yield (
                    f"step {flowing.graph.steps[step]} deletes `{name}`, which every step makes: "
                    f"the later steps {_shown(flowing, again)} make it again: "
                    "do not delete it, or make it in a step"
                )


def _givers(flowing: FlowAnalysis, step: int, name: str) -> frozenset[int]:
    return flowing.have[step].get(name, NO_GIVERS)


def _subclass_warnings(flowing: FlowAnalysis) -> Iterator[str]:
    """Warn of steps that ask for subclasses, of which a pickled instance brings only its own."""
    for step, names in enumerate(flowing.names):
        if SUBCLASSES not in names.needs:
            continue
        classes = 0
        makers: set[int] = set()
        unnamed = False
        for other in flowing.graph.order:
            if other == step or step not in flowing.step_and_followers(other):
                continue
            defined = len(defined_classes(flowing.names[other]))
            makes_unnamed = makes_unnamed_classes(flowing.steps[other].cells)
            classes += defined
            unnamed = unnamed or makes_unnamed
            if defined or makes_unnamed:
                makers.add(other)
        if classes > 1 or unnamed:
            yield (
                f"step {flowing.graph.steps[step]} asks for `__subclasses__()`: "
                f"of the classes that steps before it make ({_shown(flowing, sorted(makers))}) "
                "it has those that still have a name, in no certain order: "
                "define them in a functions cell, or note them in a list"
            )


def join_warnings(flowing: FlowAnalysis) -> Iterator[str]:
    """Warn of values that two branches make before they join: the step that joins them fails."""
    origins: dict[tuple[int, str], frozenset[int]] = {}
    for step in flowing.graph.order:
        names = flowing.names[step]
        for name, givers in sorted(flowing.have[step].items()):
            makers: set[int] = set()
            for giver in givers:
                makers |= origins.get((giver, name), frozenset((giver,)))
            nearest = flowing.nearest(name, frozenset(makers))
            # A step that only passes the value on is not where it comes from.
            if name not in names.binds:
                origins[step, name] = nearest
            joins = len(givers) > 1 and len(nearest) > 1 and name in flowing.uses[step]
            if joins and _is_made(flowing, name, nearest):
                shown = " and ".join(flowing.graph.steps[maker] for maker in sorted(nearest))
                yield (
                    f"`{name}`, which {flowing.graph.steps[step]} uses, is made by {shown}, "
                    "and neither comes before the other: the step will fail unless they agree"
                )


def _is_made(flowing: FlowAnalysis, name: str, makers: frozenset[int]) -> bool:
    """Whether the steps surely make values of the name.

    A value that cells of all steps made may be unchanged: then the steps agree on it.
    """
    if name not in flowing.origin.mutable:
        return True
    return all((maker, name) in flowing.present for maker in makers)


def _shown(flowing: FlowAnalysis, steps: Iterable[int]) -> str:
    return ", ".join(flowing.graph.steps[step] for step in steps)
