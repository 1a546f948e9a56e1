"""Find a run that can be proved: its records whole, its plan, and where its code is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.engine.observed.kinds import WRITTEN
from nbci.errors import UsageError
from nbci.formatting.numbers import listed
from nbci.plan.select import Selection, select
from nbci.runs.project_runs import find_run
from nbci.workspaces.commit_files import has_commit
from nbci.workspaces.workspace import Contents

if TYPE_CHECKING:
    from collections.abc import Collection

    from nbci.config import Project
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder

_READ = frozenset(("file", "module", "link", "environment"))
"""The kinds of observations whose labels are files that a step needs."""
_LOOKED_AT = frozenset(("stat", "folder"))
"""The kinds whose labels may be folders, of which it counts that they are there."""
_NAMED = 5


class ProvableRun(Struct, frozen=True, kw_only=True):
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

    def refusal(self, why: UsageError) -> UsageError:
        """The error of a run whose code or data is not as it was."""
        git = self.record.git
        reason = ""
        hint = "run again, and prove that run"
        if git is not None and git.dirty:
            reason = "it ran with changes that are in no commit; "
        elif git is not None and git.commit is not None and self.commit is None:
            reason = f"its commit {git.commit[:10]} is not in this repository; "
            hint = f"bring the commit: git fetch origin {git.commit}"
        text = f"run {self.folder.run} cannot be proved: {reason}{why.message}"
        return UsageError(text, where=why.where, hint=hint)


def find_provable_run(project: Project, name: str) -> ProvableRun:
    """The run of that id, its beginning or `latest`.

    UsageError where it cannot be proved, IntegrityError where its records were altered.
    """
    named = find_run(project, name)
    folder = named.made_by(named.read_header())
    record, plan = folder.read(), folder.read_plan()
    if record.result != "passed":
        raise UsageError(
            f"run {folder.run} did not pass ({record.result}), so there is nothing to prove",
            hint="name a run that passed: `nbci runs` lists them",
        )
    if plan.fork is not None:
        raise UsageError(
            f"run {folder.run} is of a change from a fork",
            hint="prove a run of a branch once the change is merged",
        )
    # To agree with records that somebody has edited would prove nothing.
    folder.check_seal()
    return ProvableRun(
        project=project,
        folder=folder,
        record=record,
        plan=plan,
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


def plan_again(run: ProvableRun, names: tuple[str, ...]) -> Plan:
    """The plan of the run with each of the named steps to be run, or all of them.

    What those need of other steps is taken from the run. UsageError for a step that it skipped.
    """
    plan = replace(
        run.plan,
        steps=tuple(_to_run_again(run.record, step) for step in run.plan.steps),
        # It is compared, not judged; and a part of it need not have all metrics.
        gates=(),
        metrics=None,
    )
    selected = select(plan, Selection(only=names))
    if not any(step.action == "run" for step in selected.steps):
        asked = listed(names or run.plan.names, _NAMED)
        raise UsageError(f"run {run.folder.run} skipped {asked}, so there is nothing to prove")
    return selected


def _to_run_again(record: RunRecord, step: PlannedStep) -> PlannedStep:
    before = record.step(step.name)
    if before is None or not before.ended_well:
        return replace(step, action="skip", reason="the run that is proved skipped it")
    return replace(step, action="run", reason="it is proved")
