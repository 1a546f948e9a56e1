"""Say where a model, a file or the results of a run came from, and what came of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from nbci.config import Project
    from nbci.git.process import Git
    from nbci.records.manifest import Manifest
    from nbci.registry.events import ModelState
    from nbci.registry.lineage import Lineage, Node
    from nbci.runs.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `nbci lineage`."""
    parser.add_argument("what", metavar="WHAT",
                        help="a model (digits, digits@v1.2.0, digits#production), a file, or a run")  # fmt: skip
    parser.add_argument(
        "--format", choices=("text", "json", "mermaid"), default="text", help="(default: text)"
    )


def main(arguments: argparse.Namespace) -> int:
    """Find it among files and runs first, then among released models; print what is known."""
    from nbci.config import find_project

    lineage, start = _find(find_project(Path.cwd()), arguments.what)
    part = lineage.around(start)
    if arguments.format == "json":
        print(json.dumps({"nodes": [{"id": n.id, **asdict(n)} for n in part.nodes.values()],
                          "edges": [asdict(edge) for edge in part.edges]}, indent=1, ensure_ascii=False))  # fmt: skip
    elif arguments.format == "mermaid":
        print("\n".join(mermaid(part)))
    else:
        print("\n".join(line for name in start for line in text(part, name)))
    return 0


def _find(project: Project, what: str) -> tuple[Lineage, list[str]]:
    from nbci.errors import UsageError
    from nbci.registry.grammar import parse_reference
    from nbci.registry.read import find_commit, find_model, read_manifest
    from nbci.runs.folder import all_runs, find_run

    names = {folder.run for folder in all_runs(project)}
    if what == "latest" or any(name.startswith(what) for name in names if len(what) >= 8):
        lineage = _of_run(find_run(project, what))
        return lineage, [name for name in lineage.nodes if not lineage.next_to(name, up=False)]
    git, models = _released(project)
    for lineage in _all(project, git, models):
        found = [
            node.id
            for node in lineage.nodes.values()
            if node.name == what and node.kind in ("file", "code")
        ]
        if found:
            return lineage, found
    if not models:
        raise UsageError(
            f"{what} is no run, no file of a run, and no released model",
            hint="nbci runs; nbci models",
        )
    reference = parse_reference(what)
    manifest = read_manifest(git, find_commit(find_model(models, reference.model), reference))
    if manifest is None:
        raise UsageError(f"the release of {what} carries no evidence of nbci")
    return _of_release(manifest), [f"model:{manifest.model}@{manifest.version}"]


def _all(project: Project, git: Git, models: Iterable[ModelState]) -> Iterator[Lineage]:
    """What is known of files: of the runs that are here, the newest first, then of the releases."""
    from nbci.registry.read import read_manifest
    from nbci.runs.folder import all_runs

    yield from map(_of_run, all_runs(project))
    versions = [version for model in models for version in model.versions]
    for version in sorted(versions, key=lambda version: version.registered.seconds, reverse=True):
        manifest = read_manifest(git, version.commit)
        if manifest is not None:
            yield _of_release(manifest)


def _released(project: Project) -> tuple[Git, tuple[ModelState, ...]]:
    from nbci.git.process import Git
    from nbci.registry.read import read_models

    git = Git(project.root)
    return git, read_models(git) if git.get("rev-parse", "--git-dir") is not None else ()


def _of_run(folder: RunFolder) -> Lineage:
    from nbci.registry.evidence import evidence_steps
    from nbci.registry.lineage import lineage_of

    plan = folder.read_plan()
    return lineage_of(evidence_steps(plan, folder.read()), _models(plan))


def _of_release(manifest: Manifest) -> Lineage:
    from nbci.registry.lineage import lineage_of

    return lineage_of(
        manifest.steps,
        {f"{manifest.model}@{manifest.version}": [ref.path for ref in manifest.files]},
    )


def _models(plan: object) -> dict[str, list[str]]:
    from nbci.pipeline.models import models_of
    from nbci.plan.model import Plan

    assert isinstance(plan, Plan)
    return {model.name: list(model.paths) for model in models_of(plan.models)}


def text(lineage: Lineage, start: str) -> Iterator[str]:
    """The node, its causes as a tree below `←`, its effects as one below `→`.

    What was shown is not shown again.
    """
    yield shown(lineage.nodes[start])
    seen = {start}
    yield from _tree(lineage, start, up=True, depth=1, seen=seen)
    yield from _tree(lineage, start, up=False, depth=1, seen=seen)


def _tree(lineage: Lineage, name: str, *, up: bool, depth: int, seen: set[str]) -> Iterator[str]:
    for edge in lineage.next_to(name, up=up):
        other = edge.source if up else edge.target
        arrow = "←" if up else "→"
        values = f"  ({', '.join(edge.values)})" if edge.values else ""
        again = "  …" if other in seen else ""
        yield f"{'  ' * depth}{arrow} {shown(lineage.nodes[other])}{values}{again}"
        if other not in seen:
            seen.add(other)
            yield from _tree(lineage, other, up=up, depth=depth + 1, seen=seen)


def shown(node: Node) -> str:
    """A node in words."""
    return f"{node.kind} {node.name}" + (f"  {node.note}" if node.note else "")


def mermaid(lineage: Lineage) -> Iterable[str]:
    """The graph as mermaid draws it."""
    numbers = {name: f"n{number}" for number, name in enumerate(lineage.nodes)}
    yield "flowchart LR"
    for name, node in lineage.nodes.items():
        label = f"{node.kind} {node.name}".replace('"', "#quot;")
        yield f'  {numbers[name]}["{label}"]'
    for edge in lineage.edges:
        words = f"|{', '.join(edge.values)}|" if edge.values else ""
        yield f"  {numbers[edge.source]} -->{words} {numbers[edge.target]}"
