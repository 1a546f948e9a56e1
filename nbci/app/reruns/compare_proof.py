"""Compare a run with the one that was carried out to prove it, step by step."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

import nbci
from nbci.engine.compare_values import ValueComparison, Versions
from nbci.engine.observed.kinds import BY_NAME, CHANGED
from nbci.errors import NbciError
from nbci.proofs.compare_steps import Both, compare_step, least
from nbci.proofs.files import compare_files
from nbci.proofs.sentences import proof_sentence
from nbci.proofs.tolerance import IDENTICAL, Finding, worse
from nbci.records.proof import Proof
from nbci.store.artifacts import is_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.engine.context import RunContext
    from nbci.plan.model import PlannedStep
    from nbci.proofs.tolerance import Tolerance
    from nbci.records.proof import StepProof
    from nbci.records.run_record import FileRef, RunRecord, StepRecord
    from nbci.store.artifacts import Artifacts
    from nbci.store.cache import Cache

_AROUND = frozenset(("folder", "import", "umask"))
"""The kinds of observations that are not compared before the second run, as its steps change them.
"""
_NOT_KEPT = Finding(
    agreement="different", reason="its bytes differ; what it was before is no longer kept"
)


def compare_runs(
    before: EarlierRun,
    known: Cache,
    context: RunContext,
    now: RunRecord,
    tolerance: Tolerance,
) -> Proof:
    """The proof of a run from the second one, whose workspace is still there.

    `known` is the cache that has what the first run gave.
    """
    steps = asyncio.run(_compare_steps(before, context, now, known, tolerance))
    later = _seconds_between(before.record.started_utc, now.started_utc)
    other_machine = before.record.host != now.host
    return Proof(
        run=before.folder.run,
        proof=now.run,
        agreement=least([step.agreement for step in steps]),
        sentence=proof_sentence(
            steps, tolerance.relative, later_seconds=later, other_machine=other_machine
        ),
        tolerance=tolerance.relative,
        nbci=nbci.__version__,
        started_utc=now.started_utc,
        later_seconds=later,
        seconds=now.seconds,
        host=now.host,
        surroundings=tuple(_surroundings(before, now)),
        results=before.folder.results_digest,
        steps=steps,
    )


async def _compare_steps(
    before: EarlierRun,
    context: RunContext,
    now: RunRecord,
    known: Cache,
    tolerance: Tolerance,
) -> tuple[StepProof, ...]:
    comparison = StepComparison(context, known, str(before.project.root), tolerance)
    found = []
    for planned in context.plan.steps:
        both = _both(before.record, now, planned.name)
        if planned.action == "run" and both is not None:
            found.append(await comparison.compare(planned, both))
    context.environments.release()
    return tuple(found)


class StepComparison:
    """Compares steps with what they gave when they were carried out again in `context`.

    `known` is the cache that has what they gave before, in `checkout`.
    """

    def __init__(
        self, context: RunContext, known: Cache, checkout: str, tolerance: Tolerance
    ) -> None:
        self._context = context
        self._known = known
        self._values = ValueComparison(context, known, checkout, tolerance.both)
        self._tolerance = tolerance

    async def compare(self, planned: PlannedStep, both: Both) -> StepProof:
        """What a step gave then and now."""
        outs = _Outs(self._context, self._known.artifacts_of(both.before), self._tolerance)
        versions = []
        # A step that did not end has no values to compare.
        if both.now.result == "passed":
            versions = [Versions(before=old, now=new) for old, new in both.values_that_differ()]
        values = await self._values.compare(planned, versions)
        return compare_step(both, values, outs.compare, self._tolerance)


def _both(before: RunRecord, now: RunRecord, name: str) -> Both | None:
    old, new = before.step(name), now.step(name)
    if old is None or new is None:
        return None
    return Both(before=old, now=new)


class _Outs:
    """The files that a step wrote in both runs; those of the run before are `kept`."""

    def __init__(self, context: RunContext, kept: Artifacts, tolerance: Tolerance) -> None:
        self._root = context.project.root
        self._made = context.cache.artifacts
        self._kept = kept
        self._tolerance = tolerance

    def compare(self, before: FileRef, now: FileRef) -> Finding:
        """Compare an out whose digests differ: a folder file by file."""
        try:
            if is_folder(before) and is_folder(now):
                return self._compare_folders(before, now)
            if is_folder(before) or is_folder(now):
                return Finding(agreement="different", reason="a file in one, a folder in the other")
            return self._compare_file(now.path, before.digest, self._place(now.path, now.digest))
        # The remote has damaged what it keeps, or is not there: the bytes still differ.
        except NbciError:
            return _NOT_KEPT

    def _compare_folders(self, before: FileRef, now: FileRef) -> Finding:
        if self._kept.missing_objects(before.digest):
            return _NOT_KEPT
        old = self._kept.listing(before.digest) or {}
        new = self._made.listing(now.digest) or {}
        for name in sorted(old.keys() ^ new.keys()):
            return Finding(agreement="different", place=name, reason="in one of the runs only")

        found = IDENTICAL
        for name, digest in old.items():
            if new[name] != digest:
                place = self._place(f"{now.path}/{name}", new[name])
                found = worse(found, _within(name, self._compare_file(name, digest, place)))
        return found

    def _place(self, path: str, digest: str) -> Path:
        """Where an out of the second run lies."""
        kept = self._made.objects.path(digest)
        # In the workspace, a later step may have written another one in its place; but outs of
        # steps with `cache: disabled` are there only.
        if kept.is_file():
            return kept
        return self._root / path

    def _compare_file(self, name: str, digest: str, place: Path) -> Finding:
        if self._kept.missing_objects(digest):
            return _NOT_KEPT
        return compare_files(name, self._kept.objects.path(digest), place, self._tolerance)


def _within(name: str, found: Finding) -> Finding:
    """A finding in a file of a folder, with the file's name."""
    place = ", ".join(filter(None, (name, found.place)))
    return Finding(
        agreement=found.agreement, place=place, reason=found.reason, largest=found.largest
    )


def _seconds_between(before: str | None, now: str | None) -> float | None:
    if before is None or now is None:
        return None
    try:
        gap = datetime.fromisoformat(now) - datetime.fromisoformat(before)
    except (ValueError, TypeError):
        return None
    return gap.total_seconds()


def _surroundings(before: EarlierRun, now: RunRecord) -> Iterator[str]:
    """What was not the same around the two runs, each once."""
    found: dict[str, None] = {}
    for new in now.steps:
        old = before.record.step(new.name)
        if old is not None and new.result == "passed":
            found.update(dict.fromkeys(around_step(old, new, str(before.project.root))))
    if before.record.platform != now.platform:
        found[f"platform {before.record.platform} → {now.platform}"] = None
    yield from found


def around_step(old: StepRecord, new: StepRecord, checkout: str) -> Iterator[str]:
    """What was not the same around a step in two runs, in sentences."""
    if old.kernel_version != new.kernel_version:
        yield f"kernel {old.kernel_version} → {new.kernel_version}"
    versions = new.distributions or {}
    for name, version in (old.distributions or {}).items():
        if versions.get(name, version) != version:
            yield f"{name} {version} → {versions[name]}"
    known = {(part.kind, part.label): part.digest for part in old.observed}
    for part in old.observed:
        if part.kind == CHANGED:
            yield f"{part.label}, which step {old.name} read, changed while it first ran"
    for part in new.observed:
        before = known.get((part.kind, part.label), part.digest)
        if part.kind in _AROUND and before != part.digest:
            yield BY_NAME[part.kind].change.format(kind=part.kind, label=part.label)
        label = part.label.removeprefix(f"{checkout}/")
        # By an absolute path, or by a package that is installed for editing.
        is_in_checkout = part.kind in ("file", "module") and label != part.label
        if is_in_checkout and known.get((part.kind, label), part.digest) != part.digest:
            yield f"step {new.name} used {part.label} of the checkout, which has changed since"
