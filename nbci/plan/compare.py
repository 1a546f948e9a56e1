"""What differs between two runs: parameters, code by cell, data, metrics, environment."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from nbci.graph import by_name
from nbci.pipeline.metric_names import meant_by
from nbci.plan.alignment import align

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nbci.plan.model import Plan, PlannedCell, PlannedStep
    from nbci.records.run_record import FileRef, RunRecord

    ListingOf = Callable[[FileRef], Mapping[str, str] | None]

Role = Literal["in", "out"]
Kind = Literal["added", "removed", "changed"]
_DIFF_CONTEXT_LINES = 2
_USED_KINDS = ("module", "file")
"""Kinds of observations that name a file of the project."""


class Compared(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run with the plan that it carried out."""

    record: RunRecord
    plan: Plan


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Something with a name and a value: a parameter, a package, a setting.

    A value is None where it was not there.
    """

    name: str
    before: Any
    after: Any


class CellChange(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A cell of a step's program; numbers are those of its notebook, from 1.

    `diff` is unified, without file names.
    """

    step: str
    notebook: str
    kind: Kind
    role: str
    before: int | None
    after: int | None
    diff: tuple[str, ...]


class DataChange(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A file or folder that the runs read or wrote; for a folder, what became of its files.

    `files_known`: whether both folders' listings were at hand.
    """

    path: str
    kind: Kind
    role: Role
    before: FileRef | None
    after: FileRef | None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    files_known: bool = False


class MetricChange(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A metric by its full name.

    `better` is None where no direction is declared or nothing can be said. `recorded` is what the
    first run measured itself, where `before` is what its model gave on the data of the second.
    """

    name: str
    before: float | None
    after: float | None
    recorded: float | None = None
    direction: Literal["up", "down"] | None = None
    unit: str | None = None

    @property
    def difference(self) -> float | None:
        """After less before; None where one of the runs has no such metric."""
        if self.before is None or self.after is None:
            return None
        return self.after - self.before

    @property
    def better(self) -> bool | None:
        """Whether the metric moved in the direction that is declared as better."""
        difference = self.difference
        if not difference or math.isnan(difference) or self.direction is None:
            return None
        return (difference > 0) == (self.direction == "up")


class RunDifference(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What differs between two runs; everything that is equal is left out, but for the metrics.

    `used` are the project's modules and other files that steps used without declaring them, by
    their digests.
    """

    before: str
    after: str
    params: tuple[Change, ...] = ()
    steps: tuple[Change, ...] = ()
    used: tuple[Change, ...] = ()
    code: tuple[CellChange, ...] = ()
    data: tuple[DataChange, ...] = ()
    metrics: tuple[MetricChange, ...] = ()
    environment: tuple[Change, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the two are the same in every respect."""
        others = (self.params, self.steps, self.used, self.code, self.data, self.environment)
        if any(others):
            return False
        return all(_is_same_number(metric.before, metric.after) for metric in self.metrics)


def _is_same_number(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is after
    # NaN is no number equal to itself, but two runs that both give it do not differ.
    return before == after or (math.isnan(before) and math.isnan(after))


def difference(before: Compared, after: Compared, listing: ListingOf) -> RunDifference:
    """Compare two runs.

    `listing` gives the files of a folder with their digests, where they are known.
    """
    old, new = before.record, after.record
    incomplete = _incomplete_steps(before, after)
    surroundings = (_environment(old, incomplete), _environment(new, incomplete))
    return RunDifference(
        before=old.run,
        after=new.run,
        params=tuple(_value_changes(_params(old), _params(new))),
        steps=tuple(_value_changes(_results(old), _results(new))),
        used=tuple(_value_changes(_used_files(old), _used_files(new))),
        code=tuple(code_changes(before.plan, after.plan)),
        data=tuple(_data_changes(old, new, incomplete, listing)),
        metrics=tuple(_metric_changes(before, after)),
        environment=tuple(_value_changes(*surroundings)),
    )


def _value_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        # 1 and 1.0 are equal in Python, and not the same to a cell.
        if old != new or type(old) is not type(new):
            yield Change(name=name, before=old, after=new)


def _params(record: RunRecord) -> dict[str, Any]:
    return {param.name: param.value for param in record.params}


def _results(record: RunRecord) -> dict[str, str]:
    """How each step came out; a reused one passed."""
    results: dict[str, str] = {}
    for step in record.steps:
        results[step.name] = step.result
        if step.ended_well:
            results[step.name] = "passed"
    return results


def _incomplete_steps(*runs: Compared) -> set[str]:
    """The steps that one of the runs left out or failed at.

    What the other run has of them is no difference.
    """
    names: set[str] = set()
    for run in runs:
        for step in run.record.steps:
            if not step.ended_well:
                names.add(step.name)
    return names


def _environment(record: RunRecord, incomplete: set[str]) -> dict[str, str]:
    """Where the run ran and with what, packages under their own names."""
    # The code first, then what it ran on: in this order people look for a cause.
    facts = {"nbci": record.nbci, "platform": record.platform}
    if record.git:
        facts = {"commit": record.git.commit, "branch": record.git.branch, **facts}

    # Sets, since reused steps may have run with other versions than the rest.
    found: dict[str, set[str]] = {}
    for name, value in facts.items():
        if value:
            found[name] = {value}
    for step in record.steps:
        if step.kernel_version:
            found.setdefault(f"kernel {step.kernel}", set()).add(step.kernel_version)
        if step.name not in incomplete:
            for name, version in (step.distributions or {}).items():
                found.setdefault(name, set()).add(version)
    return _shown_values(found)


def _shown_values(values: Mapping[str, set[str]]) -> dict[str, str]:
    return {name: ", ".join(sorted(several)) for name, several in values.items()}


def _used_files(record: RunRecord) -> dict[str, str]:
    """The modules and undeclared files of the project that its steps used."""
    found: dict[str, set[str]] = {}
    for step in record.steps:
        for part in step.observed:
            if part.kind in _USED_KINDS:
                found.setdefault(part.label, set()).add(part.digest)
    return _shown_values(dict(sorted(found.items())))


def code_changes(before: Plan, after: Plan) -> Iterator[CellChange]:
    """The cells that differ, step by step."""
    old, new = by_name(before.steps), by_name(after.steps)
    # As the later run has them; steps that it lacks stand at the end.
    for name in dict.fromkeys((*new, *old)):
        step = new.get(name) or old[name]
        yield from _cell_changes(step, _own_cells(old.get(name)), _own_cells(new.get(name)))


def _own_cells(step: PlannedStep | None) -> tuple[PlannedCell, ...]:
    """The cells that stand in the notebook; what nbci puts in comes from parameters."""
    if step is None:
        return ()
    return tuple(cell for cell in step.cells if cell.number is not None)


def _cell_changes(
    step: PlannedStep, old: Sequence[PlannedCell], new: Sequence[PlannedCell]
) -> Iterator[CellChange]:
    for at_old, at_new in align(_sources(old), _sources(new)):
        before = after = None
        if at_old is not None:
            before = old[at_old]
        if at_new is not None:
            after = new[at_new]
        if before is None or after is None or before.source != after.source:
            yield _cell_change(step, before, after)


def _sources(cells: Sequence[PlannedCell]) -> list[str]:
    return [cell.source for cell in cells]


def _cell_change(
    step: PlannedStep, before: PlannedCell | None, after: PlannedCell | None
) -> CellChange:
    role: str = "step"
    for cell in (before, after):
        if cell:
            role = cell.role
    diff = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=_DIFF_CONTEXT_LINES)
    return CellChange(
        step=step.name,
        notebook=step.notebook,
        kind=_kind_of_change(before, after),
        role=role,
        before=_number(before),
        after=_number(after),
        # The first two lines are names of files, which cells do not have.
        diff=tuple(diff)[2:],
    )


def _number(cell: PlannedCell | None) -> int | None:
    if cell is None:
        return None
    return cell.number


def _lines(cell: PlannedCell | None) -> list[str]:
    if cell is None:
        return []
    return cell.source.splitlines()


def _kind_of_change(before: object, after: object) -> Kind:
    if not after:
        return "removed"
    if not before:
        return "added"
    return "changed"


def _data_changes(
    before: RunRecord, after: RunRecord, incomplete: set[str], listing: ListingOf
) -> Iterator[DataChange]:
    """Files by what became of them.

    Those of a step that the other run has, too, but left out, are no difference.
    """
    roles: tuple[Role, ...] = ("in", "out")
    for role in roles:
        old, new = _files(before, role, incomplete), _files(after, role, incomplete)
        for path in sorted({*old, *new}):
            was, now = old.get(path), new.get(path)
            if was is None or now is None or was.digest != now.digest:
                yield _data_change(path, role, was, now, listing)


def _files(record: RunRecord, role: Role, incomplete: set[str]) -> dict[str, FileRef]:
    """What was read and not made by the run itself, or what it made."""
    made = record.outs
    folders = tuple(f"{path}/" for path in made)

    files: dict[str, FileRef] = {}
    for step in record.steps:
        if step.name in incomplete:
            continue
        if role == "out":
            for ref in step.outs:
                files[ref.path] = ref
            continue
        for ref in step.deps:
            # What the run made itself differs by its steps' code and data, which are listed.
            if ref.path not in made and not ref.path.startswith(folders):
                files[ref.path] = ref
    return files


def _data_change(
    path: str, role: Role, before: FileRef | None, after: FileRef | None, listing: ListingOf
) -> DataChange:
    kind = _kind_of_change(before, after)
    change = DataChange(path=path, kind=kind, role=role, before=before, after=after)
    if before is None or after is None:
        return change
    old, new = listing(before), listing(after)
    # A file has no listing; that of a folder may be on another machine.
    if old is None or new is None:
        return change

    in_both = old.keys() & new.keys()
    return replace(
        change,
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(name for name in in_both if old[name] != new[name])),
        files_known=True,
    )


def _metric_changes(before: Compared, after: Compared) -> Iterator[MetricChange]:
    old, new = before.record.metrics, after.record.metrics
    declared = {**(before.plan.metrics or {}), **(after.plan.metrics or {})}
    # A rule may name a metric without its step, and so mean several.
    rules = {}
    for name, rule in declared.items():
        rules.update(dict.fromkeys(meant_by(name, (*old, *new)), rule))
    for name in dict.fromkeys((*new, *old)):
        change = MetricChange(name=name, before=old.get(name), after=new.get(name))
        if name in rules:
            change = replace(change, direction=rules[name].direction, unit=rules[name].unit)
        yield change
