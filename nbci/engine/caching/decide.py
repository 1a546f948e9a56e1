"""Whether a step needs to run, or an earlier result of it still stands."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from nbci.engine.observed.kinds import BY_NAME, WRITTEN, first_change
from nbci.engine.steps.declared_files import stands
from nbci.engine.steps.deps import dep_refs
from nbci.engine.steps.random_states import changed_state, draws
from nbci.plan.parts import key_of, parameter_digest
from nbci.records.run_record import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from nbci.engine.steps.inputs import Inputs
    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import FileRef, StepRecord
    from nbci.store.cache import Cache
    from nbci.store.file_index import FileIndex


_UNSTEADY = "an audit found that it gives another result each time"
_NOT_ASKED_FOR = "an earlier result would do only with `cache: enabled` or `deps`"


class Decision(Struct, frozen=True, kw_only=True):
    """The step's key with its parts, and the earlier result that stands for it, if any.

    `record` is that result, `reason` says why it stands or does not.

    `text` is the record as it was written, by a step that may have had another name. `drew`: it
    depends on the random state that the step begins with. `gone` are files that the step wrote
    without declaring them, so that only running it again brings them back. `has_fallen`: a result
    with these inputs is kept, and does not stand.
    """

    key: str
    parts: tuple[Part, ...]
    record: StepRecord | None
    reason: str
    text: bytes = b""
    drew: bool = False
    gone: tuple[str, ...] = ()
    has_fallen: bool = False


def decide(
    root: Path,
    step: PlannedStep,
    inputs: Inputs,
    cache: Cache,
    index: FileIndex,
    *,
    made: Mapping[str, FileRef] | None = None,
) -> Decision:
    """Look for an earlier result of the step with these inputs.

    `made` are outs that are not put back yet, by path.
    """
    named = tuple(_with_values(step.parts, inputs.params))
    reached = tuple(part for part in inputs.reached if part not in named)
    parts = (*named, *reached, *_input_parts(root, step, inputs, index, made))
    key = key_of(parts)
    if step.cache is False:
        return Decision(key=key, parts=parts, record=None, reason="its cache is disabled")
    if step.cache is not True and cache.distrusted.is_unsteady(key):
        return Decision(key=key, parts=parts, record=None, reason=_UNSTEADY)
    reason, drew, gone = "no earlier result has these inputs", False, tuple[str, ...]()
    has_fallen = False
    for record, text in cache.records(key):
        drew = drew or draws(record)
        # The state that earlier steps left takes no look at any file.
        problem = changed_state(record, inputs.random) or _problem(root, step, record, cache, index)
        if problem is None:
            ours = record
            if record.name != step.name:
                # Another pipeline may have the same step under another name.
                ours = replace(record, name=step.name)
            reason = "nothing that it depends on has changed"
            return Decision(key=key, parts=parts, record=ours, reason=reason, text=text, drew=drew)
        # Kept for the message: the record looked at last tells why the step runs.
        reason, gone, has_fallen = problem, _files_gone(root, record), True
    return Decision(
        key=key,
        parts=parts,
        record=None,
        reason=reason,
        drew=drew,
        gone=gone,
        has_fallen=has_fallen,
    )


def is_kept(step: PlannedStep, record: StepRecord) -> bool:
    """Whether the result may stand for later runs.

    What came over the network may be different tomorrow.

    What a step read and is no longer so cannot be compared, whatever the step asks for.
    """
    kept = {BY_NAME[part.kind].kept for part in record.observed}
    if "never" in kept or step.cache is False:
        return False
    if step.cache is True:
        return True
    if "if asked" in kept:
        return False
    # Programs may read what nbci does not see; `deps` say what that is.
    return "with deps" not in kept or bool(step.deps)


def _files_gone(root: Path, record: StepRecord) -> tuple[str, ...]:
    """Files that the step wrote without declaring them, and that are not there now."""
    gone: list[str] = []
    for part in record.observed:
        if part.kind == WRITTEN and not (root / part.label).exists():
            gone.append(part.label)
    return tuple(gone)


def _with_values(parts: Iterable[Part], params: Mapping[str, Any]) -> Iterator[Part]:
    """The parts with the parameters as they are now that metrics they waited for are known."""
    for part in parts:
        if part.kind == "parameter":
            yield replace(part, digest=parameter_digest(params[part.label]))
        else:
            yield part


def _input_parts(
    root: Path,
    step: PlannedStep,
    inputs: Inputs,
    index: FileIndex,
    made: Mapping[str, FileRef] | None,
) -> list[Part]:
    parts: list[Part] = []
    known: set[str] = set()
    # Sorted, so that the key does not depend on the order in which values were found.
    for value in sorted(inputs.values, key=lambda ref: ref.name):
        parts.append(Part(kind="value", label=value.name, digest=value.object))
        known.add(value.name)
    for name in inputs.along:
        if name not in known:
            parts.append(Part(kind="along", label=name, digest=""))

    # A lock file may be among the deps, too; the key has each file once.
    named = dict.fromkeys(step.deps)
    if step.environment:
        named[step.environment] = None
    for ref in dep_refs(root, tuple(named), index, made):
        parts.append(Part(kind="file", label=ref.path, digest=ref.digest))
    return parts


def _problem(
    root: Path, step: PlannedStep, record: StepRecord, cache: Cache, index: FileIndex
) -> str | None:
    """Why a record cannot be reused, or None."""
    measured = {metric.name for metric in record.metrics}
    for probe in step.asked:
        if probe.name not in measured:
            return f"it was not asked for {probe.name} then"
    changed = first_change(root, step, record, index)
    if changed is not None:
        return changed
    # It was kept for a step with the same code that asks for it; so was this one, perhaps, once.
    if not is_kept(step, record):
        return _NOT_ASKED_FOR
    for value in record.gives:
        try:
            path = cache.value_file(value.object)
            # The index hashes only what changed since, so that this costs a `stat` a value.
            if index.digest(path)[0] != value.object:
                with suppress(FileNotFoundError):
                    os.unlink(path)
                return f"its value {value.name} was damaged on disk, and is made again"
        except FileNotFoundError:
            if not cache.offers_value(value.object):
                return f"its value {value.name} is no longer kept"
    if not record.outs:
        return None
    artifacts = cache.artifacts_of(record)
    for out in record.outs:
        # An out that stands in the workspace need not be kept anywhere else.
        if not stands(root, out, index) and not artifacts.has(out):
            return f"its out {out.path} is no longer kept"
    return None
