"""Compare what a step gave in two runs of one plan: values, files, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.proofs.tolerance import rank
from nbci.records.proof import Item, StepProof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from nbci.handoff.values import ValueRef
    from nbci.proofs.tolerance import Finding, Tolerance
    from nbci.records.proof import Agreement, ItemKind
    from nbci.records.run_record import FileRef, Metric, StepRecord

    CompareFile = Callable[[FileRef, FileRef], Finding]
    """Compares a file or folder that is not the same in both runs."""

_ONLY_BEFORE = "it was there before, and is not now"
_ONLY_NOW = "it was not there before"


class Both(Struct, frozen=True, kw_only=True):
    """The records of one step in both runs."""

    before: StepRecord
    now: StepRecord

    def values_that_differ(self) -> Iterator[tuple[ValueRef, ValueRef]]:
        """The values that both gave, and whose digests differ."""
        given = {ref.name: ref for ref in self.now.gives}
        for ref in self.before.gives:
            now = given.get(ref.name)
            if now is not None and now.object != ref.object:
                yield ref, now


def compare_step(
    both: Both, values: Iterable[Item], compare_file: CompareFile, tolerance: Tolerance
) -> StepProof:
    """One step, compared; `values` are the items of those that differ."""
    name = both.before.name
    if both.now.result != "passed":
        return StepProof(step=name, agreement="different", items=(_not_passed(both.now),))
    items = (
        *_only_one_side("value", _value_names(both.before), _value_names(both.now)),
        *values,
        *_files(both, compare_file),
        *_metrics(both, tolerance),
    )
    return StepProof(
        step=name,
        agreement=least([item.agreement for item in items]),
        values=len(both.before.gives),
        files=len(both.before.outs),
        metrics=len(both.before.metrics),
        items=items,
    )


def least(agreements: Iterable[Agreement]) -> Agreement:
    """The agreement of a whole from those of its parts."""
    return max(agreements, key=rank, default="identical")


def _not_passed(now: StepRecord) -> Item:
    """A step that gave something before, and nothing now."""
    reason = f"it was skipped: {now.reason}"
    if now.failure is not None:
        reason = f"it failed: {now.failure.message}"
    return Item(kind="step", name=now.name, agreement="different", reason=reason)


def _value_names(record: StepRecord) -> list[str]:
    return [ref.name for ref in record.gives]


def _only_one_side(kind: ItemKind, before: Iterable[str], now: Iterable[str]) -> Iterator[Item]:
    """What was there in one of the runs only."""
    old, new = dict.fromkeys(before), dict.fromkeys(now)
    for name in old:
        if name not in new:
            yield Item(kind=kind, name=name, agreement="different", reason=_ONLY_BEFORE)
    for name in new:
        if name not in old:
            yield Item(kind=kind, name=name, agreement="different", reason=_ONLY_NOW)


def _files(both: Both, compare_file: CompareFile) -> Iterator[Item]:
    # A step that ended well has written all that it declares: the paths are those of its plan.
    written = {ref.path: ref for ref in both.now.outs}
    for ref in both.before.outs:
        now = written[ref.path]
        if now.digest != ref.digest:
            yield _item("file", ref.path, compare_file(ref, now))


def _metrics(both: Both, tolerance: Tolerance) -> Iterator[Item]:
    before, now = _by_name(both.before), _by_name(both.now)
    yield from _only_one_side("metric", before, now)
    for name, metric in before.items():
        if name in now:
            found = tolerance.compare(metric.value, now[name].value)
            if found.agreement != "identical":
                yield _item("metric", name, found)


def _by_name(record: StepRecord) -> Mapping[str, Metric]:
    return {metric.name: metric for metric in record.metrics}


def _item(kind: ItemKind, name: str, found: Finding) -> Item:
    return Item(
        kind=kind,
        name=name,
        agreement=found.agreement,
        place=found.place,
        reason=found.reason,
        largest=found.largest,
    )
