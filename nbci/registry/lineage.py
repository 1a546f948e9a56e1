"""Compute where something came from and what came of it.

A model comes from files, these from steps, and steps from data, code and parameters.
"""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from nbci.graph import reachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.records.manifest import EvidenceStep
    from nbci.records.run_record import FileRef

Kind = Literal["model", "step", "file", "code", "parameter"]
SHOWN_DIGITS = 10
"""Of a file's digest in a node's note: enough to tell one state of it from another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of the graph.

    `name` is unique within its `kind`; `note` says which state is meant: a run, a digest. Nodes of
    one `family` do the same for other values: the steps of a matrix, what each of them writes.
    """

    kind: Kind
    name: str
    note: str = ""
    family: str = ""

    @property
    def id(self) -> str:
        """Unique in the graph."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """`source` went into `target`; `values` are the variables that passed, between steps."""

    source: str
    target: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A graph of causes and effects, without cycles."""

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]

    def around(self, start: Iterable[str]) -> Lineage:
        """The part that leads to these nodes or comes of them."""
        begin = list(start)
        kept = self.causes_of(begin) | self._closure(begin, up=False)
        nodes = {name: node for name, node in self.nodes.items() if name in kept}
        edges = [edge for edge in self.edges if edge.source in kept and edge.target in kept]
        return Lineage(nodes=nodes, edges=tuple(edges))

    def causes_of(self, start: Iterable[str]) -> set[str]:
        """These nodes and everything that leads to them."""
        return self._closure(start, up=True)

    def next_to(self, name: str, *, up: bool) -> tuple[Edge, ...]:
        """The edges from the causes of a node (`up`), or to its effects."""
        found = []
        for edge in self.edges:
            end = edge.source
            if up:
                end = edge.target
            if end == name:
                found.append(edge)
        return tuple(found)

    def _closure(self, start: Iterable[str], *, up: bool) -> set[str]:
        ends: dict[str, list[str]] = defaultdict(list)
        for edge in self.edges:
            here, there = edge.source, edge.target
            if up:
                here, there = there, here
            ends[here].append(there)
        return reachable(start, ends)


def lineage_of(
    steps: Iterable[EvidenceStep],
    models: Mapping[str, Iterable[str]],
    notes: Mapping[str, str] | None = None,
) -> Lineage:
    """The graph of a run's steps, and of models with the paths of their files, and their notes."""
    known = list(steps)
    outs = _Outs(known)
    gave: dict[tuple[str, str], str] = {}
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str], Edge] = {}
    for step in known:
        for node, edge in _around_step(step, outs, gave):
            nodes.setdefault(node.id, node)
            if edge is not None:
                edges.setdefault((edge.source, edge.target), edge)
        # after the edges of the step itself: a step takes values of earlier steps only
        for value in step.gives:
            gave[value.name, value.object] = step.name

    # after all steps, because the files of models are looked up among the nodes of the steps
    for model, paths in models.items():
        node = Node(kind="model", name=model, note=(notes or {}).get(model, ""))
        nodes[node.id] = node
        for path in paths:
            for file in _files_around(path, nodes) or [Node(kind="file", name=path)]:
                nodes.setdefault(file.id, file)
                edges[file.id, node.id] = Edge(source=file.id, target=node.id)
    return Lineage(nodes=nodes, edges=tuple(edges.values()))


class _Outs:
    """What steps wrote, to find what holds a path or lies in it."""

    def __init__(self, steps: Iterable[EvidenceStep]) -> None:
        self._by_path: dict[str, list[FileRef]] = {}
        for step in steps:
            for out in step.outs:
                self._by_path.setdefault(out.path, []).append(out)
        self._paths = sorted(self._by_path)

    def around(self, path: str) -> Iterator[FileRef]:
        """The outs that hold the path, and those that lie in it."""
        # a dependency may be a file in a folder that a step wrote as a whole
        folder = posixpath.dirname(path)
        while folder not in ("", "/"):
            yield from self._by_path.get(folder, ())
            folder = posixpath.dirname(folder)

        # Paths inside a folder stand together in sorted order: no search through all outs per dep.
        inside = f"{path.rstrip('/')}/"
        for out in self._paths[bisect_left(self._paths, inside) :]:
            if not out.startswith(inside):
                break
            yield from self._by_path[out]


def _around_step(
    step: EvidenceStep, outs: _Outs, gave: Mapping[tuple[str, str], str]
) -> Iterator[tuple[Node, Edge | None]]:
    note = ""
    if step.run:
        note = f"run {step.run}"
    family = _family(step)
    here = Node(kind="step", name=step.name, note=note, family=family)
    yield here, None
    code = Node(kind="code", name=step.notebook)
    yield code, Edge(source=code.id, target=here.id)
    for name, value in (step.params or {}).items():
        parameter = Node(kind="parameter", name=f"{name} = {value!r}", family=name)
        yield parameter, Edge(source=parameter.id, target=here.id)
    for ref in step.deps:
        yield _file(ref), Edge(source=f"file:{ref.path}", target=here.id)
        for out in outs.around(ref.path):
            yield _file(out), Edge(source=f"file:{out.path}", target=f"file:{ref.path}")
    for at, ref in enumerate(step.outs):
        written = replace(_file(ref), family=f"{family}, out {at}")
        yield written, Edge(source=here.id, target=written.id)
    for giver, names in _values(step, gave).items():
        yield here, Edge(source=f"step:{giver}", target=here.id, values=names)


def _family(step: EvidenceStep) -> str:
    """A text that the steps of one matrix have in common, and others do not."""
    node, _, _ = step.name.partition("/")
    taken = sorted(value.name for value in step.takes)
    given = sorted(value.name for value in step.gives)
    files = (len(step.deps), len(step.outs))
    # The record has no matrix, and steps of one node that pass the same names on are of one.
    return repr((node, step.notebook, list(step.params or ()), taken, given, files))


def _values(step: EvidenceStep, gave: Mapping[tuple[str, str], str]) -> dict[str, tuple[str, ...]]:
    """The variables that the step took, by the step that gave them.

    Where several steps gave the same object under that name, the last of them counts.
    """
    found: dict[str, list[str]] = {}
    for value in step.takes:
        # a value of a step that has no result here is left out
        giver = gave.get((value.name, value.object))
        if giver is not None:
            found.setdefault(giver, []).append(value.name)
    return {name: tuple(values) for name, values in found.items()}


def _files_around(path: str, nodes: Mapping[str, Node]) -> list[Node]:
    """The files and folders known that are this one, hold it, or lie in it."""
    found = []
    for node in nodes.values():
        is_inside_or_around = _lies_in(path, node.name) or _lies_in(node.name, path)
        if node.kind == "file" and (node.name == path or is_inside_or_around):
            found.append(node)
    return found


def _file(ref: FileRef) -> Node:
    return Node(kind="file", name=ref.path, note=ref.digest[:SHOWN_DIGITS])


def _lies_in(path: str, folder: str) -> bool:
    # evidence has a folder as the pipeline names it, perhaps with a slash at its end
    return path.startswith(f"{folder.rstrip('/')}/")
