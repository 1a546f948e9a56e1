"""Say why a metric moved between two runs: measure hybrids of them, and share the change out."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

import nbci
from nbci.app.publish import publish_report
from nbci.app.reruns.earlier_run import find_earlier_run, find_named_run
from nbci.app.reruns.hybrids import HybridOptions, open_hybrids
from nbci.app.reruns.mixture import make_mixture, open_side
from nbci.blame.shares import share_out
from nbci.blame.subsets import smallest_sufficient
from nbci.config import find_project
from nbci.errors import UsageError, spelling_hint
from nbci.formatting.durations import now_utc
from nbci.formatting.numbers import counted, listed
from nbci.pipeline.metric_names import meant_by, step_of
from nbci.records.blames import Blame, Hybrid, Interaction, Share
from nbci.runs.blames import add_blame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.app.reruns.hybrids import Hybrids
    from nbci.app.reruns.mixture import Side
    from nbci.blame.factors import Factor, Mixture
    from nbci.blame.shares import Sharing
    from nbci.blame.subsets import Subset
    from nbci.config import Project

MOST_SHARED = 8
"""Parts over which a change is shared out exactly: all of their subsets are measured."""
_NAMED = 4
_ENOUGH = 0.1
"""The share of the change that the parts which are searched for may leave unexplained."""


class BlameRequest(NamedTuple):
    """One call of `nbci blame`; without a `limit` any number of steps may run."""

    metric: str
    before: str
    after: str
    limit: int | None
    jobs: int | None
    command: tuple[str, ...]


class Blamed(NamedTuple):
    """An answer, and where it is kept; None where there was nothing to find."""

    blame: Blame
    place: Path | None


def blame(request: BlameRequest, tell: Callable[[str], None]) -> Blamed:
    """Find why the metric moved; UsageError where the runs cannot be compared in this way.

    `tell` is called with what is done.
    """
    started = time.monotonic()
    project = find_project(Path.cwd())
    new = _find_run(project, request.after)
    old = _find_run(project, request.before, new.plan.target)
    _refuse_unlike(old, new)
    names = _full_name(old, request.metric), _full_name(new, request.metric)
    begun = Blame(
        metric=names[1],
        before=old.record.run,
        after=new.record.run,
        before_value=_finite(old, names[0]),
        after_value=_finite(new, names[1]),
        nbci=nbci.__version__,
        started_utc=now_utc(),
    )
    if not begun.difference:
        return Blamed(begun, None)

    # Nobody may remove it meanwhile, or look for the same at the same time.
    if not new.folder.hold():
        raise UsageError(
            f"run {new.folder.run} is in use: it goes on, or something is found out about it",
            hint="try again when that has ended",
        )
    try:
        options = HybridOptions(
            # As the later run has it, where the step has another name in the earlier one.
            metrics=tuple(dict.fromkeys(reversed(names))),
            limit=request.limit,
            jobs=request.jobs,
            command=request.command,
            tell=tell,
        )
        found = _answer(old, new, begun, options)
        found = replace(found, seconds=round(time.monotonic() - started, 3))
        place = add_blame(new.folder, found)
        if (new.folder.report / "index.html").exists():
            publish_report(new.project, new.folder, new.plan, new.record)
        return Blamed(found, place)
    finally:
        new.folder.release()


def _find_run(project: Project, name: str, target: str | None = None) -> EarlierRun:
    run = find_earlier_run(project, find_named_run(project, name, target))
    run.refuse_unfit("its parts cannot be told", "name")
    return run


def _refuse_unlike(old: EarlierRun, new: EarlierRun) -> None:
    if old.plan.target != new.plan.target:
        raise UsageError(
            f"run {old.record.run} is of {old.plan.target}, run {new.record.run} of "
            f"{new.plan.target}",
            hint="name two runs of one pipeline",
        )


def _full_name(run: EarlierRun, asked: str) -> str:
    known = run.record.metrics
    meant = meant_by(asked, known)
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise UsageError(
            f"run {run.record.run} has {asked} of several steps",
            hint=f"name one: {', '.join(meant)}",
        )
    hint = spelling_hint(asked, known, f"it has {', '.join(known) or 'none'}")
    raise UsageError(f"run {run.record.run} has no metric {asked!r}", hint=hint)


def _finite(run: EarlierRun, name: str) -> float:
    value = run.record.metrics[name]
    if not math.isfinite(value):
        raise UsageError(
            f"{name} of run {run.record.run} is {value}, which cannot be shared out",
            hint="name runs in which it is a finite number",
        )
    return value


def _answer(old: EarlierRun, new: EarlierRun, begun: Blame, options: HybridOptions) -> Blame:
    cache = new.open_cache()
    before, after = options.metrics[-1], options.metrics[0]
    sides = open_side(old, before, cache), open_side(new, after, cache)
    mixture = make_mixture(*sides)
    if not mixture.factors:
        return replace(begun, untried=mixture.untried, unexplained=begun.difference)
    with open_hybrids(sides, mixture, cache, options) as hybrids:
        return _Search(sides, mixture, hybrids, begun).answer()


class _Search:
    """Looks for the parts that changed the metric.

    `_idle` are parts that cannot have: they are new in every hybrid.
    """

    def __init__(
        self, sides: tuple[Side, Side], mixture: Mixture, hybrids: Hybrids, begun: Blame
    ) -> None:
        self._sides = sides
        self._factors = mixture.factors
        self._untried = list(mixture.untried)
        self._hybrids = hybrids
        self._begun = begun
        self._idle: Subset = frozenset()

    def answer(self) -> Blame:
        """The answer, with what it rests on."""
        everything = frozenset(range(len(self._factors)))
        self._note_planned_anew(frozenset(), self._sides[0])
        self._note_planned_anew(everything, self._sides[1])
        self._idle = frozenset(self._find_idle(everything))
        reaching = sorted(everything - self._idle)
        if not reaching:
            return self._unexplained()
        self._hybrids.idle = self._idle
        self._hybrids.ends = {self._idle: self._sides[0], everything: self._sides[1]}
        chosen = reaching
        if len(reaching) > MOST_SHARED:
            chosen = self._sufficient(reaching)
        units = _in_groups(chosen, MOST_SHARED)
        sharing = share_out(units, self._measure)
        shares = [*self._shares(sharing, units), *self._rest(chosen, reaching)]
        shares.sort(key=lambda share: -abs(share.share))
        ends = self._measure([frozenset(), frozenset(reaching)])
        before, after = ends[frozenset()] or 0.0, ends[frozenset(reaching)] or 0.0
        unexplained = math.fsum(
            (self._begun.after_value, -after, before, -self._begun.before_value)
        )
        return replace(
            self._begun,
            shares=(*shares, *self._without_share()),
            unexplained=unexplained,
            interactions=sharing.interactions,
            strongest=self._strongest(sharing),
            untried=tuple(self._untried),
            hybrids=tuple(self._measured()),
            step_runs=self._hybrids.step_runs,
        )

    def _unexplained(self) -> Blame:
        """The answer where no part can have moved the metric."""
        return replace(
            self._begun,
            shares=tuple(self._without_share()),
            unexplained=self._begun.difference,
            untried=tuple(self._untried),
        )

    def _note_planned_anew(self, end: Subset, side: Side) -> None:
        """Say where the code of a run is not quite what it was, or is planned by another nbci."""
        names = self._hybrids.planner.changed_steps(end, side)
        if names:
            run = side.run.record.run
            self._untried.append(
                f"step {listed(names, _NAMED)} of run {run} is not planned as it was then"
            )

    def _measure(self, subsets: Sequence[Subset]) -> dict[Subset, float | None]:
        found = self._hybrids.measure([subset | self._idle for subset in subsets])
        return {subset: found[subset | self._idle] for subset in subsets}

    def _find_idle(self, everything: Subset) -> Iterator[int]:
        """The parts on which the metric does not depend, in the one run nor in the other."""
        signature = self._hybrids.signature
        none: Subset = frozenset()
        old, new = signature(none), signature(everything)
        for number in everything:
            alone, without = signature(frozenset((number,))), signature(everything - {number})
            if None not in (old, new) and (alone, without) == (old, new):
                yield number

    def _sufficient(self, reaching: Sequence[int]) -> list[int]:
        """A few parts that explain most of the change, by delta debugging."""
        self._hybrids.tell(
            f"{len(reaching)} parts differ: those that explain most are searched for first; "
            "how many step runs that takes is known only as it goes on"
        )
        everything, none = frozenset(reaching), frozenset[int]()
        ends = self._measure([none, everything])
        target = ends[everything] or 0.0
        most = _ENOUGH * abs(target - (ends[none] or 0.0))

        def suffices(parts: Sequence[int]) -> bool:
            subset = frozenset(parts)
            value = self._measure([subset])[subset]
            return value is not None and abs(target - value) <= most

        return smallest_sufficient(reaching, suffices)

    def _shares(self, sharing: Sharing, units: Sequence[Subset]) -> Iterator[Share]:
        for number, unit in enumerate(sharing.units):
            factors = [self._factors[part] for part in sorted(unit)]
            reason = ""
            if unit not in units:
                reason = "they only work together"
            elif len(unit) > 1:
                reason = "too many to be told apart"
            yield Share(
                name=_name(factors),
                kind=factors[0].kind if len(factors) == 1 else "several",
                share=sharing.shares[number],
                alone=sharing.alone[number],
                last=sharing.last[number],
                reason=reason,
            )

    def _rest(self, chosen: Sequence[int], reaching: Sequence[int]) -> Iterator[Share]:
        """What is left for the parts that are not among the few."""
        others = frozenset(reaching) - frozenset(chosen)
        if not others:
            return
        few, everything = frozenset(chosen), frozenset(reaching)
        found = self._measure([few, everything])
        factors = [self._factors[part] for part in sorted(others)]
        yield Share(
            name=_name(factors),
            kind=factors[0].kind if len(factors) == 1 else "several",
            share=(found[everything] or 0.0) - (found[few] or 0.0),
            reason="what they change once the others have",
        )

    def _without_share(self) -> Iterator[Share]:
        step = step_of(self._begun.metric)
        for number in sorted(self._idle):
            factor = self._factors[number]
            reason = f"step {step} does not depend on it"
            yield Share(name=factor.name, kind=factor.kind, share=0.0, reason=reason)

    def _strongest(self, sharing: Sharing) -> Interaction | None:
        if sharing.strongest is None:
            return None
        one, other, change = sharing.strongest
        names = []
        for number in (one, other):
            names.append(_name([self._factors[part] for part in sorted(sharing.units[number])]))
        return Interaction(parts=(names[0], names[1]), change=change)

    def _measured(self) -> Iterator[Hybrid]:
        for new, outcome in self._hybrids.outcomes.items():
            yield Hybrid(
                new=self._hybrids.names(new),
                value=outcome.value,
                run=outcome.run,
                problem=outcome.problem,
            )


def _in_groups(parts: Sequence[int], most: int) -> list[Subset]:
    """The parts one by one, or as so many groups of neighbours where there are more."""
    count = min(len(parts), most)
    bounds = [len(parts) * number // count for number in range(count + 1)] if count else []
    return [frozenset(parts[start:end]) for start, end in pairwise(bounds)]


def _name(factors: Sequence[Factor]) -> str:
    if len(factors) <= _NAMED:
        return " + ".join(factor.name for factor in factors)
    return f"{factors[0].name} + {counted(len(factors) - 1, 'other part')}"
