"""Promote a model of a run, with all that is here to look its baselines up in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.errors import InfrastructureError, NbciError
from nbci.gates.baseline import Baseline
from nbci.gates.baselines import Search, find_baseline
from nbci.promotion.promote import promote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.config import Project
    from nbci.promotion.promote import Promotion, Request
    from nbci.runs.folder import RunFolder


def promote_run(
    project: Project, folder: RunFolder, request: Request, environ: Mapping[str, str]
) -> Promotion:
    """Promote; the gates' baselines must be what the verdict was made with."""

    def find(asked: str) -> tuple[str, str | None]:
        # The plan of the run, since the pipeline's file may have changed after it.
        search = Search(project=project, plan=folder.read_plan(), run=folder.run, environ=environ)
        found = find_baseline(asked, search).baseline
        if isinstance(found, Baseline):
            return found.source, found.identity
        return found.reason, None

    done = promote(project, folder, request, environ, find)
    _note_promotion(project, folder, done)
    return done


def _note_promotion(project: Project, folder: RunFolder, done: Promotion) -> None:
    """Tell the decision that started the run, where one did."""
    record = folder.read_header()
    if record.because is None:
        return
    # Hardly any run was started by a decision.
    from nbci.app.retraining.note_events import explain_unnoted, note_promotion

    try:
        note_promotion(project, record, done)
    except NbciError as error:
        raise InfrastructureError(
            f"{done.model} {done.version} is promoted, but {explain_unnoted(error, record)}",
            hint="nbci promote again: what is done stays as it is",
        ) from error
