"""Where one model is better or worse than another: a metric's change in parts of the cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.behaviour.groups import groups_of
from nbci.behaviour.significance import holm, mcnemar, paired_t

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from nbci.behaviour.case_metrics import CaseMetric
    from nbci.behaviour.groups import Groups
    from nbci.behaviour.pairing import Pair

MIN_ROWS = 50
"""Slices of fewer cases are not compared, unless a gate asks for them."""
MOST_SHOWN = 100


class SliceChange(Struct, frozen=True, kw_only=True):
    """A metric in the cases that have these values of these columns.

    `change` is the run's value minus the baseline's. `p_value` is of a paired test (McNemar's exact
    one, or Student's); `corrected` is the same by Holm's method, for all slices that were compared.
    `fixed` and `broken` are None for a regression.
    """

    columns: tuple[str, ...]
    values: tuple[str, ...]
    cases: int
    run: float
    baseline: float
    change: float
    p_value: float
    corrected: float
    fixed: int | None = None
    broken: int | None = None


class Slices(Struct, frozen=True, kw_only=True):
    """How many slices were compared, and some of them, as they were asked for."""

    compared: int = 0
    changes: tuple[SliceChange, ...] = ()


def most_changed(
    pair: Pair, metric: CaseMetric, *, min_rows: int = MIN_ROWS, notes: list[str]
) -> Slices:
    """Those that changed with the least chance, by all columns; of equals, the largest loss first.

    At most `MOST_SHOWN`. `notes` takes what was not compared, and why.
    """
    import numpy as np

    table = _Table.of(pair, metric, pair.run.slices, min_rows, notes)
    order = np.lexsort((-table.losses, table.corrected))
    return Slices(compared=len(order), changes=table.changes(order[:MOST_SHOWN]))


def largest_losses(
    pair: Pair,
    metric: CaseMetric,
    columns: Iterable[str],
    *,
    relative: bool = False,
    significant: float | None = None,
    min_rows: int = MIN_ROWS,
    notes: list[str],
) -> Slices:
    """Those of these columns that lost anything, the largest loss first.

    Where it is `relative`, losses count as shares of the baseline's value. Before all others come
    those whose corrected p-value is below `significant`.
    """
    import numpy as np

    chosen = {name: pair.run.slices[name] for name in columns}
    table = _Table.of(pair, metric, chosen, min_rows, notes)
    losses = table.losses
    if relative:
        # What was 0 and is more now has lost endlessly.
        with np.errstate(divide="ignore", invalid="ignore"):
            losses = np.where(losses > 0, losses / np.abs(table.baselines), 0.0)
    # The last key of lexsort is the first to count.
    may_be_chance = table.corrected >= (significant or 0.0)
    order = np.lexsort((-losses, may_be_chance))
    lost = order[losses[order] > 0]
    return Slices(compared=len(order), changes=table.changes(lost[:MOST_SHOWN]))


class _Part(Struct, frozen=True, kw_only=True):
    """A metric in all groups of one or two columns; the arrays begin with group 1."""

    groups: Groups
    run: NDArray[np.float64]
    baseline: NDArray[np.float64]
    p_values: NDArray[np.float64]
    fixed: NDArray[np.int64] | None = None
    broken: NDArray[np.int64] | None = None


class _Table(Struct, frozen=True, kw_only=True):
    """All slices in arrays: of a hundred thousand of them, few become a `SliceChange`.

    `losses` are positive where the run is worse.
    """

    parts: list[_Part]
    starts: NDArray[np.int64]
    losses: NDArray[np.float64]
    baselines: NDArray[np.float64]
    corrected: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        pair: Pair,
        metric: CaseMetric,
        columns: Mapping[str, pa.Array],
        min_rows: int,
        notes: list[str],
    ) -> _Table:
        import numpy as np

        difference = metric.run - metric.baseline
        # Few cases differ: to look for them once is quicker than in each of the groups.
        turned = np.flatnonzero(difference > 0), np.flatnonzero(difference < 0)
        parts = []
        for groups in groups_of(columns, min_rows, notes):
            parts.append(_compare(pair, metric, groups, turned))

        losses = [part.baseline - part.run for part in parts]
        if metric.better == "lower":
            losses = [-loss for loss in losses]
        empty = np.empty(0)
        p_values = np.concatenate([empty, *(part.p_values for part in parts)])
        sizes = [0, *(len(part.run) for part in parts)]
        return cls(
            parts=parts,
            starts=np.cumsum(sizes),
            losses=np.concatenate([empty, *losses]),
            baselines=np.concatenate([empty, *(part.baseline for part in parts)]),
            corrected=holm(p_values),
        )

    def changes(self, places: Iterable[int]) -> tuple[SliceChange, ...]:
        """The slices at these places of the arrays."""
        return tuple(map(self._change, places))

    def _change(self, place: int) -> SliceChange:
        import numpy as np

        number = int(np.searchsorted(self.starts, place, side="right")) - 1
        part = self.parts[number]
        at = int(place - self.starts[number])
        return SliceChange(
            columns=part.groups.columns,
            values=part.groups.values[at],
            cases=int(part.groups.counts[at + 1]),
            run=float(part.run[at]),
            baseline=float(part.baseline[at]),
            change=float(part.run[at] - part.baseline[at]),
            p_value=float(part.p_values[at]),
            corrected=float(self.corrected[place]),
            fixed=_count_at(part.fixed, at),
            broken=_count_at(part.broken, at),
        )


def _compare(
    pair: Pair,
    metric: CaseMetric,
    groups: Groups,
    turned: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> _Part:
    """The metric in these groups; `turned` are the cases whose value rose, and those it fell."""
    import numpy as np

    weights = pair.run.weights
    cases = groups.counts[1:]
    total: Any = cases
    if weights is not None:
        # Cases that weigh nothing are no part of the evaluation: their slices have no change.
        total = np.maximum(_sums(groups, weights), np.finfo(np.float64).tiny)
    run = _sums(groups, metric.run, weights) / total
    baseline = _sums(groups, metric.baseline, weights) / total

    if pair.run.task == "regression":
        difference = metric.run - metric.baseline
        sums, squares = _sums(groups, difference), _sums(groups, difference**2)
        p_values = paired_t(cases, sums, squares)
        return _Part(groups=groups, run=run, baseline=baseline, p_values=p_values)

    fixed, broken = (_counts(groups, rows) for rows in turned)
    return _Part(
        groups=groups,
        run=run,
        baseline=baseline,
        p_values=mcnemar(broken, fixed),
        fixed=fixed,
        broken=broken,
    )


def _sums(
    groups: Groups, values: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The sum of the values in each group, from group 1."""
    import numpy as np

    if weights is not None:
        values = values * weights
    sums: Any = np.bincount(groups.places, weights=values, minlength=len(groups.counts))
    return sums[1:]  # type: ignore[no-any-return]  # numpy's types say whole numbers


def _counts(groups: Groups, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of those cases in each group, from group 1."""
    import numpy as np

    return np.bincount(groups.places[rows], minlength=len(groups.counts))[1:]


def _count_at(counts: NDArray[np.int64] | None, at: int) -> int | None:
    if counts is None:
        return None
    return int(counts[at])
