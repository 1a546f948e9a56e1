"""Judge a run once more by the gates of its own plan, and let it pass one of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nbci.app.conclusion import conclude
from nbci.app.publish import publish_report
from nbci.config import find_project
from nbci.engine.prepare import mask_for
from nbci.errors import UsageError, spelling_hint
from nbci.formatting.durations import now_utc
from nbci.gates.judging import Judging, check_readers
from nbci.records.verdict import Override
from nbci.runs.project_runs import find_run
from nbci.runs.run_file import user_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.config import Project
    from nbci.gates.remeasuring import Remeasurer, Wanted
    from nbci.plan.model import Plan
    from nbci.records.run_record import Remeasured, RunRecord
    from nbci.records.verdict import GateResult, Verdict
    from nbci.runs.folder import RunFolder


class AskedOverride(NamedTuple):
    """Let a run pass the gate of that name or number; `by` is None for who works here."""

    gate: str
    reason: str
    by: str | None


class JudgedRun(NamedTuple):
    """The run with its verdict, and the plan that has its gates."""

    record: RunRecord
    plan: Plan

    @property
    def can_be_judged(self) -> bool:
        """Whether gates apply: to a whole run that passed."""
        return self.record.result == "passed" and bool(self.plan.gates) and not self.plan.leaves_out


def judge_again(run: str, override: AskedOverride | None, tell: Callable[[str], None]) -> JudgedRun:
    """Judge a run of the project; UsageError while it goes on or where there is no such gate.

    `tell` is called with what is carried out for it: models of baselines are measured again.
    """
    project = find_project(Path.cwd())
    folder = find_run(project, run)
    if not folder.hold():
        raise UsageError(f"run {folder.run} is still going on")
    try:
        folder.settle()
        found = JudgedRun(folder.read(), folder.read_plan())
        if found.record.result == "passed":
            # a verdict on metrics that somebody edited would be worth nothing
            folder.check_seal(project.signers_file)
        if not found.can_be_judged:
            return found
        check_readers(found.plan)
        return _judge_run(project, folder, found, override, tell)
    finally:
        folder.release()


def _judge_run(
    project: Project,
    folder: RunFolder,
    found: JudgedRun,
    asked: AskedOverride | None,
    tell: Callable[[str], None],
) -> JudgedRun:
    remeasure = _remeasurer(project, folder, tell)
    judging = Judging(project, found.plan, os.environ, mask_for, remeasure=remeasure)

    def judge(record: RunRecord) -> RunRecord:
        known = record.verdict.overrides if record.verdict else ()
        judged = judging.with_verdict(record, known)
        if asked is None or judged.verdict is None:
            return judged
        # judged first without the override: only a gate that refuses now can be overridden
        override = _override(asked, project, judged.verdict)
        return judging.with_verdict(judged, (*judged.verdict.overrides, override))

    record = conclude(
        project,
        folder,
        found.record,
        judge=judge,
        publish=lambda judged: publish_report(project, folder, found.plan, judged),
    )
    return JudgedRun(record, found.plan)


def _remeasurer(project: Project, folder: RunFolder, tell: Callable[[str], None]) -> Remeasurer:
    def remeasure(record: RunRecord, wanted: Wanted) -> Remeasured:
        from nbci.app.reruns.earlier_run import find_earlier_run
        from nbci.app.reruns.remeasure import Remeasuring

        # The code is that of the run's commit, whatever is checked out by now.
        run = find_earlier_run(project, folder)
        command = ("nbci", "gate", folder.run)
        measuring = Remeasuring(run=run, cache=run.open_cache(), tell=tell, command=command)
        return measuring.measure(wanted)

    return remeasure


def _override(asked: AskedOverride, project: Project, verdict: Verdict) -> Override:
    """The override as evidence; UsageError where there is nothing to override."""
    gate = _find_gate(asked.gate, verdict)
    if gate.result != "failed":
        raise UsageError(
            f"the gate {gate.gate!r} does not refuse the run",
            hint="only a gate that failed is overridden",
        )
    return Override(
        gate=gate.gate,
        by=asked.by or _user(project),
        reason=asked.reason,
        at_utc=now_utc(),
        asked=gate.asked,
        found=gate.found,
        baseline=gate.baseline,
        cases=gate.cases,
    )


def _find_gate(name: str, verdict: Verdict) -> GateResult:
    """The gate of that name or number, or else the only one of that title."""
    for number, gate in enumerate(verdict.gates, 1):
        if name in (gate.gate, str(number)):
            return gate
    titled = [gate for gate in verdict.gates if gate.title == name]
    if len(titled) == 1:
        return titled[0]

    names = [gate.gate for gate in verdict.gates]
    hint = spelling_hint(name, names, f"the gates are: {', '.join(names)}")
    raise UsageError(f"there is no gate {name!r}", hint=hint)


def _user(project: Project) -> str:
    from nbci.git.process import Git

    name = Git(project.root).get("config", "user.name") or user_name()
    if name is None:
        raise UsageError("an override needs a name", hint="--by NAME")
    return name
