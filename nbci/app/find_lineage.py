"""Find a run, a file or a released model by what a person calls it, and the lineage that has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nbci.errors import UsageError
from nbci.formatting.terminal import one_line
from nbci.git.process import Git
from nbci.pipeline.models import models_of
from nbci.registry.evidence import evidence_steps
from nbci.registry.grammar import parse_reference
from nbci.registry.lineage import lineage_of
from nbci.registry.read import find_commit, find_model, read_manifest, read_models
from nbci.runs.project_runs import all_runs, find_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.config import Project
    from nbci.records.manifest import Manifest
    from nbci.registry.events import ModelState, Version
    from nbci.registry.lineage import Lineage, Node
    from nbci.runs.folder import RunFolder

# A shorter beginning of a run's id may well be the name of a file.
_SHORTEST_RUN = 8


class FoundLineage(NamedTuple):
    """A graph, and the ids of the nodes in it that were asked for."""

    lineage: Lineage
    nodes: list[str]


def find_lineage(project: Project, name: str) -> FoundLineage:
    """Look among runs and files, then among released models; UsageError for an unknown name."""
    if _is_run(project, name):
        return _lineage_of_results(find_run(project, name))

    git, models = _released_models(project)
    for lineage in _lineages_of_files(project, git, models):
        nodes = _file_nodes(lineage, name)
        if nodes:
            return FoundLineage(lineage, nodes)

    if not models:
        raise UsageError(
            f"{name} is no run, no file of a run, and no released model",
            hint="nbci runs; nbci models",
        )
    return _lineage_of_model(git, models, name)


def _is_run(project: Project, name: str) -> bool:
    if name == "latest":
        return True
    if len(name) < _SHORTEST_RUN:
        return False
    return any(folder.run.startswith(name) for folder in all_runs(project))


def _lineage_of_results(folder: RunFolder) -> FoundLineage:
    """All that a run has, from its results: what nothing else was made of."""
    lineage = _lineage_of_run(folder)
    results = [node for node in lineage.nodes if not lineage.next_to(node, up=False)]
    return FoundLineage(lineage, results)


def _file_nodes(lineage: Lineage, name: str) -> list[str]:
    # A step or a model may have the name of a file; these are asked for in other ways.
    found = filter(_is_file, lineage.nodes.values())
    return [node.id for node in found if node.name == name]


def _is_file(node: Node) -> bool:
    return node.kind in ("file", "code")


def _lineage_of_model(git: Git, models: Sequence[ModelState], name: str) -> FoundLineage:
    reference = parse_reference(name)
    manifest = read_manifest(git, find_commit(find_model(models, reference.model), reference))
    # A model that GTO alone registered has tags, but no evidence.
    if manifest is None:
        raise UsageError(f"the release of {name} carries no evidence of nbci")
    return FoundLineage(_lineage_of_release(manifest), [f"model:{_release(manifest)}"])


def _lineages_of_files(
    project: Project, git: Git, models: Sequence[ModelState]
) -> Iterator[Lineage]:
    """Those of the runs that are here, the newest first, then those of the releases.

    Releases come second: a run here says what the file in the workspace was made of last.
    """
    for folder in all_runs(project):
        yield _lineage_of_run(folder)

    versions: list[Version] = []
    for model in models:
        versions += model.versions
    versions.sort(key=lambda version: version.registered.seconds, reverse=True)
    for version in versions:
        manifest = read_manifest(git, version.commit)
        if manifest is not None:
            yield _lineage_of_release(manifest)


def _released_models(project: Project) -> tuple[Git, tuple[ModelState, ...]]:
    git = Git(project.root)
    # Runs and files have a lineage in a project without git, too.
    if git.get("rev-parse", "--git-dir") is None:
        return git, ()
    return git, read_models(git)


def _lineage_of_run(folder: RunFolder) -> Lineage:
    plan = folder.read_plan()
    models = {model.name: list(model.paths) for model in models_of(plan.models)}
    return lineage_of(evidence_steps(plan, folder.read()), models)


def _lineage_of_release(manifest: Manifest) -> Lineage:
    paths = [ref.path for ref in manifest.files]
    name = _release(manifest)
    notes = {}
    if manifest.proof is not None:
        notes[name] = one_line(manifest.proof.sentence)
    return lineage_of(manifest.steps, {name: paths}, notes)


def _release(manifest: Manifest) -> str:
    return f"{manifest.model}@{manifest.version}"
