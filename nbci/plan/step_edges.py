"""Which steps of a pipeline come after which, and an order in which they can run."""

from __future__ import annotations

import posixpath
from itertools import filterfalse
from typing import TYPE_CHECKING

from nbci.errors import Location, UsageError
from nbci.graph import Cycle, topological

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.pipeline.model import Pipeline, Step
    from nbci.plan.program import GroupProgram


def step_edges(pipeline: Pipeline, groups: Sequence[GroupProgram]) -> dict[str, tuple[str, ...]]:
    """What each step comes after: as declared, as variables ask, and who writes what it reads."""
    writers = _Writers(pipeline.steps)
    group_of: dict[str, GroupProgram] = {}
    for group in groups:
        group_of.update(dict.fromkeys(group.steps, group))

    edges: dict[str, tuple[str, ...]] = {}
    for step in pipeline.steps:
        after = step.after
        # Within a notebook the analysis decides; edges to other notebooks stay as declared.
        if pipeline.order == "dataflow":
            programs = group_of[step.name].steps
            outside = filterfalse(programs.__contains__, after)
            after = (*outside, *programs[step.name].inside)

        before = dict.fromkeys((*after, *writers.of(step.deps)))
        # A step that reads what it writes itself does not wait for itself.
        before.pop(step.name, None)
        edges[step.name] = tuple(before)
    return edges


class _Writers:
    """The steps that write files, by path and by the folders that these lie in.

    Each path is looked up with its folders: comparing all pairs would take minutes where 10,000
    steps read and write files.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self._by_path: dict[str, str] = {}
        for step in steps:
            for out in step.writes:
                self._by_path[out] = step.name

        self._below: dict[str, list[str]] = {}
        for out, writer in self._by_path.items():
            for folder in _with_folders(out)[1:]:
                self._below.setdefault(folder, []).append(writer)

    def of(self, paths: Sequence[str]) -> Iterator[str]:
        """First who writes the paths or folders around them, then who writes files in them."""
        for path in paths:
            for place in _with_folders(path):
                if place in self._by_path:
                    yield self._by_path[place]
        for path in paths:
            yield from self._below.get(path, ())


def _with_folders(path: str) -> list[str]:
    """The path and the folders that it lies in."""
    places = [path]
    while path := posixpath.dirname(path):
        places.append(path)
    return places


def execution_order(pipeline: Pipeline, after: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The steps in an order in which they can run; UsageError where there is none."""
    try:
        return topological(after)
    except Cycle as cycle:
        # Cycles in `after` alone were refused with their line when the file was read.
        raise UsageError(
            f"the steps form a cycle: {cycle}",
            hint="take one of these edges away; "
            "a step also comes after the one that writes what it reads",
            where=Location(pipeline.target),
        ) from cycle
