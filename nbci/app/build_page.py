"""Gather what a build's page shows beside its run: models, parameters, and how the build ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbci.engine.prepare import mask_for
from nbci.errors import NbciError
from nbci.formatting.durations import utc_text
from nbci.jenkins.parameters import jenkins_parameter
from nbci.pipeline.models import models_of
from nbci.project.sources import read_target
from nbci.records.page import PageModel, PageParameter
from nbci.report.build_page import AroundRun, build_page
from nbci.report.data.view import build_shown_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.app.ending import Ending
    from nbci.config import Project
    from nbci.jenkins.parameters import JenkinsKind
    from nbci.params.parameter import Parameter
    from nbci.plan.model import Plan
    from nbci.records.page import BuildPage, ParameterKind
    from nbci.registry.events import ModelState
    from nbci.report.data.material import Material

_KINDS: dict[JenkinsKind, ParameterKind] = {
    # The others are named as the page names them; this one is a step of a Jenkinsfile.
    "booleanParam": "boolean",
    "string": "string",
    "choice": "choice",
    "text": "text",
}


def page_of_build(project: Project, material: Material, ending: Ending) -> BuildPage:
    """The page of the build that carried out the run of this material."""
    run = material.run
    steps = build_shown_steps(run.record, run.plan, run.notebooks, reused_too=material.reused_too)
    around = AroundRun(
        ending=ending.on_page,
        description=ending.description,
        models=tuple(_models(project, run.plan)),
        parameters=tuple(_parameters(project, run.plan)),
    )
    return build_page(material, steps, around, mask_for(project, run.plan, os.environ))


def _models(project: Project, plan: Plan) -> Iterator[PageModel]:
    """The pipeline's models in their stages, from the tags that are here."""
    if not plan.models:
        return
    from nbci.git.process import Git
    from nbci.registry.read import read_models

    git = Git(project.root)
    names = {model.name for model in models_of(plan.models)}
    try:
        # A project need not be a repository.
        if git.get("rev-parse", "--git-dir") is None:
            return
        found = read_models(git)
    except NbciError:
        # The report, which names the releases of the run, says why they cannot be read.
        return
    for model in found:
        # GTO writes an artifact of a folder as `folder:name`.
        if model.model.rpartition(":")[2] in names:
            yield from _versions_now(model)


def _versions_now(model: ModelState) -> Iterator[PageModel]:
    """What is in each stage, and the latest version where it is in none."""
    in_stages: set[str] = set()
    for name, stage in model.stages.items():
        # GTO can put a commit into a stage that no version stands on.
        if stage.current.version is None:
            continue
        in_stages.add(stage.current.version)
        yield PageModel(
            model=model.model,
            version=stage.current.version,
            stage=name,
            promoted_utc=utc_text(stage.current.seconds),
        )

    latest = model.latest
    if latest is not None and latest.version not in in_stages:
        yield PageModel(
            model=model.model,
            version=latest.version,
            stage="",
            promoted_utc=utc_text(latest.registered.seconds),
        )


def _parameters(project: Project, plan: Plan) -> Iterator[PageParameter]:
    """What the target asks for now; nothing where it can no longer be read."""
    try:
        pipeline = read_target(str(project.root / plan.target)).pipeline
    except NbciError:
        return
    for parameter in pipeline.params:
        yield _on_page(parameter)


def _on_page(parameter: Parameter) -> PageParameter:
    asked = jenkins_parameter(parameter)
    kind = parameter.type
    return PageParameter(
        name=asked.name,
        # The choices stand beside it.
        type=kind.kind if kind.choices else str(kind),
        kind=_KINDS[asked.kind],
        default=asked.default,
        choices=asked.choices,
        help=asked.help,
        optional=asked.optional,
    )
