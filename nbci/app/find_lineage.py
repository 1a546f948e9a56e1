"""Find a run, a file or a released model by what a person calls it, its lineage, and its runs."""

from __future__ import annotations

import itertools
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct

from nbci.errors import IntegrityError, UsageError
from nbci.formatting.durations import utc_text
from nbci.formatting.terminal import one_line
from nbci.git.process import Git
from nbci.pipeline.models import models_of
from nbci.registry.evidence import evidence_steps
from nbci.registry.grammar import parse_reference
from nbci.registry.lineage import SHOWN_DIGITS, lineage_of
from nbci.registry.read import find_commit, find_model, read_manifest, read_models
from nbci.runs.named_runs import find_any_run
from nbci.runs.project_runs import all_runs, sweep_folders, sweep_trials, trial_runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.config import Project
    from nbci.records.manifest import Manifest
    from nbci.records.run_record import RunRecord
    from nbci.registry.events import ModelState, Version
    from nbci.registry.lineage import Lineage, Node
    from nbci.runs.folder import RunFolder

Role = Literal["made", "reused", "read"]
_UNREADABLE = (IntegrityError, UsageError, OSError)
# A shorter beginning of a run's id may well be the name of a file.
_SHORTEST_RUN = 8


class FoundLineage(NamedTuple):
    """A graph, and the ids of the nodes in it that were asked for.

    `sources` are the digests of the notebooks in it, where a run here tells them.
    """

    lineage: Lineage
    nodes: list[str]
    sources: Mapping[str, str] = MappingProxyType({})


def find_lineage(project: Project, name: str) -> FoundLineage:
    """Look among runs and files, then among released models; UsageError for an unknown name."""
    if _is_run(project, name):
        return _lineage_of_results(find_any_run(project, name))

    git, models = _released_models(project)
    for lineage, sources in _lineages_of_files(project, git, models):
        nodes = _file_nodes(lineage, name)
        if nodes:
            return FoundLineage(lineage, nodes, sources)

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
    runs = itertools.chain(all_runs(project), trial_runs(project))
    return any(folder.run.startswith(name) for folder in runs)


def _lineage_of_results(folder: RunFolder) -> FoundLineage:
    """All that a run has, from its results: what nothing else was made of."""
    lineage, sources = _lineage_of_run(folder)
    results = [node for node in lineage.nodes if not lineage.next_to(node, up=False)]
    return FoundLineage(lineage, results, sources)


def _file_nodes(lineage: Lineage, name: str) -> list[str]:
    # A step or a model may have the name of a file; these are asked for in other ways.
    found = filter(_is_file, lineage.nodes.values())
    return [node.id for node in found if node.name == name]


def _is_file(node: Node) -> bool:
    return node.kind in ("file", "code")


def _lineage_of_model(git: Git, models: Sequence[ModelState], name: str) -> FoundLineage:
    reference = parse_reference(name)
    state = find_model(models, reference.model)
    manifest = read_manifest(git, find_commit(state, reference))
    # A model that GTO alone registered has tags, but no evidence.
    if manifest is None:
        raise UsageError(f"the release of {name} carries no evidence of nbci")
    where = _places_of(state, manifest)
    return FoundLineage(_lineage_of_release(manifest, where), [f"model:{_release(manifest)}"])


def _places_of(state: ModelState, manifest: Manifest) -> list[str]:
    """Where the release runs, in words: what came of it."""
    places = []
    for place, held in state.deployments.items():
        if held.current.version == manifest.version:
            places.append(f"deployed at {place} since {utc_text(held.current.seconds)[:16]}")
    return places


def _lineages_of_files(
    project: Project, git: Git, models: Sequence[ModelState]
) -> Iterator[tuple[Lineage, Mapping[str, str]]]:
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
            yield _lineage_of_release(manifest), {}


def _released_models(project: Project) -> tuple[Git, tuple[ModelState, ...]]:
    git = Git(project.root)
    # Runs and files have a lineage in a project without git, too.
    if git.get("rev-parse", "--git-dir") is None:
        return git, ()
    return git, read_models(git)


def _lineage_of_run(folder: RunFolder) -> tuple[Lineage, Mapping[str, str]]:
    """The graph, and the digests of the notebooks that the run was made of."""
    plan, record = folder.read_plan(), folder.read()
    models = {model.name: list(model.paths) for model in models_of(plan.models)}
    return lineage_of(evidence_steps(plan, record), models), record.sources or {}


def _lineage_of_release(manifest: Manifest, places: Sequence[str] = ()) -> Lineage:
    paths = [ref.path for ref in manifest.files]
    name = _release(manifest)
    notes = []
    if manifest.proof is not None:
        notes.append(manifest.proof.sentence)
    # By what its values were found is as much its origin as its data.
    if manifest.chosen is not None:
        notes.append(manifest.chosen.sentence)
    if manifest.because is not None:
        notes.append(str(manifest.because))
    notes += places
    by_release = {name: one_line("; ".join(notes))} if notes else {}
    return lineage_of(manifest.steps, {name: paths}, by_release)


def _release(manifest: Manifest) -> str:
    return f"{manifest.model}@{manifest.version}"


class RunsOfFile(Struct, frozen=True, kw_only=True):
    """The runs to which a file is the same thing, by their ids; of a `sweep` its trials.

    `node` is the file's in a lineage.
    """

    node: str
    role: Role
    sweep: str | None
    runs: tuple[str, ...]


def runs_of_files(
    project: Project, nodes: Iterable[Node], sources: Mapping[str, str]
) -> tuple[RunsOfFile, ...]:
    """The runs of each file or notebook among the nodes that more than one of them has.

    `sources` are the digests of notebooks that are meant. What cannot be read has no part in it.
    """
    wanted = {}
    for node in nodes:
        digest = node.note
        if node.kind == "code":
            digest = sources.get(node.name, "")
        if node.kind in ("file", "code") and digest:
            wanted[node.name, digest] = node.id
    # In the order of the runs: those of the project first, the newest first.
    found: dict[tuple[str, Role, str | None], list[str]] = {}
    for sweep, folder in _runs_and_trials(project):
        try:
            record = folder.read()
        except _UNREADABLE:
            continue
        for (name, digest), role in _files_of(record).items():
            node_id = wanted.get((name, digest))
            if node_id is not None:
                found.setdefault((node_id, role, sweep), []).append(record.run)

    # A file of one run alone is shared with nobody.
    count: dict[str, int] = {}
    for (node_id, _, _), runs in found.items():
        count[node_id] = count.get(node_id, 0) + len(runs)
    shared = []
    for (node_id, role, sweep), runs in found.items():
        if count[node_id] > 1:
            ids = tuple(sorted(runs))
            shared.append(RunsOfFile(node=node_id, role=role, sweep=sweep, runs=ids))
    return tuple(shared)


def _runs_and_trials(project: Project) -> Iterator[tuple[str | None, RunFolder]]:
    for folder in all_runs(project):
        yield None, folder
    for sweep in sweep_folders(project):
        for trial in sweep_trials(sweep):
            yield sweep.name, trial


def _files_of(record: RunRecord) -> dict[tuple[str, str], Role]:
    """The files of a run by path and digest, as the nodes of a lineage show it, and its part."""
    files: dict[tuple[str, str], Role] = {}
    for name, digest in (record.sources or {}).items():
        files[name, digest] = "read"
    for step in record.steps:
        if not step.ended_well:
            continue
        for ref in step.deps:
            # Who made a file also has steps that read it.
            files.setdefault((ref.path, ref.digest[:SHOWN_DIGITS]), "read")
        for ref in step.outs:
            role: Role = "reused" if step.result == "reused" else "made"
            files[ref.path, ref.digest[:SHOWN_DIGITS]] = role
    return files
