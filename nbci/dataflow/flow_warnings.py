"""Warns of values that steps may have otherwise than the whole notebook would have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.dataflow.outside import SUBCLASSES
from nbci.dataflow.subclasses import defined_classes, makes_unnamed_classes
from nbci.dataflow.trie import NO_GIVERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbci.dataflow.flow_analysis import FlowAnalysis


def cut_warnings(analysis: FlowAnalysis) -> Iterator[str]:
    """What steps make each for itself, or may lack, though the whole notebook would not."""
    yield from _fresh_warnings(analysis)
    yield from _deletion_warnings(analysis)
    yield from _subclass_warnings(analysis)


def _fresh_warnings(analysis: FlowAnalysis) -> Iterator[str]:
    """Warn of names never the same twice that no step can make for all that use them."""
    for use in analysis.fresh_uses:
        if use.maker is None:
            shown = _shown(analysis, use.users)
            yield (
                f"`{use.name}` ({analysis.fresh[use.name]}) is never the same twice, "
                f"and each of the steps {shown} makes its own, "
                "as none of them comes before all others: "
                "bind it in a step that they come after, or make it a parameter"
            )


def _deletion_warnings(analysis: FlowAnalysis) -> Iterator[str]:
    """Warn of names that all steps make, one step deletes and a later one uses.

    The later step has made them again, while the whole notebook would not have them.
    """
    for step, names in enumerate(analysis.names):
        for name in sorted((names.unbinds | names.may_unbind) & analysis.origin.own):
            again = [*_users_that_make_again(analysis, step, name)]
            if again:
                yield (
                    f"step {analysis.graph.names[step]} deletes `{name}`, which every step makes: "
                    f"the later steps {_shown(analysis, again)} make it again: "
                    "do not delete it, or make it in a step"
                )


def _users_that_make_again(analysis: FlowAnalysis, step: int, name: str) -> Iterator[int]:
    """The steps behind this one that use the name, which it deletes, as every step makes it."""
    later = analysis.graph.step_and_followers(step) - {step}
    for user in analysis.users(name):
        # Where another step has made the name since, the later step has that value.
        if user in later and analysis.have[user].get(name, NO_GIVERS) <= {step}:
            yield user


def _subclass_warnings(analysis: FlowAnalysis) -> Iterator[str]:
    """Warn of steps that ask for subclasses, of which a pickled instance brings only its own."""
    for step, names in enumerate(analysis.names):
        if SUBCLASSES not in names.needs:
            continue
        classes = 0
        makers: set[int] = set()
        unnamed = False
        for other in analysis.graph.order:
            if other == step or step not in analysis.graph.step_and_followers(other):
                continue
            defined = len(defined_classes(analysis.names[other]))
            makes_unnamed = makes_unnamed_classes(analysis.steps[other].cells)
            classes += defined
            unnamed = unnamed or makes_unnamed
            if defined or makes_unnamed:
                makers.add(other)
        if classes > 1 or unnamed:
            yield (
                f"step {analysis.graph.names[step]} asks for `__subclasses__()`: "
                f"of the classes that steps before it make ({_shown(analysis, sorted(makers))}) "
                "it has those that still have a name, in no certain order: "
                "define them in a functions cell, or note them in a list"
            )


def join_warnings(analysis: FlowAnalysis) -> Iterator[str]:
    """Warn of values that two branches make before they join: the step that joins them fails."""
    origins: dict[tuple[int, str], frozenset[int]] = {}
    for step in analysis.graph.order:
        names = analysis.names[step]
        for name, givers in sorted(analysis.have[step].items()):
            makers: set[int] = set()
            for giver in givers:
                makers |= origins.get((giver, name), frozenset((giver,)))
            nearest = analysis.nearest(name, frozenset(makers))
            # A step that only passes the value on is not where it comes from.
            if name not in names.binds:
                origins[step, name] = nearest
            joins = len(givers) > 1 and len(nearest) > 1 and name in analysis.uses[step]
            if joins and _is_made(analysis, name, nearest):
                shown = " and ".join(analysis.graph.names_of(sorted(nearest)))
                yield (
                    f"`{name}`, which {analysis.graph.names[step]} uses, is made by {shown}, "
                    "and neither comes before the other: the step will fail unless they agree"
                )


def _is_made(analysis: FlowAnalysis, name: str, makers: frozenset[int]) -> bool:
    """Whether the steps surely make values of the name.

    A value that cells of all steps made may be unchanged: then the steps agree on it.
    """
    if name not in analysis.origin.mutable:
        return True
    return makers <= analysis.present[name]


def _shown(analysis: FlowAnalysis, steps: Iterable[int]) -> str:
    return ", ".join(analysis.graph.names_of(steps))
