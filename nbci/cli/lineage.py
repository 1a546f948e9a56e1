"""Say where a model, a file or the results of a run came from, and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.cli.arguments import print_json
from nbci.formatting.numbers import counted, listed
from nbci.formatting.terminal import one_line
from nbci.records.codec import plain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from nbci.app.find_lineage import RunsOfFile
    from nbci.registry.lineage import Edge, Lineage, Node

_NAMED = 3
# From so many on, nodes that do the same for other values stand on one line.
_FOLDED_FROM = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci lineage`."""
    parser.add_argument(
        "what",
        metavar="WHAT",
        help="a model (digits, digits@v1.2.0, digits#production), a file, or a run",
    )
    parser.add_argument(
        "--format", choices=("text", "json", "mermaid"), default="text", help="(default: text)"
    )


def main(arguments: argparse.Namespace) -> int:
    """Look the name up among files and runs, then among models; print its lineage."""
    from nbci.app.find_lineage import find_lineage, runs_of_files
    from nbci.config import find_project

    project = find_project(Path.cwd())
    lineage, nodes, sources = find_lineage(project, arguments.what)
    # Of a large run most has nothing to do with what was asked for.
    part = lineage.around(nodes)
    shared = runs_of_files(project, part.nodes.values(), sources)
    if arguments.format == "json":
        print_json(_document(part, shared), ascii_only=False)
    elif arguments.format == "mermaid":
        print("\n".join(_mermaid_lines(part)))
    else:
        for node in nodes:
            print("\n".join(_text_lines(part, node)))
        for line in _shared_lines(part, shared):
            print(line)
    return 0


def _document(lineage: Lineage, shared: Sequence[RunsOfFile]) -> dict[str, Any]:
    nodes = []
    for node in lineage.nodes.values():
        nodes.append({"id": node.id, "kind": node.kind, "name": node.name, "note": node.note})
    runs = [plain(one) for one in shared]
    return {"nodes": nodes, "edges": lineage.edges, "runs": runs}


def _shared_lines(lineage: Lineage, shared: Sequence[RunsOfFile]) -> Iterator[str]:
    """A line for all files that the same runs share, however many files and runs these are."""
    of_node: dict[str, list[RunsOfFile]] = {}
    for one in shared:
        of_node.setdefault(one.node, []).append(one)
    alike: dict[str, list[str]] = {}
    for node, runs in of_node.items():
        who = "; ".join(map(_who, runs))
        alike.setdefault(who, []).append(one_line(lineage.nodes[node].name))
    if alike:
        yield ""
    for who, names in alike.items():
        yield f"{listed(names, _NAMED)}: {who}"


def _who(one: RunsOfFile) -> str:
    noun = "run" if one.sweep is None else "trial"
    who = f"{noun} {one.runs[0]}"
    if len(one.runs) > 1:
        who = counted(len(one.runs), noun)
        # The trials of a sweep are found by its id.
        if one.sweep is None:
            who += f" ({one.runs[0]} … {one.runs[-1]})"
    if one.sweep is not None:
        who += f" of sweep {one.sweep}"
    return f"{one.role} by {who}"


def _text_lines(lineage: Lineage, start: str) -> Iterator[str]:
    """The node, the tree of what it came from (`←`), and the tree of what came of it (`→`)."""
    yield _node(lineage.nodes[start])
    # Both trees share it: a graph drawn as a tree would show what several steps use many times.
    shown = {start}
    yield from _tree(lineage, [start], up=True, depth=1, shown=shown)
    yield from _tree(lineage, [start], up=False, depth=1, shown=shown)


def _tree(
    lineage: Lineage, names: Sequence[str], *, up: bool, depth: int, shown: set[str]
) -> Iterator[str]:
    """What the nodes came from, or what came of them; many that are alike stand on one line."""
    edges: dict[str, Edge] = {}
    for name in names:
        for edge in lineage.next_to(name, up=up):
            edges.setdefault(edge.source if up else edge.target, edge)
    arrow = "←" if up else "→"
    for group in _groups(lineage, edges, shown):
        # A branch before this one may have come upon some of them.
        new = [name for name in group if name not in shown]
        line = f"{'  ' * depth}{arrow} {_nodes([lineage.nodes[name] for name in new or group])}"
        values = edges[group[0]].values
        if values:
            line += f"  ({', '.join(values)})"
        if not new:
            yield f"{line}  …"
            continue
        yield line
        shown.update(new)
        yield from _tree(lineage, new, up=up, depth=depth + 1, shown=shown)


def _groups(lineage: Lineage, names: Iterable[str], shown: Collection[str]) -> list[list[str]]:
    """The nodes one by one, but for those of one family where these are many."""
    families: dict[tuple[str, str, bool], list[str]] = {}
    for name in names:
        node = lineage.nodes[name]
        # What has been shown stands for itself: its own causes are not shown again.
        key = (node.kind, node.family or node.name, name in shown)
        families.setdefault(key, []).append(name)
    groups = []
    for family in families.values():
        if len(family) < _FOLDED_FROM:
            groups += [[name] for name in family]
        else:
            groups.append(family)
    return groups


def _nodes(nodes: Sequence[Node]) -> str:
    if len(nodes) == 1:
        return _node(nodes[0])
    return f"{counted(len(nodes), nodes[0].kind)} {nodes[0].name} … {nodes[-1].name}"


def _node(node: Node) -> str:
    text = f"{node.kind} {node.name}"
    if node.note:
        text += f"  {node.note}"
    return text


def _mermaid_lines(lineage: Lineage) -> Iterable[str]:
    """The graph as a flowchart; file names are labels, because mermaid's ids are plain words."""
    # As in `nbci plan --format mermaid`: names may be words of mermaid's own, such as `end`.
    numbers = {name: f"n{number}" for number, name in enumerate(lineage.nodes)}
    yield "flowchart LR"
    for name, node in lineage.nodes.items():
        # Mermaid has no escape for a quote but this entity of its own.
        label = f"{node.kind} {node.name}".replace('"', "#quot;")
        yield f'  {numbers[name]}["{label}"]'
    for edge in lineage.edges:
        label = f"|{', '.join(edge.values)}|" if edge.values else ""
        yield f"  {numbers[edge.source]} -->{label} {numbers[edge.target]}"
