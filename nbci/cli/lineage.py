"""Say where a model, a file or the results of a run came from, and what came of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.cli.arguments import print_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from nbci.registry.lineage import Lineage, Node


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
    from nbci.app.find_lineage import find_lineage
    from nbci.config import find_project

    lineage, nodes = find_lineage(find_project(Path.cwd()), arguments.what)
    # Of a large run most has nothing to do with what was asked for.
    part = lineage.around(nodes)
    if arguments.format == "json":
        print_json(_document(part), ascii_only=False)
    elif arguments.format == "mermaid":
        print("\n".join(_mermaid_lines(part)))
    else:
        for node in nodes:
            print("\n".join(_text_lines(part, node)))
    return 0


def _document(lineage: Lineage) -> dict[str, Any]:
    nodes = [{"id": node.id, **asdict(node)} for node in lineage.nodes.values()]
    return {"nodes": nodes, "edges": lineage.edges}


def _text_lines(lineage: Lineage, start: str) -> Iterator[str]:
    """The node, the tree of what it came from (`←`), and the tree of what came of it (`→`)."""
    yield _node(lineage.nodes[start])
    # Both trees share it: a graph drawn as a tree would show what several steps use many times.
    shown = {start}
    yield from _tree(lineage, start, up=True, depth=1, shown=shown)
    yield from _tree(lineage, start, up=False, depth=1, shown=shown)


def _tree(lineage: Lineage, name: str, *, up: bool, depth: int, shown: set[str]) -> Iterator[str]:
    for edge in lineage.next_to(name, up=up):
        arrow, other = "→", edge.target
        if up:
            arrow, other = "←", edge.source
        line = f"{'  ' * depth}{arrow} {_node(lineage.nodes[other])}"
        if edge.values:
            line += f"  ({', '.join(edge.values)})"
        if other in shown:
            yield f"{line}  …"
            continue
        yield line
        shown.add(other)
        yield from _tree(lineage, other, up=up, depth=depth + 1, shown=shown)


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
