"""Promote a model of a run, with all that is here to look its baselines up in."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    return promote(project, folder, request, environ, find)
