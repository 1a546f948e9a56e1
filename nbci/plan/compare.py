"""What differs between two runs: parameters, code by cell, data, metrics, environment."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from nbci.pipeline.metric_names import meant_by
from nbci.plan.alignment import aligned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from nbci.plan.model import Plan, PlannedCell
    from nbci.records.run_record import FileRef, RunRecord

    ListingOf = Callable[[FileRef], Mapping[str, str] | None]

Role = Literal["in", "out"]
Kind = Literal["added", "removed", "changed"]


class Compared(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run with the plan that it carried out."""

    record: RunRecord
    plan: Plan


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Something that has a name and a value: a parameter, a package, a setting; None where it was
    not there.
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
    """A file or folder that the runs read or wrote. For a folder, the files of it by what became of
    them.

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
    """A metric by its full name; `better` is None where no direction is declared or nothing can be
    said.
    """

    name: str
    before: float | None
    after: float | None
    direction: Literal["up", "down"] | None = None
    unit: str | None = None

    @property
    def difference(self) -> float | None:
        """After less before."""
        return None if self.before is None or self.after is None else self.after - self.before

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
        return not any(others) and all(
            _is_same(metric.before, metric.after) for metric in self.metrics
        )


def _is_same(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is after
    return before == after or (math.isnan(before) and math.isnan(after))


def difference(before: Compared, after: Compared, listing: ListingOf) -> RunDifference:
    """Compare two runs. `listing` gives the files of a folder with their digests, where they are
    known.
    """
    idle = _idle(before, after)
    return RunDifference(
        before=before.record.run,
        after=after.record.run,
        params=tuple(_named(_params(before.record), _params(after.record))),
        steps=tuple(_named(_results(before.record), _results(after.record))),
        used=tuple(_named(_used(before.record), _used(after.record))),
        code=tuple(code_changes(before.plan, after.plan)),
        data=tuple(_data(before, after, listing)),
        metrics=tuple(_metrics(before, after)),
        environment=tuple(
            _named(_environment(before.record, idle), _environment(after.record, idle))
        ),
    )


def _named(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old != new or type(old) is not type(new):
            yield Change(name=name, before=old, after=new)


def _params(record: RunRecord) -> dict[str, Any]:
    return {param.name: param.value for param in record.params}


def _results(record: RunRecord) -> dict[str, str]:
    """How each step came out; a reused one passed."""
    return {
        step.name: "passed" if step.result == "reused" else step.result for step in record.steps
    }


def _idle(before: Compared, after: Compared) -> set[str]:
    """The steps that one of the runs left out or failed at: what the other has of them is no
    difference.
    """
    return {
        step.name for run in (before, after) for step in run.record.steps if not step.ended_well
    }


def _environment(record: RunRecord, idle: set[str]) -> dict[str, str]:
    """Where the run ran and with what, packages under their own names."""
    facts = {
        "commit": record.git.commit if record.git else None,
        "branch": record.git.branch if record.git else None,
        "nbci": record.nbci,
        "platform": record.platform,
    }
    found = {name: {value} for name, value in facts.items() if value}
    for step in record.steps:  # reused steps may have run with other versions than the rest
        if step.kernel_version:
            found.setdefault(f"kernel {step.kernel}", set()).add(step.kernel_version)
        for name, version in (step.distributions or {}).items() if step.name not in idle else ():
            found.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


def _used(record: RunRecord) -> dict[str, str]:
    """The modules and undeclared files of the project that its steps used."""
    found: dict[str, set[str]] = {}
    for step in record.steps:
        for part in step.observed:
            if part.kind in ("module", "file"):
                found.setdefault(part.label, set()).add(part.digest)
    return {name: ", ".join(sorted(digests)) for name, digests in sorted(found.items())}


def code_changes(before: Plan, after: Plan) -> Iterator[CellChange]:
    """The cells that differ, step by step."""
    old, new = {step.name: step for step in before.steps}, {step.name: step for step in after.steps}
    for name in dict.fromkeys((*new, *old)):
        notebook = (new.get(name) or old[name]).notebook
        programs = [
            tuple(_own(step.cells)) if step else () for step in (old.get(name), new.get(name))
        ]
        yield from _cells(name, notebook, programs[0], programs[1])


def _own(cells: Iterable[PlannedCell]) -> Iterator[PlannedCell]:
    """The cells that stand in the notebook; what nbci puts in comes from parameters."""
    return (cell for cell in cells if cell.number is not None)


def _cells(
    step: str, notebook: str, old: Sequence[PlannedCell], new: Sequence[PlannedCell]
) -> Iterator[CellChange]:
    for at_old, at_new in aligned([cell.source for cell in old], [cell.source for cell in new]):
        was = None if at_old is None else old[at_old]
        now = None if at_new is None else new[at_new]
        if was is None or now is None or was.source != now.source:
            yield _cell(step, notebook, was, now)


def _cell(step: str, notebook: str, was: PlannedCell | None, now: PlannedCell | None) -> CellChange:
    lines = difflib.unified_diff(
        was.source.splitlines() if was else [],
        now.source.splitlines() if now else [],
        lineterm="",
        n=2,
    )
    shown = now or was
    return CellChange(
        step=step,
        notebook=notebook,
        kind="changed" if was and now else "added" if now else "removed",
        role=shown.role if shown else "step",
        before=was.number if was else None,
        after=now.number if now else None,
        diff=tuple(lines)[2:],
    )


def _data(before: Compared, after: Compared, listing: ListingOf) -> Iterator[DataChange]:
    """Files by what became of them; those of a step that the other run has, too, but left out, are
    no difference.
    """
    roles: tuple[Role, ...] = ("in", "out")
    idle = _idle(before, after)
    for role in roles:
        old, new = _files(before.record, role, idle), _files(after.record, role, idle)
        for path in sorted({*old, *new}):
            was, now = old.get(path), new.get(path)
            if was is None or now is None or was.digest != now.digest:
                yield _file(path, role, was, now, listing)


def _files(record: RunRecord, role: Role, idle: set[str]) -> dict[str, FileRef]:
    """What was read and not made by the run itself, or what it made."""
    steps = [step for step in record.steps if step.name not in idle]
    if role == "out":
        return {ref.path: ref for step in steps for ref in step.outs}
    made = tuple(ref.path for step in record.steps for ref in step.outs)
    read = {ref.path: ref for step in steps for ref in step.deps}
    inside = tuple(f"{path}/" for path in made)
    return {
        path: ref for path, ref in read.items() if path not in made and not path.startswith(inside)
    }


def _file(
    path: str, role: Role, was: FileRef | None, now: FileRef | None, listing: ListingOf
) -> DataChange:
    kind: Kind = "changed" if was and now else "added" if now else "removed"
    change = DataChange(path=path, kind=kind, role=role, before=was, after=now)
    old, new = (listing(was) if was else None), (listing(now) if now else None)
    if old is None or new is None:
        return change
    return replace(
        change,
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
        files_known=True,
    )


def _metrics(before: Compared, after: Compared) -> Iterator[MetricChange]:
    old, new = before.record.metrics, after.record.metrics
    declared = {**(before.plan.metrics or {}), **(after.plan.metrics or {})}
    says = {full: rule for name, rule in declared.items() for full in meant_by(name, (*old, *new))}
    for name in dict.fromkeys((*new, *old)):
        rule = says.get(name)
        yield MetricChange(
            name=name,
            before=old.get(name),
            after=new.get(name),
            direction=rule.direction if rule else None,
            unit=rule.unit if rule else None,
        )
