"""The lanes of a sweep: as many workspaces as trials go on at once, and what these share."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.app.reruns.earlier_run import EarlierRun
from nbci.app.sweeps.lane import Lane, Shared
from nbci.config import SWEEP_STORAGE
from nbci.engine.kernel_source import KernelSource
from nbci.engine.prepare import header
from nbci.engine.steps.gpu import GpuPool
from nbci.engine.steps.side_by_side import SideBySide
from nbci.errors import NbciError
from nbci.git.checkout import is_in_repository
from nbci.git.process import Git
from nbci.kernels.descriptors import kernels_at_once
from nbci.project.sources import read_notebooks
from nbci.runs.project_runs import all_runs
from nbci.workspaces.workspace import Contents, open_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nbci.app.sweeps.claims import Claims
    from nbci.app.sweeps.sweep_folder import SweepFolder
    from nbci.app.sweeps.sweep_listener import Listener
    from nbci.config import Project
    from nbci.engine.ready import Ready
    from nbci.plan.model import Plan
    from nbci.project.sources import Target
    from nbci.sweeps.study_record import SweepRecord


class Prepared(Struct, frozen=True, kw_only=True):
    """A sweep that this machine can carry out; its folder is held by this process.

    `ready` is its plan with no parameter searched.
    """

    target: Target
    sweep: SweepRecord
    ready: Ready
    folder: SweepFolder


@contextlib.contextmanager
def open_lanes(
    work: Prepared, jobs: int | None, listener: Listener, claims: Claims | None = None
) -> Iterator[Sequence[Lane]]:
    """A workspace for each trial that goes on at once, and the kernels of all of them.

    `claims` say which machine makes a result, where several are at work.
    """
    project, plan, ready = work.target.project, work.ready.plan, work.ready
    tell = listener.noticed
    at_once = kernels_at_once(jobs or project.jobs or os.cpu_count() or 1)
    # A zygote serves all steps, so it gets no secret; each kernel is given its own ones.
    hidden = {*ready.secrets, SWEEP_STORAGE}
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    kernels = KernelSource(project.root, environ, tell)
    shared = Shared(
        sweep=work.sweep,
        target=work.target,
        folder=work.folder.path,
        # Once for all trials: it asks git what is checked out.
        header=header("", plan, project.root, work.sweep.command, ready.mask),
        cache=ready.cache,
        kernels=kernels,
        gpus=GpuPool(environ=os.environ, noticed=tell),
        # What another machine made is of use only where results are shared with it.
        others=SideBySide(at_once, claims if ready.cache.elsewhere is not None else None),
        jobs=at_once,
        tell=tell,
        step_begun=listener.step_begun,
    )
    contents = _contents(project, plan)
    with contextlib.ExitStack() as stack:
        lanes = []
        # Trials side by side write the same outs: each needs a folder of its own.
        for number in range(1, work.sweep.parallel + 1):
            folder = f"sweep-{work.sweep.sweep}-{number}"
            workspace = stack.enter_context(open_workspace(project, folder, contents))
            # Read in the workspace: what has changed since the target was read is refused.
            notebooks = read_notebooks(workspace.project, plan.sources or {})
            lane = Lane(str(number), shared, workspace, notebooks, contents.without)
            stack.callback(lane.close)
            lanes.append(lane)
        # Closed before the workspaces are removed, where kernels may still write.
        stack.callback(kernels.close)
        kernels.open(spares=min(at_once, work.sweep.parallel) - 1)
        yield lanes


def _contents(project: Project, plan: Plan) -> Contents:
    """The files that trials need: what git has, what is declared, and what was used before.

    The newest run of the target tells what its steps use undeclared, and git ignores.
    """
    also = dict.fromkeys(plan.sources or {})
    for step in plan.steps:
        also.update(dict.fromkeys(step.deps))
    contents = Contents(also=tuple(also), without=tuple(plan.writes))
    for folder in all_runs(project):
        # A damaged record only tells less of what steps use.
        with contextlib.suppress(NbciError, OSError):
            begun = folder.read_header()
            if begun.target != plan.target:
                continue
            made = folder.made_by(begun)
            before = EarlierRun(
                project=project, folder=made, record=made.read(), plan=made.read_plan(), commit=None
            ).contents(plan)
            tracked = _tracked_by_git(project.root)
            # What steps wrote undeclared is theirs, unless it is a file of the project.
            written = [path for path in before.without if path not in tracked]
            return Contents(
                also=(*contents.also, *before.also),
                folders=before.folders,
                without=(*contents.without, *written),
            )
    return contents


def _tracked_by_git(root: Path) -> frozenset[str]:
    """The paths of the project that git tracks; none where it is in no repository."""
    if not is_in_repository(root):
        return frozenset()
    listed = Git(root).bytes("ls-files", "-z")
    return frozenset(map(os.fsdecode, listed.split(b"\0")))
