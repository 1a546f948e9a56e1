"""The model that may be trained again: its release, what makes it, and decisions on it."""

from __future__ import annotations

import itertools
import json
import platform
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import IntegrityError, UsageError
from nbci.git.process import REMOTE, Git, open_git
from nbci.params import assigned_in_environment, assigned_on_command_line, bind
from nbci.pipeline.expressions import references, substitute
from nbci.pipeline.models import models_of
from nbci.project.sources import read_target
from nbci.promotion.facts import find_promoter
from nbci.records.decision import Expected
from nbci.records.manifest import Promoter
from nbci.registry.champion import registry_name
from nbci.registry.decisions import fetch_decisions, read_decisions
from nbci.registry.grammar import parse_reference
from nbci.registry.read import fetch_models, find_commit, find_model, read_manifest, read_models
from nbci.runs.project_runs import all_runs
from nbci.runs.run_file import user_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.config import Project
    from nbci.pipeline.model import Pipeline
    from nbci.records.decision import Decision
    from nbci.records.manifest import Manifest
    from nbci.records.run_record import ParameterValue
    from nbci.registry.events import ModelState
    from nbci.registry.grammar import Reference

_LOOK_BACK = 20
_UNREADABLE = (IntegrityError, UsageError, OSError)


class ModelInUse(Struct, frozen=True, kw_only=True):
    """A released model, and what trains it.

    `name` is the registry's. `commit` is that of the release that counts now; `manifest` is its
    evidence, `pipeline` what the checkout has for its target today.
    """

    project: Project
    git: Git
    name: str
    commit: str
    manifest: Manifest
    pipeline: Pipeline

    @property
    def version(self) -> str:
        """The version that counts now."""
        return self.manifest.version

    @property
    def is_shared(self) -> bool:
        """Whether other machines see what is decided here."""
        return self.git.has_remote(REMOTE)


def find_model_in_use(project: Project, text: str) -> ModelInUse:
    """The model by the name that a person writes: `wine`, or a stage or version of it.

    Of a bare name, what is in the stage that its pipeline names counts, or the latest version. The
    tags and decisions of `origin` are fetched first: GitFailed where it cannot be reached.
    """
    reference = parse_reference(text)
    git = open_git(project.root)
    name = registry_name(git, reference.model)
    if git.has_remote(REMOTE):
        fetch_models(git, REMOTE, [name])
    state = find_model(read_models(git), name)
    # Any release of it says which pipeline makes it, and that says which stage counts.
    manifest = _read_release(git, find_commit(state, reference), text)
    pipeline = read_target(str(project.root / manifest.target)).pipeline
    commit = find_commit(state, _in_stage(state, reference, pipeline))
    return ModelInUse(
        project=project,
        git=git,
        name=name,
        commit=commit,
        manifest=_read_release(git, commit, text),
        pipeline=pipeline,
    )


def _in_stage(state: ModelState, reference: Reference, pipeline: Pipeline) -> Reference:
    """What is meant by a bare name: the stage that the pipeline promotes into, where it is used."""
    if reference.stage is not None or reference.version is not None:
        return reference
    # The registry puts the folder of a project before the name.
    short = state.model.rpartition(":")[2]
    for model in models_of(pipeline.models):
        if model.name == short and model.stage in state.stages:
            return parse_reference(f"{short}#{model.stage}")
    return reference


def _read_release(git: Git, commit: str, text: str) -> Manifest:
    manifest = read_manifest(git, commit)
    # A model that GTO alone registered has tags, but no evidence.
    if manifest is None:
        raise UsageError(
            f"the release of {text} carries no evidence of nbci",
            hint="only what nbci promote has released says which pipeline makes it",
        )
    return manifest


def known_decisions(git: Git, model: str) -> tuple[str | None, tuple[Decision, ...]]:
    """The end of the chain, and the decisions in it, after a look at `origin`."""
    tip = fetch_decisions(git, model)
    if tip is None:
        return None, ()
    return tip, read_decisions(git, model, tip)


def who_decides(git: Git, environ: Mapping[str, str], *, is_person: bool = False) -> Promoter:
    """Who is named in the chain; of a machine that git knows no name for, its user and host.

    No approval rests on that: a release's is asked for when it is promoted. UsageError where it
    has to be a person, and nothing names one.
    """
    try:
        return find_promoter(git, environ)
    except UsageError:
        user, host = user_name() or "nbci", platform.node() or "localhost"
        # Jenkins knows the name of who pressed its button, and not always an address.
        name = environ.get("GIT_COMMITTER_NAME") or user
        if is_person and name == user:
            raise
        return Promoter(name=name, email=f"{user}@{host}", user=user, host=host)


def parameters_of(model: ModelInUse, pairs: Sequence[str]) -> tuple[str, ...]:
    """The parameters of the new run as `-p` takes them: what the release was given, then `pairs`.

    What the release had from its own files is left to them: they may say better today. So is to
    this machine's environment where new data lie, if that of the release said it.
    """
    declared = {parameter.name for parameter in model.pipeline.params}
    given = []
    for parameter in model.manifest.params:
        is_left = _is_of_files(model, parameter) or _is_place_of_data(model, parameter)
        if parameter.name in declared and not is_left:
            given.append(f"{parameter.name}={_as_text(parameter.value)}")
    return (*given, *pairs)


def _is_of_files(model: ModelInUse, parameter: ParameterValue) -> bool:
    return parameter.source in (model.manifest.sources or {})


def _is_place_of_data(model: ModelInUse, parameter: ParameterValue) -> bool:
    if not parameter.source.startswith("environment "):
        return False
    named = references((model.pipeline.retrain or {}).get("data", {}))
    return any(reference.parameter == parameter.name for reference in named)


def wanted_data(
    model: ModelInUse, pairs: Sequence[str], environ: Mapping[str, str]
) -> Mapping[str, Any] | None:
    """What `retrain: {data: ...}` asks for, its parameters in place; None where it asks for none.

    As for a run: `pairs` are stronger than the environment, and this than the defaults.
    """
    wanted: Mapping[str, Any] | None = (model.pipeline.retrain or {}).get("data")
    if wanted is None or not references(wanted):
        return wanted
    named = {str(reference.parameter).lower() for reference in references(wanted)}
    # The environment may be that of the build that watches, whose other parameters are its own.
    layers = (
        [each for each in assigned_in_environment(environ) if each.name.lower() in named],
        assigned_on_command_line(pairs),
    )
    bound = bind(model.pipeline.params, layers)
    values: Mapping[str, Any] = substitute(
        dict(wanted), {parameter.name: parameter.value for parameter in bound}
    )
    return values


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def expected_cost(model: ModelInUse) -> Expected:
    """How long earlier runs of the pipeline here took; where none ran, what the release took."""
    target = model.manifest.target
    found = list(itertools.islice(_seconds_of_runs(model.project, target), _LOOK_BACK))
    if found:
        return Expected(seconds=round(median(found), 3), runs=len(found))
    # A clone of a CI has no runs: the evidence has the steps' times.
    spans = [_span(step.started_utc, step.ended_utc) for step in model.manifest.steps]
    if not any(spans):
        return Expected()
    return Expected(seconds=round(sum(spans), 3), runs=1)


def _seconds_of_runs(project: Project, target: str) -> Iterator[float]:
    for folder in all_runs(project):
        try:
            # Without its steps: a project may have thousands of runs.
            record = folder.read_header()
        except _UNREADABLE:
            continue
        # What was not computed took no time.
        is_like_it = record.target == target and record.same_as is None
        if is_like_it and record.result == "passed" and record.seconds:
            yield record.seconds


def _span(started: str | None, ended: str | None) -> float:
    if started is None or ended is None:
        return 0.0
    seconds = datetime.fromisoformat(ended) - datetime.fromisoformat(started)
    return max(seconds.total_seconds(), 0.0)


def with_id(decisions: Iterable[Decision], wanted: str) -> Decision | None:
    """The decision of that id."""
    return next((each for each in decisions if each.id == wanted), None)
