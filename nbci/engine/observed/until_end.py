"""Whether all that a run used still stands when it ends.

A user who edits a file during the run must not get the answer "no change".
"""

from __future__ import annotations

import os
from datetime import datetime
from itertools import filterfalse
from typing import TYPE_CHECKING

from nbci.engine.observed.kinds import BY_NAME, surroundings_of
from nbci.errors import StepError
from nbci.file_state import is_touched
from nbci.graph import by_name
from nbci.project.sources import source_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.engine.context import RunContext
    from nbci.engine.observed.states import Surroundings
    from nbci.records.run_record import Part, RunRecord, StepRecord

_SEEN_BY_STEP = frozenset(("folder", "package"))
"""Kinds whose state depends on the step, or on what else was seen there."""


def is_as_used(context: RunContext, record: RunRecord, given: Iterable[str]) -> bool:
    """Whether everything that the run used is as the run found it.

    This covers the notebooks, the files `given` to the command and what the steps used.
    """
    root, index = context.project.root, context.index
    began_ns = int(datetime.fromisoformat(record.started_utc or "").timestamp() * 1e9)
    planned = by_name(context.plan.steps)
    try:
        for name, digest in (record.sources or {}).items():
            if source_digest((root / name).read_bytes()) != digest:
                return False
        for name in (*given, str(root / "pyproject.toml")):
            # A file that is not there counts for nothing: pyproject.toml need not exist.
            if os.path.exists(name) and is_touched(name, began_ns):
                return False
        known: set[Part] = set()
        for step in record.steps:
            # Steps share most of what they use: each thing is looked at once.
            parts = tuple(filterfalse(known.__contains__, step.observed))
            around = surroundings_of(root, planned[step.name], parts, index, context.environ)
            if not _is_as_observed(around, began_ns) or not _has_its_files(context, step):
                return False
            for part in parts:
                if part.kind not in _SEEN_BY_STEP:
                    known.add(part)
    except (OSError, StepError):
        # What cannot be read cannot be compared: the next run looks at everything.
        return False
    return True


def _is_as_observed(surroundings: Surroundings, began_ns: int) -> bool:
    """Whether what was touched since the run began is in the state noted at the step's end."""
    for part in surroundings.parts:
        kind = BY_NAME[part.kind]
        if kind.files is None:
            continue
        # To read a file again takes long; its times tell of most that nothing was changed.
        if not any(is_touched(name, began_ns) for name in kind.files(surroundings, part)):
            continue
        # Which packages a folder has is told by the packages that were used, at the next run.
        if part.kind == "site" or kind.state(surroundings, part) != part.digest:
            return False
    return True


def _has_its_files(context: RunContext, step: StepRecord) -> bool:
    root = context.project.root
    for ref in (*step.deps, *step.outs):
        # Tracked data that no step needed is not brought.
        if step.result == "reused" and not (root / ref.path).exists():
            continue
        if context.index.fingerprint(root, ref.path).digest != ref.digest:
            return False
    return True
