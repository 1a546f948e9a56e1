"""Results of an earlier run taken over into a new one."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from nbci.errors import IntegrityError, Location, UsageError
from nbci.store.files import disk_errors
from nbci.store.runs import all_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.records.model import StepRecord
    from nbci.store.runs import RunFolder

_LOOK_BACK_RUNS = 50
# a damaged run, or one of another version of nbci, is nothing to build on, and no reason to run nothing
_UNREADABLE = (IntegrityError, UsageError, FileNotFoundError)


def sources_of_reuse(project: Project, plan: Plan) -> Mapping[str, RunFolder]:
    """For each step that the plan reuses the newest run in which it ended well; UsageError when there is none."""
    wanted = {step.name for step in plan.steps if step.action == "reuse"}
    found: dict[str, RunFolder] = {}
    for number, folder in enumerate(all_runs(project)):
        if not wanted - set(found) or number >= _LOOK_BACK_RUNS:
            break
        with suppress(*_UNREADABLE):
            if not folder.is_going_on and folder.read_header().target == plan.target:
                found |= {name: folder for name in wanted - set(found) if _ended_well(folder, name)}
    lacking = sorted(wanted - set(found))
    if lacking:
        raise UsageError(
            f"no earlier run has a result of {', '.join(lacking)} to start from",
            hint=f"run the whole pipeline once: nbci run {plan.target}",
        )
    return found


def last_records(project: Project, target: str) -> Callable[[str], StepRecord | None]:
    """Finds what a step of the target came to in the newest run that ran it."""
    folders = [folder for folder in islice(all_runs(project), _LOOK_BACK_RUNS) if folder.read_header().target == target]

    def last(step: str) -> StepRecord | None:
        for folder in folders:
            record = folder.read_step(step)
            if record is not None and record.parts:
                return record
        return None

    return last


def known_outs(project: Project) -> frozenset[tuple[str, str]]:
    """(path, digest) of every out that recent runs recorded: content that nbci made, and may clear."""
    known = set()
    for number, folder in enumerate(all_runs(project)):
        if number >= _LOOK_BACK_RUNS:
            break
        with suppress(*_UNREADABLE):
            for step in folder.read_plan().steps:
                record = folder.read_step(step.name) if step.outs or step.metrics else None
                known |= {(ref.path, ref.digest) for ref in record.outs} if record is not None else set()
    return frozenset(known)


def _ended_well(folder: RunFolder, name: str) -> bool:
    record = folder.read_step(name)
    return record is not None and record.result in ("passed", "reused")


def reused_record(source: RunFolder, target: RunFolder, name: str) -> StepRecord:
    """Take a step of another run over: its record, its values and its notebook."""
    record = source.read_step(name)
    if record is None:
        raise IntegrityError("the record of the step has gone", where=Location(str(source.step(name))))
    notebook = source.step(name) / "notebook.ipynb"
    if notebook.exists():
        _link(notebook, target.step(name) / "notebook.ipynb")
    return replace(record, result="reused", run=record.run or source.run, reason="taken from an earlier run")


def _link(source: Path, target: Path) -> None:
    """A hard link where the file system can, else a copy."""
    if target.exists():
        return
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
