"""What is to be known of a run that a search has chosen: choosing by a metric flatters it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.formatting.numbers import counted, number
from nbci.pipeline.metric_names import meant_by, short_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.records.chosen import Chosen
    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import GateResult


def find_confirmed(name: str, record: RunRecord) -> tuple[str, float] | str:
    """The metric's full name and value where no trial had looked; in words why there is none.

    A step that confirms measures the metric under its own name: what is before the colon may
    differ.
    """
    confirmed = record.confirmed
    if confirmed is None:
        return "nothing was confirmed: the sweep that chose this run has no `confirm`"
    if confirmed.reason is not None:
        return f"nothing was confirmed: {confirmed.reason}"
    known = confirmed.metrics or {}
    # Seeds measure what the trial did, a step of its own another metric of that name.
    meant = meant_by(name, known) or meant_by(short_name(name), known)
    if not meant:
        return f"{short_name(name)} was not measured {confirmed.how}"
    if len(meant) > 1:
        return f"several are confirmed: {', '.join(meant)}"
    value = known[meant[0]]
    if math.isnan(value):
        return f"{meant[0]} is NaN {confirmed.how}"
    return meant[0], value


def how_confirmed(record: RunRecord) -> str:
    """How the value came about that a gate over a confirmed one has judged, in brackets."""
    # No trial was looked at to choose this run: its own value is as good as a confirmed one.
    if record.chosen is None or record.confirmed is None:
        return "(no sweep chose this run: its own value)"
    return f"(confirmed {record.confirmed.how})"


def with_choice_warnings(record: RunRecord) -> RunRecord:
    """The record, where it is a chosen trial, with warnings of what its metrics do not say."""
    if record.chosen is None:
        return record
    found = (*_differences(record, record.chosen), *_flattered(record, record.chosen))
    return replace(record, warnings=tuple(dict.fromkeys((*record.warnings, *found))))


def _differences(record: RunRecord, chosen: Chosen) -> Iterator[str]:
    """Objectives that are not what the trial had, though the values are the same."""
    for objective in chosen.objectives:
        for name in meant_by(objective.metric, record.metrics):
            value = record.metrics[name]
            if value != objective.chosen:
                yield (
                    f"{name} is {number(value)}, and was {number(objective.chosen)} in trial "
                    f"{chosen.trial}: data or packages have changed since, the trial went on from "
                    "a smaller budget, or a step gives another result each time"
                )


def _flattered(record: RunRecord, chosen: Chosen) -> Iterator[str]:
    """Gates over the very metric that the trial was chosen by."""
    confirmed: set[str] = set()
    # Where there is a value that nobody chose by, people see both.
    for value in record.confirmed.values if record.confirmed is not None else ():
        confirmed.update(meant_by(value.objective, record.metrics))
    searched: set[str] = set()
    # A sweep may name its objective in short.
    for objective in chosen.objectives:
        searched.update(meant_by(objective.metric, record.metrics))
    judged: dict[str, None] = {}
    for result in record.verdict.gates if record.verdict is not None else ():
        judged |= dict.fromkeys(_judged(result, record))
    for name in judged:
        if name in searched and name not in confirmed:
            yield (
                f"a gate judges {name}, and by this very metric the run was chosen from "
                f"{counted(chosen.of, 'trial')}: that flatters it; confirm it on data or with "
                "seeds that no trial saw: `confirm` in `sweeps:`"
            )


def _judged(result: GateResult, record: RunRecord) -> Iterator[str]:
    """The metrics, by full names, that a gate has judged."""
    if result.metric is not None:
        yield result.metric
    # An expression may have several.
    for name in result.values or ():
        yield from meant_by(name, record.metrics)
