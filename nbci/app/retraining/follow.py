"""Follow a decision: its plan on a CI, or its run here, with the data that it learns from."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.promote_run import promote_run
from nbci.app.request import RunRequest
from nbci.app.retraining.model_in_use import known_decisions, with_id
from nbci.app.retraining.new_data import refuse_changed
from nbci.app.retraining.note_events import new_event, note_event, note_outcome, note_start
from nbci.app.run_target import run
from nbci.data.tracked import SUFFIX
from nbci.dot_nbci import NBCI_FOLDER
from nbci.engine.imports import place_imports, place_texts, put_back
from nbci.errors import IntegrityError, Location, NbciError, UsageError
from nbci.git.process import open_git
from nbci.pipeline.models import models_of
from nbci.promotion.promote import Request
from nbci.registry.champion import registry_name
from nbci.registry.decisions import decisions_ref
from nbci.runs.project_runs import find_run
from nbci.runs.run_file import new_run_id
from nbci.store.safe_paths import place_inside

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.app.request import Presentation
    from nbci.config import Project
    from nbci.git.process import Git
    from nbci.plan.model import Plan
    from nbci.promotion.promote import Promotion
    from nbci.records.decision import Decision
    from nbci.records.run_record import RunRecord

# A build that failed may be started again, by a person who stands behind that.
_MAY_START = ("decided", "started", "failed")
_NOT_THERE = frozenset((".git", ".dvc", NBCI_FOLDER))


def plan_of_decision(project: Project, plan: Plan, wanted: str, *, begins: bool) -> Plan:
    """The plan with its cause and its data; with `begins`, the decision has started from now on.

    A plan of another pipeline stays as it is: one environment may be that of several plans.
    """
    git = open_git(project.root)
    decision = _find_decision(git, plan, wanted)
    if decision.pipeline != plan.target:
        return plan
    if decision.state not in _MAY_START:
        raise UsageError(
            f"decision {decision.id} on {decision.model} has come to its end: {decision.state}",
            hint=f"nbci retrain {decision.model} makes a new one",
        )
    # Both may bring data: a timer that polls, and the decision, which is the stronger.
    imports = {**(plan.imports or {}), **checked_imports(project, decision)}
    plan = replace(plan, because=decision.cause, imports=imports or None)
    # The planning machine, too, may be one that runs steps.
    place_imports(project, plan)
    if begins:
        note_start(git, decision, None)
    return plan


def _find_decision(git: Git, plan: Plan, wanted: str) -> Decision:
    # An id alone does not say of which model it is.
    models = [registry_name(git, model.name) for model in models_of(plan.models)]
    for model in models:
        _, decisions = known_decisions(git, model)
        found = with_id(decisions, wanted)
        if found is not None:
            return found
    raise UsageError(
        f"there is no decision {wanted} on {' or '.join(models) or 'a model of this pipeline'}",
        hint="nbci decisions MODEL lists them",
    )


def checked_imports(project: Project, decision: Decision) -> dict[str, str]:
    """The `.dvc` files of the decision; IntegrityError for any that is no such file in here."""
    if decision.data is None:
        return {}
    for path in decision.data.imports:
        place_inside(project.root, path)
        if not path.endswith(SUFFIX) or not _NOT_THERE.isdisjoint(path.split("/")):
            raise IntegrityError(
                f"{path!r} is no .dvc file of the project",
                where=Location(decisions_ref(decision.model)),
            )
    return dict(decision.data.imports)


class CarriedOut(Struct, frozen=True, kw_only=True):
    """What a decision came to: its run, and the release, where one was asked for and made."""

    decision: Decision
    record: RunRecord
    promotion: Promotion | None = None


def carry_out(
    project: Project,
    decision: Decision,
    presentation: Presentation,
    *,
    command: tuple[str, ...],
    promotes: bool,
    environ: Mapping[str, str],
) -> CarriedOut:
    """Run what was decided here, note what came of it, and promote the model if that is asked for.

    Whatever ends it, its decision says so; where nothing can be written any more, the next call of
    `nbci retrain` finds out.
    """
    git = open_git(project.root)
    request = RunRequest(
        # Of a decision that waited, it is what others have written.
        target=str(place_inside(project.root, decision.pipeline)),
        resume=None,
        command=command,
        pairs=decision.params,
        run=new_run_id(time.time()),
        because=decision.cause,
        imports=checked_imports(project, decision) or None,
    )
    refuse_changed(project, git, decision.model, request.imports or ())
    # Before the run has its folder: who is killed in between has left its id.
    note_start(git, decision, request.run)
    try:
        # The user's checkout has its own versions again, whatever ends the run.
        with put_back(project, request.imports or ()):
            place_texts(project, request.imports or {})
            _, record = run(request, presentation)
    except BaseException as error:
        # What ended it is what people have to read, also where it cannot be noted now.
        with contextlib.suppress(NbciError):
            why = str(error) or type(error).__name__
            note_event(git, decision, new_event(git, "failed", why, run=request.run))
        raise
    noted = note_outcome(project, record) or decision
    promotion = None
    if promotes and noted.state == "passed":
        folder = find_run(project, record.run)
        # The pipeline file knows no folder of the repository.
        model = decision.model.rpartition(":")[2]
        promotion = promote_run(project, folder, Request(model=model), environ)
        # What the promotion has written is read back.
        _, decisions = known_decisions(git, decision.model)
        noted = with_id(decisions, decision.id) or noted
    return CarriedOut(decision=noted, record=record, promotion=promotion)
