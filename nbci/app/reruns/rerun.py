"""Carry steps of an earlier run out once more, in a workspace, as a run that belongs to it."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.reruns.earlier_run import USED
from nbci.engine.observed.before_resume import first_change
from nbci.engine.observed.kinds import WRITTEN
from nbci.engine.prepare import header
from nbci.engine.ready import make_ready
from nbci.engine.run import RunOptions, run_plan
from nbci.engine.steps.declared_files import stands
from nbci.errors import IntegrityError, UsageError
from nbci.kernels.descriptors import kernels_at_once
from nbci.kernels.held import NOTHING_HELD, Held
from nbci.pipeline.paths import is_in, overlaps_any
from nbci.project.sources import read_notebooks
from nbci.runs.file_names import EVENTS_FILE
from nbci.runs.project_runs import new_belonging_run
from nbci.store.file_index import project_index
from nbci.store.files import remove
from nbci.workspaces.copy_files import Copying
from nbci.workspaces.workspace import Resumable, open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.engine.context import RunContext
    from nbci.engine.listener import Display
    from nbci.engine.ready import Ready
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan
    from nbci.records.run_record import FileRef, RunRecord, RunRole, StepRecord
    from nbci.runs.folder import RunFolder
    from nbci.store.artifacts import Artifacts
    from nbci.store.cache import Cache
    from nbci.workspaces.workspace import Workspace


class RerunOptions(Struct, frozen=True, kw_only=True):
    """How to carry out: as what, how many steps at once at most, which run whatever is kept.

    `held` is what is the same in each run of the steps, to see whether what they give depends on
    it.
    """

    role: RunRole
    command: tuple[str, ...]
    jobs: int | None = None
    forced: Callable[[str], bool] = lambda _: False
    held: Held = NOTHING_HELD


class Rerun(Struct, frozen=True, kw_only=True):
    """Steps of an earlier run in a workspace of their own; `folder` is for their records.

    Steps that `plan` reuses are taken over from the earlier run. `placed` are files that stand in
    the place of the run's own.
    """

    before: EarlierRun
    plan: Plan
    workspace: Workspace
    folder: RunFolder
    placed: Sequence[FileRef] = ()

    @property
    def taken_over(self) -> dict[str, StepRecord]:
        """The results of the earlier run for steps that are not to run again.

        Of their outs, they have those that the others read.
        """
        paths = [ref.path for ref in self.placed]
        read = self._paths_read()
        taken = {}
        for step in self.plan.steps:
            record = self.before.record.step(step.name)
            if step.action == "reuse" and record is not None:
                outs = []
                for ref in record.outs:
                    if overlaps_any(ref.path, read) and not is_in(ref.path, paths):
                        outs.append(ref)
                taken[step.name] = replace(record, outs=tuple(outs))
        return taken

    def _paths_read(self) -> set[str]:
        """What the steps that run again declare to read, and were seen to use before."""
        paths: set[str] = set()
        for step in self.plan.steps:
            if step.action != "run":
                continue
            paths.update(step.deps)
            before = self.before.record.step(step.name)
            if before is not None:
                paths.update(part.label for part in before.observed if part.kind in USED)
        return paths

    def bring_data(self, cache: Cache) -> None:
        """Put files in place: those that were `placed`, and data that is not as the run had it.

        IntegrityError for one of the former that is not kept any more; the latter are brought where
        they are kept by their digests.
        """
        root, index = self.workspace.project.root, project_index(self.workspace.project)
        artifacts = cache.artifacts
        # First: what the earlier run had at these places is not to be brought.
        for ref in self.placed:
            if artifacts.missing_objects(ref.digest):
                raise IntegrityError(f"{ref.path} as it was is no longer kept")
            artifacts.restore(root, ref, index)

        # What another step makes comes of that step.
        others = (*self.plan.writes, *(ref.path for ref in self.placed))
        for record in self.before.record.steps:
            for ref in record.deps:
                if overlaps_any(ref.path, others) or stands(root, ref, index):
                    continue
                if artifacts.has(ref) and not artifacts.missing_objects(ref.digest):
                    artifacts.restore(root, ref, index)
        self._bring_outs_not_kept(artifacts)
        # The next ones that ask for digests need not read all files again.
        index.save()

    def _bring_outs_not_kept(self, artifacts: Artifacts) -> None:
        """Copy outs of steps that do not run again, and without a cache, from the checkout."""
        project = self.before.project
        index = project_index(project)
        copying = Copying(project.root, self.workspace.project.root, lambda _: True)
        for record in self.taken_over.values():
            for ref in record.outs:
                if not artifacts.has(ref) and stands(project.root, ref, index):
                    copying.bring([ref.path])

    def read_code(self) -> Mapping[str, TaggedNotebook]:
        """The notebooks; UsageError where the workspace lacks something that the run used."""
        project = self.workspace.project
        notebooks = read_notebooks(project, self.plan.sources or {})
        changed = first_change(
            project, self.plan, self.before.folder, os.environ, without_outs=True
        )
        if changed is not None:
            raise UsageError(f"{changed.what} has changed since step {changed.step.name} used it")
        return notebooks

    def make_ready(self, notebooks: Mapping[str, TaggedNotebook], cache: Cache) -> Ready:
        """What the steps need here, looked up; results come from the cache and go there."""
        project = self.workspace.project
        return make_ready(project, self.plan, notebooks, cache=cache, environ=os.environ)

    def run(
        self, ready: Ready, options: RerunOptions, display: Display
    ) -> tuple[RunContext, RunRecord]:
        """Carry the plan out; what its steps shared, and the record."""
        context = ready.begin(
            self.folder,
            display,
            log=self.folder.path / EVENTS_FILE,
            forced=options.forced,
            checkout=self.workspace.checkout,
            held=options.held,
        )
        self.folder.write_plan(self.plan)
        run_options = RunOptions(
            jobs=self._jobs(options.jobs),
            keep_going=True,
            taken_over=self.taken_over,
            tick=display.tick,
        )
        return context, run_plan(context, self._header(ready, options), run_options)

    def _header(self, ready: Ready, options: RerunOptions) -> RunRecord:
        begun = header(
            self.folder.run, self.plan, self.before.project.root, options.command, ready.mask
        )
        # The code is that of the earlier run, whatever is checked out by now.
        git = self.before.record.git
        if git is not None and options.role == "hybrid":
            # In part that of another run: no commit has it.
            git = replace(git, dirty=True)
        return replace(begun, parent=self.before.folder.run, role=options.role, git=git)

    def _jobs(self, asked: int | None) -> int:
        jobs = asked or self.before.project.jobs or os.cpu_count() or 1
        return kernels_at_once(min(jobs, len(self.plan.steps)))


def why_failed(record: RunRecord) -> str:
    """Why a run that was carried out again has no result; KeyboardInterrupt if it was stopped."""
    if record.result == "interrupted":
        raise KeyboardInterrupt
    for failure in record.failures:
        return failure.message
    return f"its run {record.run} is {record.result}"


@contextlib.contextmanager
def open_rerun(
    before: EarlierRun,
    plan: Plan,
    placed: Sequence[FileRef] = (),
    *,
    taken_up: RunFolder | None = None,
    is_over: Callable[[RunFolder], bool] | None = None,
) -> Iterator[Rerun]:
    """A workspace in which the plan, made of the earlier run's, is carried out.

    The earlier run's folder is held by this process, so that nobody removes it meanwhile. What was
    refused before a step began leaves no folder. With `is_over`, the workspace stays until that
    says so of the folder; `taken_up` is the folder, held, of a run whose workspace stayed.
    """
    with begin_belonging(before.folder, taken_up) as folder:
        resumable = None
        if is_over is not None:
            resumable = Resumable(folder=folder.path, has_ended=partial(is_over, folder))
        contents = before.contents(plan)
        without = (*contents.without, *(ref.path for ref in placed))
        contents = replace(contents, without=without)
        with open_workspace(before.project, folder.run, contents, resumable) as workspace:
            yield Rerun(before=before, plan=plan, workspace=workspace, folder=folder, placed=placed)


@contextlib.contextmanager
def begin_belonging(parent: RunFolder, taken_up: RunFolder | None = None) -> Iterator[RunFolder]:
    """The folder of a run that belongs to another; it is gone again if no step began."""
    folder = taken_up or new_belonging_run(parent)
    try:
        yield folder
    finally:
        folder.release()
        if not folder.has_begun:
            folder.discard()


def clear_written(workspace: Workspace, plan: Plan, record: RunRecord) -> tuple[str, ...]:
    """Remove what a run wrote, so that the next one begins with the same files.

    The answer is what it wrote without declaring it, in the place of a file or not.
    """
    undeclared: dict[str, None] = {}
    for step in record.steps:
        for part in step.observed:
            if part.kind == WRITTEN and not part.label.startswith("/"):
                undeclared[part.label] = None
    for path in (*plan.writes, *undeclared):
        remove(workspace.project.root / path)
        _remove_emptied(workspace, PurePosixPath(path))
    return tuple(undeclared)


def _remove_emptied(workspace: Workspace, path: PurePosixPath) -> None:
    """Remove the folders that were made for a file and hold nothing now.

    A step that looks whether its folder is there would not be what it was for the run before.
    """
    for folder in path.parents[:-1]:
        if (workspace.checkout / folder).is_dir():
            return
        try:
            (workspace.project.root / folder).rmdir()
        except OSError:
            # It holds something else, or never was.
            return
