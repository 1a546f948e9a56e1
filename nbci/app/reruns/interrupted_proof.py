"""Proofs that came to no end: what they have done stands, and they are taken up again."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from nbci.app.exit_codes import exit_code
from nbci.errors import ExitCode, IntegrityError, UsageError
from nbci.records.codec import to_json_line
from nbci.runs.file_names import PLAN_FILE, PROOF_FILE
from nbci.runs.project_runs import belonging_runs
from nbci.workspaces.workspace import discard, is_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.plan.model import Plan
    from nbci.runs.folder import RunFolder

_LOST = (ExitCode.INTEGRITY, ExitCode.USAGE)
"""Ends after which what the proof has kept, or the environment of a step, cannot be built on."""


def find_interrupted(run: EarlierRun, plan: Plan) -> RunFolder | None:
    """The newest proof with this plan that has not come to its end, held by this process.

    Its workspace is still there.
    """
    for folder in _left_proofs(run, plan):
        if folder.hold():
            folder.settle()
            return folder
    return None


def discard_interrupted(run: EarlierRun, plan: Plan) -> None:
    """Remove the workspaces of proofs with this plan: the next one begins from the start."""
    for folder in _left_proofs(run, plan):
        discard(run.project, folder.run)


def _left_proofs(run: EarlierRun, plan: Plan) -> Iterator[RunFolder]:
    """The proofs with this plan that may be taken up, the newest first."""
    for folder in belonging_runs(run.folder):
        if not is_left(run.project, folder.run):
            continue
        if is_over(folder):
            # Killed after it was written, while the cause of a difference was looked for.
            discard(run.project, folder.run)
        # Of another plan, other steps were asked for.
        elif (folder.path / PLAN_FILE).read_bytes() == to_json_line(plan):
            yield folder


def is_over(folder: RunFolder) -> bool:
    """Whether nothing is left to be done for a proof, or nothing that has been done stands."""
    if not folder.has_begun or (folder.path / PROOF_FILE).exists():
        return True
    with suppress(IntegrityError, UsageError, FileNotFoundError):
        record = folder.read()
        return record.role != "proof" or exit_code(record) in _LOST
    return True


def ended_steps(folder: RunFolder) -> int:
    """How many of its steps need not run again."""
    return sum(1 for record in folder.step_records() if record.result == "passed")
