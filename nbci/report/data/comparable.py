"""Choose the run that a report compares its run with.

That is the one that the gates compared with, else the last one that passed.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nbci.errors import NbciError
from nbci.git.branches import built_branch, champions_branch
from nbci.pipeline.models import models_of
from nbci.plan.compare import Compared
from nbci.report.data.release_baseline import compared_of_manifest
from nbci.runs.file_names import RUN_FILE
from nbci.runs.folder import RunFolder
from nbci.runs.index import find_runs
from nbci.store.safe_paths import checked_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.records.manifest import Manifest
    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import BaselineUsed

_TRIED = 5
BROKEN = (NbciError, OSError, ValueError, TypeError, KeyError, sqlite3.Error)
"""Errors that a missing or damaged record, index or object raises.

The report leaves it out, with a note.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparable:
    """A run to compare with, and which it is and why that one.

    Of a release whose run is not here, its `manifest` and its commit. `identity` is that of the
    baseline of gates, where it is one.
    """

    title: str
    run: Compared
    folder: RunFolder | None = None
    manifest: Manifest | None = None
    release: str = ""
    identity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was found; `problems` say what was passed over and why."""

    found: Comparable | None
    problems: tuple[str, ...]


def choose(project: Project, record: RunRecord, plan: Plan, environ: Mapping[str, str]) -> Choice:
    """Choose the run whose metrics the gates compared with.

    Without one, the last that passed on the target branch; without that, the last that passed
    anywhere.
    """
    search = _Search(project, record, plan, environ)
    try:
        found = next(search.candidates(), None)
    except BROKEN as error:
        search.problems.append(f"the earlier runs cannot be searched: {error}")
        found = None
    return Choice(found=found, problems=tuple(dict.fromkeys(search.problems)))


def choose_named_run(folder: RunFolder) -> Choice:
    """Return the run that the user names."""
    run = Compared(record=folder.read(), plan=folder.read_plan())
    return Choice(
        found=Comparable(title=f"run {folder.run}, as asked for", run=run, folder=folder),
        problems=(),
    )


class _Search:
    def __init__(
        self, project: Project, record: RunRecord, plan: Plan, environ: Mapping[str, str]
    ) -> None:
        self.project, self.record, self.plan, self.environ = project, record, plan, environ
        self.problems: list[str] = []

    def candidates(self) -> Iterator[Comparable]:
        if self.record.verdict:
            # The page and the gates must not speak of two different baselines: the gates' is first.
            for used in self.record.verdict.baselines:
                found = self.run_of_baseline(used)
                if found is not None:
                    yield replace(found, identity=used.identity)

        branch = self.target_branch()
        if branch is not None:
            yield from self.passed_runs(
                f"branch == {branch!r}", f"the last one that passed on {branch}"
            )
        yield from self.passed_runs(None, "the last one that passed")

    def run_of_baseline(self, used: BaselineUsed) -> Comparable | None:
        """The run whose metrics stood behind a `baseline:`, where a run did."""
        if used.identity is None:
            return None
        kind, identity = used.asked.partition(":")[0], used.identity
        try:
            if kind == "run":
                return self.read_run(identity, f"run {identity}, which the gates compared with")
            if kind == "champion":
                return self.run_of_release(used.source, identity.rpartition(" ")[2])
            if kind == "rev":
                # A run of a changed working tree has the commit's number, but not its code.
                where = f"commit == {identity!r} and dirty == 0"
                why = f"of {used.source}, which the gates compared with"
                return next(self.passed_runs(where, why), None)
        except BROKEN as error:
            self.problems.append(f"{used.source} cannot be compared with: {error}")
        return None

    def run_of_release(self, source: str, commit: str) -> Comparable | None:
        from nbci.git.process import Git
        from nbci.registry.read import read_manifest

        manifest = read_manifest(Git(self.project.root), commit)
        if manifest is None or manifest.run == self.record.run:
            return None
        title = f"{source}, which the gates compared with: run {manifest.run}"
        # The run has notebooks and figures to show beside the new ones; a manifest has neither.
        if (self.project.runs_folder / manifest.run / RUN_FILE).exists():
            return self.read_run(manifest.run, title)
        if manifest.pipeline != self.record.pipeline:
            return None
        return Comparable(
            title=f"{title}, known from the release alone",
            run=compared_of_manifest(manifest),
            manifest=manifest,
            release=commit,
        )

    def read_run(self, run: str, title: str) -> Comparable | None:
        """The run if it is one of this pipeline and can be read."""
        folder = RunFolder(self.project.runs_folder / checked_run(run))
        try:
            # A run of another pipeline is passed over before its steps and its plan are read.
            record = folder.read_header()
            if record.pipeline != self.record.pipeline or run == self.record.run:
                return None
            return Comparable(
                title=title,
                run=Compared(record=folder.read(), plan=folder.read_plan()),
                folder=folder,
            )
        except FileNotFoundError:
            self.problems.append(f"run {run} is not here any more")
        except BROKEN as error:
            self.problems.append(f"run {run} cannot be compared with: {error}")
        return None

    def passed_runs(self, where: str | None, why: str) -> Iterator[Comparable]:
        """Earlier runs, whole and not refused by their gates, the newest first."""
        conditions = [
            f"pipeline == {self.record.pipeline!r}",
            "result == 'passed'",
            f"run < {self.record.run!r}",
        ]
        if where:
            conditions.append(where)
        # Each candidate costs reading a record and a plan: a project with a long history of
        # refused runs must not make its report slow.
        rows = find_runs(self.project, where=" and ".join(conditions), limit=_TRIED)
        for row in rows:
            found = self.read_run(row.run, f"run {row.run}, {why}")
            if found is not None and _is_whole_and_accepted(found):
                yield found

    def target_branch(self) -> str | None:
        """Return the branch that the work is to be merged into, as the gates name it.

        Where the models name none, it is the run's own branch.
        """
        if target := self.environ.get("CHANGE_TARGET"):
            return target
        recorded = None
        if self.record.git:
            recorded = self.record.git.branch
        own = built_branch(recorded, self.environ)

        declared: list[str] = []
        for model in models_of(self.plan.models):
            declared += model.branches
        return champions_branch(tuple(declared), own) or own


def _is_whole_and_accepted(candidate: Comparable) -> bool:
    # The index knows only that the run passed: not what its plan left out, nor its gates.
    if candidate.run.plan.leaves_out:
        return False
    verdict = candidate.run.record.verdict
    return verdict is None or not verdict.refuses
