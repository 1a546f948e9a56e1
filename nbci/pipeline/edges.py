"""Which steps wait for which: names in `after` as steps, and what an order cannot have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.errors import UsageError, nearest
from nbci.graph import by_name, edges_of, find_cycle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbci.errors import Location
    from nbci.pipeline.model import Step
    from nbci.pipeline.nodes import Group


class StepNames:
    """Every name that `after` and `${step:metric}` may use, and the steps to wait for."""

    def __init__(self, groups: Sequence[Group]) -> None:
        """A step's own name is taken before that of a group of steps."""
        of_nodes: dict[str, list[str]] = {}
        for group in groups:
            of_nodes.setdefault(group.node, []).extend(group.leaves)
        self._leaves = {node: tuple(leaves) for node, leaves in of_nodes.items()}
        # In this order: a group may have the name of a node, and a step that of a group.
        for group in groups:
            self._leaves[group.name] = group.leaves
        for group in groups:
            for step in group.steps:
                self._leaves[step.name] = (step.name,)

    def steps_before(self, name: str, waiting: str) -> tuple[str, ...]:
        """The steps that must have ended before `waiting`, which names `name`, starts."""
        if name in self._leaves:
            return self._leaves[name]
        # Not itself: that would be a cycle, and no help.
        known = [candidate for candidate in self._leaves if candidate != waiting]
        meant = nearest(name, known) or _last_part_named(name, known)
        suggestion = ""
        if meant:
            suggestion = f" (did you mean {meant!r}?)"
        hint = "there is no other step"
        if known:
            hint = f"the steps are {', '.join(known)}"
        raise UsageError(f"unknown step {name!r}{suggestion}, in step {waiting}", hint=hint)


def _last_part_named(name: str, known: Sequence[str]) -> str | None:
    """The first step of that name in any node: people leave out the node's name."""
    for candidate in known:
        if candidate.endswith(f"/{name}"):
            return candidate
    return None


def refuse_cycle(steps: Sequence[Step], where: Callable[[Step], Location]) -> None:
    """UsageError that prints the cycle, where there is one."""
    cycle = find_cycle(edges_of(steps))
    if cycle is None:
        return
    first = by_name(steps)[cycle[0]]
    if len(cycle) == 2:
        raise UsageError(f"step {cycle[0]} comes after itself", where=where(first))
    raise UsageError(
        f"the steps wait for each other in a cycle: {' → '.join(cycle)}",
        hint="remove one of these edges",
        where=where(first),
    )


def refuse_shared_outs(
    steps: Sequence[Step],
    where: Callable[[Step], Location],
    explain: Callable[[Step, Step, str], None] | None = None,
) -> None:
    """UsageError where two steps write to one place, or a step writes what it reads.

    One place is a path, or a path inside the other's folder. `explain` gets two steps that write
    one path, and raises where it knows more.
    """
    writers: dict[str, Step] = {}
    for step in steps:
        # A metrics file may be declared as an out as well.
        for path in dict.fromkeys(step.writes):
            if path in step.deps:
                raise UsageError(
                    f"step {step.name} reads and writes {path}",
                    hint="outs are removed before a step runs: write another file",
                    where=where(step),
                )
            if path in writers:
                if explain is not None:
                    explain(writers[path], step, path)
                raise UsageError(
                    f"steps {writers[path].name} and {step.name} both write {path}",
                    where=where(step),
                )
            writers[path] = step

    # Each path's folders are looked up, not all pairs compared: 10,000 steps may write as many.
    for path, step in writers.items():
        parts = path.split("/")
        for end in range(1, len(parts)):
            folder = writers.get("/".join(parts[:end]))
            if folder is not None and folder is not step:
                raise UsageError(
                    f"step {step.name} writes {path} into a folder that step {folder.name} writes",
                    where=where(step),
                )
