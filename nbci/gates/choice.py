"""What is to be known of a run that a search has chosen: choosing by a metric flatters it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.formatting.numbers import counted, number
from nbci.pipeline.metric_names import meant_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.records.chosen import Chosen
    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import GateResult


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
                    f"{chosen.trial}: data or packages have changed since, or a step gives "
                    "another result each time"
                )


def _flattered(record: RunRecord, chosen: Chosen) -> Iterator[str]:
    """Gates over the very metric that the trial was chosen by."""
    objectives = {
        name for each in chosen.objectives for name in meant_by(each.metric, record.metrics)
    }
    results = record.verdict.gates if record.verdict is not None else ()
    flattered: dict[str, None] = {}
    for result in results:
        flattered |= dict.fromkeys(name for name in _judged(result, record) if name in objectives)
    for name in flattered:
        yield (
            f"a gate judges {name}, and by this very metric the run was chosen from "
            f"{counted(chosen.of, 'trial')}: that flatters it; confirm it on data or with seeds "
            "that no trial saw: `confirm` in `sweeps:`"
        )


def _judged(result: GateResult, record: RunRecord) -> Iterator[str]:
    """The metrics, by full names, that a gate has judged."""
    if result.metric is not None:
        yield result.metric
    # An expression may have several.
    for name in result.values or ():
        yield from meant_by(name, record.metrics)
