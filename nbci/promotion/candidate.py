"""Check a run whose model is to be promoted, before anything is written or sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.data.sharing import shared_cache
from nbci.git.branches import built_branch
from nbci.git.process import open_git
from nbci.promotion.checks import check_clean, check_passed, model_outs, pick_model
from nbci.promotion.facts import ElsewhereError, check_branch, find_promoter
from nbci.promotion.profiling import data_of
from nbci.promotion.proof_check import check_proved
from nbci.registry.champion import registry_name
from nbci.registry.grammar import check_model_name, check_stage_name
from nbci.web_pages import build_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.config import Project
    from nbci.git.process import Git
    from nbci.pipeline.models import Model
    from nbci.plan.model import Plan
    from nbci.records.git_state import GitState
    from nbci.records.manifest import Promoter, ReleaseProof
    from nbci.records.run_record import FileRef, RunRecord
    from nbci.runs.folder import RunFolder
    from nbci.store.artifacts import Artifacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A run that may be promoted.

    `name` is the model's in the registry, `outs` what the run recorded of it, `data` by path what
    it recorded of the data that a profile is to be made of.
    """

    project: Project
    git: Git
    plan: Plan
    record: RunRecord
    spec: Model
    name: str
    stage: str | None
    built: GitState
    branch: str | None
    by: Promoter
    build: str | None
    seal: str
    signature: str | None
    outs: tuple[FileRef, ...]
    data: Mapping[str, tuple[FileRef, ...]]
    proof: ReleaseProof | None
    artifacts: Artifacts

    @property
    def commit(self) -> str:
        """The commit that was built."""
        # `check_clean` has refused runs that were of no commit
        return self.built.commit or ""

    @property
    def notes(self) -> dict[str, str | None]:
        """The `Key: value` lines that end the messages of the commit and the tags."""
        chosen, because = self.record.chosen, self.record.because
        return {
            "Nbci-Event": "promote",
            "Nbci-Run": self.record.run,
            "Nbci-Chosen": None if chosen is None else chosen.sentence,
            "Nbci-Because": None if because is None else str(because),
            "Nbci-Branch": self.branch,
            "Nbci-Build": self.build,
        }


def check_run(
    project: Project,
    folder: RunFolder,
    environ: Mapping[str, str],
    *,
    model: str | None,
    stage: str | None,
) -> Candidate:
    """The run as a candidate, with the pipeline's only model and that model's stage by default."""
    record, plan = folder.read(), folder.read_plan()
    spec = pick_model(plan, model)
    _refuse_forks(plan, record, spec)
    check_passed(plan, record)
    seal = folder.check_seal(project.signers_file)
    git = open_git(project.root)
    # outs may be tracked by git, and the run itself has just changed them
    built = check_clean(git, record, [*plan.writes, *(plan.imports or {})])
    branch = built_branch(built.branch, environ)
    check_branch(spec.name, spec.branches, branch, environ)
    proof = check_proved(spec, plan, record, folder, project.signers_file)
    stage = stage or spec.stage
    check_model_name(spec.name)
    if stage:
        check_stage_name(stage)
    return Candidate(
        project=project,
        git=git,
        plan=plan,
        record=record,
        spec=spec,
        name=registry_name(git, spec.name),
        stage=stage,
        built=built,
        branch=branch,
        by=find_promoter(git, environ),
        build=build_url(environ),
        seal=seal,
        signature=folder.signature,
        outs=model_outs(spec, record),
        data=data_of(spec, record),
        proof=proof,
        artifacts=_artifacts(project, environ),
    )


def _refuse_forks(plan: Plan, record: RunRecord, spec: Model) -> None:
    if plan.fork is not None:
        raise ElsewhereError(
            f"run {record.run} is of a change from a fork; "
            f"{spec.name} is promoted from branches only",
            hint=f"promote the build of {plan.fork.branch} once the change is merged",
        )


def _artifacts(project: Project, environ: Mapping[str, str]) -> Artifacts:
    """The artifacts kept here; others come from the shared remote when needed."""
    # a run of another machine left its objects at the shared remote
    return shared_cache(project, environ).artifacts
