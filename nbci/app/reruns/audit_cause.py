"""Why a step gives another result than the one that is kept, and what may have changed unseen."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from nbci.app.reruns.compare_proof import around_step
from nbci.dataflow.code import CellSyntaxError, parse_cell
from nbci.dataflow.fresh import fresh_calls
from nbci.engine.observed.below import paths_in
from nbci.engine.observed.kinds import RUN_ID
from nbci.errors import NbciError
from nbci.proofs.compare_steps import Both

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nbci.app.reruns.compare_proof import StepComparison
    from nbci.dataflow.code import ParsedCell
    from nbci.engine.context import RunContext
    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import Part, StepRecord
    from nbci.records.step_audit import AuditCause

_SETTINGS = (".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".env", ".txt", ".py")
_MOST_FILES = 200
_MOST_PLACES = 20
"""Of a folder, all folders below it are watched, for each of which the system has a limit."""
_UNSEEN = {
    "network": "what {label} answers",
    "program": "what the program {label} does",
    "unwatched": "files that {label} reads",
    "secret path": "what lies at a path that holds the secret {label}",
    RUN_ID: "the run's id",
}
"""What a step was seen to use, but not what came of it, by kind of observation."""
_TELLING = {
    "file": "the file",
    "module": "the module",
    "folder": "the folder",
    "stat": "the path",
    "absent": "the path",
    "link": "the link",
    "variable": "the variable",
}
"""Kinds of which it may tell something that a step used one which it had not used before."""


class ThreeTimes(NamedTuple):
    """A step's record as it was `kept`, as an audit made it `again`, and as the run made it now."""

    kept: StepRecord
    again: StepRecord
    now: StepRecord


async def audit_cause(
    step: PlannedStep, records: ThreeTimes, comparison: StepComparison
) -> AuditCause | None:
    """Why the audit found another result; None where the step came to none in the run.

    `comparison` compares with what the audit made.
    """
    if records.now.result != "passed":
        return None
    if _gave(records.now) == _gave(records.again):
        return "input"
    if _gave(records.now) == _gave(records.kept):
        return "place"
    try:
        proof = await comparison.compare(step, Both(before=records.now, now=records.again))
    except (NbciError, OSError):
        return None
    if proof.agreement == "different":
        return "chance"
    return "input"


def _gave(record: StepRecord) -> tuple[frozenset[tuple[str, str]], ...]:
    """What a step gave, to be compared bit for bit."""
    return (
        frozenset((ref.name, ref.object) for ref in record.gives),
        frozenset((ref.path, ref.digest) for ref in record.outs),
        frozenset((metric.name, repr(metric.value)) for metric in record.metrics),
    )


def suspects(
    step: PlannedStep, kept: StepRecord, now: StepRecord, checkout: str
) -> tuple[str, ...]:
    """What the step may depend on that nbci does not see, the surest first, each once."""
    found = [*around_step(kept, now, checkout)]
    if kept.host != now.host:
        found.append(f"the machine: the kept result was made on {kept.host}")
    found += _used_only_now(kept, now)
    found += (text for part in now.observed for text in _unseen(part))
    found += (f"{name} in {place}" for name, place in fresh_calls(_cells(step)).items())
    return tuple(dict.fromkeys(found))


def places_configured(context: RunContext, kept: StepRecord) -> list[str]:
    """Paths outside the project that stand in what the step and those before it have read.

    Libraries that open files below Python often get their paths from there.
    """
    files: dict[Path, None] = {}
    for record in (kept, *context.records.values()):
        labels = [ref.path for ref in record.deps]
        labels += [part.label for part in record.observed if part.kind in ("file", "module")]
        for label in labels:
            if label.endswith(_SETTINGS):
                files[context.project.root / label] = None
    settings = islice(files, _MOST_FILES)
    return [*islice(paths_in(settings, context.project.root), _MOST_PLACES)]


def _unseen(part: Part) -> Iterator[str]:
    if part.kind in _UNSEEN:
        yield _UNSEEN[part.kind].format(label=part.label)


def _used_only_now(kept: StepRecord, now: StepRecord) -> list[str]:
    """What the step used this time, and did not use when the kept result was made.

    First are files that have changed since.
    """
    before = {(part.kind, part.label) for part in kept.observed}
    changed, others = [], []
    for part in now.observed:
        if part.kind not in _TELLING or (part.kind, part.label) in before:
            continue
        if part.kind == "file" and _has_changed_since(part.label, kept.ended_utc):
            changed.append(f"the file {part.label}, which has changed since")
        else:
            others.append(f"{_TELLING[part.kind]} {part.label}, which it did not use before")
    return changed + others


def _has_changed_since(path: str, utc: str | None) -> bool:
    if utc is None or not os.path.isabs(path):
        return False
    try:
        return os.stat(path).st_mtime > datetime.fromisoformat(utc).timestamp()
    except (OSError, ValueError):
        return False


def _cells(step: PlannedStep) -> list[tuple[int, ParsedCell]]:
    """The step's cells as Python reads them; those that are no Python are left out."""
    cells = []
    for cell in step.cells:
        with suppress(CellSyntaxError):
            if step.language == "python" and cell.number is not None:
                cells.append((cell.number, parse_cell(cell.source)))
    return cells
