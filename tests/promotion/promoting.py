"""Promotions by the tests themselves, and what became of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbci.app.promote_run import promote_run
from nbci.config import find_project
from nbci.git.process import Git
from nbci.promotion.promote import Promotion, Request
from nbci.registry.read import find_model, read_models
from nbci.runs.project_runs import find_run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.releases import Released

MODEL = "models/digits model.bin"


def promote_here(
    released: Released,
    run: str | None = None,
    environ: Mapping[str, str] | None = None,
    **asked: object,
) -> Promotion:
    """Promote, in this process."""
    project = find_project(released.project)
    request = Request(**asked)  # type: ignore[arg-type]  # each test names what it asks for
    return promote_run(
        project,
        find_run(project, run or released.runs[1]),
        request,
        {**os.environ, **(environ or {})},
    )


def run_again(released: Released) -> str:
    """A new run with nothing to do."""
    done = released.nbci("run", "pipeline.yaml", "-p", "C=2", "--quiet")
    assert done.returncode == 0, done.stderr
    return max(os.listdir(released.project / ".nbci/runs"))


def production_version(folder: Path) -> str | None:
    """What nbci says is in production, which must be what GTO says."""
    from gto.constants import VersionSort
    from gto.registry import GitRegistry

    stages = find_model(read_models(Git(folder)), "digits").stages
    found = stages["production"].current.version if "production" in stages else None
    with GitRegistry.from_url(str(folder)) as registry:
        artifact = registry.get_state().find_artifact("digits")
    for order in VersionSort:
        assigned = artifact.get_vstages(versions_per_stage=1, sort=order).get("production")
        assert (assigned[0].version if assigned else None) == found
    return found
