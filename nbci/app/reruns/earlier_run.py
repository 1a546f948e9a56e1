"""A run of which steps can be carried out once more: its plan, records, and where its code is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.data.sharing import shared_cache
from nbci.engine.observed.kinds import WRITTEN
from nbci.errors import UsageError
from nbci.git.checkout import is_in_repository
from nbci.git.process import Git
from nbci.plan.select import Selection, select
from nbci.registry.read import read_manifest
from nbci.runs.project_runs import all_runs, find_run
from nbci.workspaces.commit_files import has_commit
from nbci.workspaces.workspace import Contents

if TYPE_CHECKING:
    from collections.abc import Collection

    from nbci.config import Project
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder
    from nbci.store.cache import Cache

_READ = frozenset(("file", "module", "link", "environment"))
"""The kinds of observations whose labels are files that a step needs."""
_LOOKED_AT = frozenset(("stat", "folder"))
"""The kinds whose labels may be folders, of which it counts that they are there."""
USED = _READ | _LOOKED_AT


class EarlierRun(Struct, frozen=True, kw_only=True):
    """A run that passed; `commit` is where its code is, and None where that is the checkout only.

    `folder` is that of the run that has the steps, where all of another was reused.
    """

    project: Project
    folder: RunFolder
    record: RunRecord
    plan: Plan
    commit: str | None

    def contents(self, again: Plan) -> Contents:
        """The files that a workspace needs in which this plan is carried out."""
        return Contents(
            commit=self.commit,
            also=tuple(self._used()),
            folders=tuple(self._labels(_LOOKED_AT)),
            without=tuple(self._written(again)),
        )

    def _used(self) -> dict[str, None]:
        """The files that its steps used, as far as they are the project's."""
        used = dict.fromkeys((*(self.plan.sources or {}), *self._labels(_READ)))
        for label in self._labels(_LOOKED_AT):
            # Of a folder that was only looked at, what is in it need not be copied.
            if not (self.project.root / label).is_dir():
                used[label] = None
        for record in self.record.steps:
            used.update(dict.fromkeys(ref.path for ref in record.deps))
        return used

    def _labels(self, kinds: Collection[str]) -> dict[str, None]:
        """The project's own paths that observations of these kinds name."""
        labels: dict[str, None] = {}
        for record in self.record.steps:
            for part in record.observed:
                # Paths of other files are absolute: they are where they were.
                if part.kind in kinds and not part.label.startswith("/"):
                    labels[part.label] = None
        return labels

    def _written(self, again: Plan) -> dict[str, None]:
        """What the steps that run again are going to write, declared or not."""
        written = dict.fromkeys(again.writes)
        for step in again.steps:
            record = self.record.step(step.name)
            if step.action != "run" or record is None:
                continue
            for part in record.observed:
                if part.kind == WRITTEN:
                    written[part.label] = None
        return written

    def open_cache(self) -> Cache:
        """The cache that has what it gave, with the remote's results where one is named."""
        return shared_cache(self.project, os.environ)

    def refuse_unfit(self, why: str, advice: str) -> None:
        """UsageError where it did not pass, or is of a fork; `why` that is too little."""
        if self.record.result != "passed":
            raise UsageError(
                f"run {self.folder.run} did not pass ({self.record.result}), so {why}",
                hint="name a run that passed: `nbci runs` lists them",
            )
        if self.plan.fork is not None:
            raise UsageError(
                f"run {self.folder.run} is of a change from a fork",
                hint=f"{advice} a run of a branch once the change is merged",
            )

    def refusal(self, why: UsageError, what: str) -> UsageError:
        """The error of a run whose code or data is not as it was; `what` cannot be done with it."""
        git = self.record.git
        reason = ""
        hint = f"run again, and name that run: nbci run {self.plan.target}"
        if git is not None and git.dirty:
            reason = "it ran with changes that are in no commit; "
        elif git is not None and git.commit is not None and self.commit is None:
            reason = f"its commit {git.commit[:10]} is not in this repository; "
            hint = f"bring the commit: git fetch origin {git.commit}"
        text = f"run {self.folder.run} cannot be {what}: {reason}{why.message}"
        return UsageError(text, where=why.where, hint=hint)


def find_earlier_run(project: Project, folder: RunFolder) -> EarlierRun:
    """The run of a folder, or the one that has its steps, where all of it was reused.

    IntegrityError where its records were altered.
    """
    made_by = folder.made_by(folder.read_header())
    record = made_by.read()
    # What follows from records that somebody has edited would be worth nothing.
    if record.result == "passed":
        made_by.check_seal()
    return EarlierRun(
        project=project,
        folder=made_by,
        record=record,
        plan=made_by.read_plan(),
        commit=_known_commit(project, record),
    )


def _known_commit(project: Project, record: RunRecord) -> str | None:
    """The commit that has all of the run's code; None where none has, or it is not here."""
    git = record.git
    if git is None or git.commit is None or git.dirty:
        return None
    if not has_commit(project.root, git.commit):
        return None
    return git.commit


def plan_steps_again(run: EarlierRun, names: tuple[str, ...], reason: str) -> Plan:
    """The plan of the run with each of the named steps to be run, or all of them.

    What those need of other steps is taken from the run; no gate judges them, and no metric is
    required. `reason` is why the steps run.
    """
    steps = []
    for step in run.plan.steps:
        steps.append(_to_run_again(run.record, step, reason))
    plan = replace(run.plan, steps=tuple(steps), gates=(), metrics=None)
    return select(plan, Selection(only=names))


def _to_run_again(record: RunRecord, step: PlannedStep, reason: str) -> PlannedStep:
    before = record.step(step.name)
    # Without a record, it has not ended yet, in a run that is carried out in parts.
    if step.action == "skip" or (before is not None and not before.ended_well):
        return replace(step, action="skip", reason=f"run {record.run} skipped it")
    return replace(step, action="run", reason=reason)


def find_named_run(project: Project, name: str, target: str | None = None) -> RunFolder:
    """The run of an id, its beginning or `latest`; of a release; else the newest of a revision.

    Of a revision, one of the `target` where that is given. UsageError where there is none.
    """
    try:
        return find_run(project, name)
    except UsageError:
        commit = _commit(project, name)
        # What is neither is most likely an id with a slip in it.
        if commit is None:
            raise
    manifest = read_manifest(Git(project.root), commit)
    if manifest is not None:
        return _run_of_release(project, name, manifest.run)
    for folder in all_runs(project):
        header = folder.read_header()
        if header.result != "passed" or target not in (None, header.target):
            continue
        git = header.git
        if git is not None and git.commit == commit and not git.dirty:
            return folder
    raise UsageError(
        f"no run of {name} ({commit[:10]}) that passed is here",
        hint=f"git checkout {name}, and run it: nbci run TARGET",
    )


def _commit(project: Project, name: str) -> str | None:
    if name.startswith("-") or not is_in_repository(project.root):
        return None
    git = Git(project.root)
    return git.get("rev-parse", "--verify", "--quiet", operands=[f"{name}^{{commit}}"])


def _run_of_release(project: Project, name: str, run: str) -> RunFolder:
    try:
        return find_run(project, run)
    except UsageError as error:
        raise UsageError(
            f"run {run}, of which {name} was made, is not here",
            hint="runs are on the machine that ran them; those of CI are in its builds",
        ) from error
