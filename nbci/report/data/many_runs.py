"""Many runs side by side: in which parameters they differ, and which is the best in what."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.formatting.numbers import listed, number
from nbci.formatting.terminal import one_line
from nbci.pipeline.metric_names import short_name
from nbci.pipeline.rules import declared_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.pipeline.rules import DeclaredMetric, Direction
    from nbci.records.run_record import RunRecord

_LONGEST_VALUE = 24
_NAMED = 3


class ComparedRun(Struct, frozen=True, kw_only=True):
    """A run with its parameters by name, and its metrics by their full names."""

    record: RunRecord
    params: Mapping[str, Any]
    metrics: Mapping[str, float]

    @property
    def run(self) -> str:
        """The run's id."""
        return self.record.run

    def value_of(self, metric: str) -> float | None:
        """The value of a metric, None where the run has none, or none that is a number."""
        value = self.metrics.get(metric, math.nan)
        return None if math.isnan(value) else value


class ComparedMetric(Struct, frozen=True, kw_only=True):
    """A metric that some of the runs have; `best` are the runs in which it is the best.

    `title` is the short name where that is enough. Without a `direction` none is the best.
    """

    name: str
    title: str
    direction: Direction | None
    best: tuple[str, ...] = ()


class ManyRuns(Struct, frozen=True, kw_only=True):
    """Runs, the best first where a direction is declared, else as they were named.

    `differing` are the parameters that do, `alike` the values of those that are the same in all.
    `left_out` says why the record of a run cannot be read.
    """

    runs: tuple[ComparedRun, ...]
    metrics: tuple[ComparedMetric, ...]
    differing: tuple[str, ...]
    alike: Mapping[str, Any]
    left_out: Mapping[str, str]

    @property
    def ranking(self) -> ComparedMetric | None:
        """The metric by which the runs are sorted."""
        return _ranking(self.metrics)


def compare_runs(
    records: Sequence[RunRecord],
    declared: Mapping[str, Mapping[str, DeclaredMetric]],
    left_out: Mapping[str, str],
) -> ManyRuns:
    """Compare the runs; `declared` has what each pipeline says of its metrics."""
    # Both are put together anew whenever a record is asked for them.
    runs = []
    for record in records:
        runs.append(ComparedRun(record=record, params=record.param_values, metrics=record.metrics))
    differing, alike = _split_parameters(runs)
    metrics = tuple(_compared_metrics(runs, declared))
    ranking = _ranking(metrics)
    if ranking is not None:
        runs = _best_first(runs, ranking)
    return ManyRuns(
        runs=tuple(runs),
        metrics=metrics,
        differing=tuple(differing),
        alike=alike,
        left_out=left_out,
    )


def _ranking(metrics: Iterable[ComparedMetric]) -> ComparedMetric | None:
    return next((metric for metric in metrics if metric.direction), None)


def _split_parameters(runs: Sequence[ComparedRun]) -> tuple[list[str], dict[str, Any]]:
    """The parameters that differ, and the values of those that are the same in all runs."""
    # In the order in which pipelines declare them, which is that of their meaning.
    differing: list[str] = []
    alike: dict[str, Any] = {}
    for name in dict.fromkeys(name for run in runs for name in run.params):
        # A run without a parameter differs from all that have it.
        found = [(name in run.params, run.params.get(name)) for run in runs]
        if all(one == found[0] for one in found):
            alike[name] = found[0][1]
        else:
            differing.append(name)
    return differing, alike


def _best_first(runs: Iterable[ComparedRun], metric: ComparedMetric) -> list[ComparedRun]:
    """The runs by a metric whose direction is declared; those without it last."""
    sign = -1 if metric.direction == "up" else 1

    def rank(run: ComparedRun) -> float:
        value = run.value_of(metric.name)
        return math.inf if value is None else sign * value

    return sorted(runs, key=rank)


def _compared_metrics(
    runs: Sequence[ComparedRun], declared: Mapping[str, Mapping[str, DeclaredMetric]]
) -> Iterator[ComparedMetric]:
    # A dictionary keeps the order of the steps.
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    count = Counter(map(short_name, names))
    for name in names:
        pipelines = {run.record.pipeline for run in runs if name in run.metrics}
        ways = {declared_for(name, declared.get(one, {})).direction for one in pipelines}
        # Pipelines may disagree: then nothing says which of their runs is the better one.
        direction = ways.pop() if len(ways) == 1 else None
        short = short_name(name)
        yield ComparedMetric(
            name=name,
            title=short if count[short] == 1 else name,
            direction=direction,
            best=_best_runs(runs, name, direction),
        )


def _best_runs(
    runs: Sequence[ComparedRun], name: str, direction: Direction | None
) -> tuple[str, ...]:
    values = {run.run: run.value_of(name) for run in runs}
    known = [value for value in values.values() if value is not None]
    # Where all are equal, a mark at each of them would say nothing.
    if direction is None or len(set(known)) < 2:
        return ()
    best = max(known) if direction == "up" else min(known)
    return tuple(run for run, value in values.items() if value == best)


def left_out_lines(left_out: Mapping[str, str]) -> list[str]:
    """Which runs are left out and why: a line for all that have one reason."""
    runs: dict[str, list[str]] = {}
    for run, problem in left_out.items():
        runs.setdefault(problem, []).append(run)
    lines = []
    for problem, names in runs.items():
        verb = "is" if len(names) == 1 else "are"
        lines.append(f"{listed(names, _NAMED)} {verb} left out: {problem}")
    return lines


def value_text(value: Any) -> str:
    """The value of a parameter on one line, cut where it is long."""
    if isinstance(value, float):
        return number(value)
    text = one_line(value if isinstance(value, str) else json.dumps(value, default=str))
    if len(text) > _LONGEST_VALUE:
        return f"{text[:_LONGEST_VALUE]}…"
    return text


def point_of(run: ComparedRun, differing: Iterable[str]) -> str:
    """What tells the run from the others: the values of the parameters that differ."""
    texts = []
    for name in differing:
        if name in run.params:
            texts.append(f"{one_line(name)}={value_text(run.params[name])}")
    return ", ".join(texts)
