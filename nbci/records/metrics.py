"""Find metrics, which are numbers in scraps and JSON files, and those that are missing."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from nbci.errors import Location, StepError, spelling_hint
from nbci.records.run_record import Failure, Metric, RunRecord, Scrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def of_scraps(scraps: Iterable[Scrap]) -> tuple[Metric, ...]:
    """The scraps that are numbers."""
    found = []
    for scrap in scraps:
        number = as_number(scrap.data)
        if number is not None:
            found.append(Metric(name=scrap.name, value=number, source="scrap"))
    return tuple(found)


def of_json(text: str | bytes, path: str) -> tuple[Metric, ...]:
    """The numbers of a JSON object, names of nested ones joined by dots.

    Raises StepError when the text is no such object.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise StepError(f"the metrics file is not JSON: {error}", where=Location(path)) from error
    if not isinstance(document, dict):
        raise StepError(
            "a metrics file is a JSON object",
            where=Location(path),
            hint='write for example {"accuracy": 0.97}',
        )
    return tuple(_metrics_in(document, "", path))


def _metrics_in(document: dict[str, Any], prefix: str, path: str) -> Iterator[Metric]:
    for key, value in document.items():
        number = as_number(value)
        if isinstance(value, dict):
            yield from _metrics_in(value, f"{prefix}{key}.", path)
        # Texts and lists stand beside numbers in many metrics files, DVC's own among them.
        elif number is not None:
            yield Metric(name=f"{prefix}{key}", value=number, source=path)


def as_number(value: Any) -> float | None:
    """The value as a number; None when it is none.

    NaN and the infinities may be spelt out, as strict JSON needs. A truth value is no number,
    though Python counts with it; nor is a whole one that no float can hold.
    """
    # `isinstance(True, int)` holds in Python.
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        with suppress(OverflowError):
            return float(value)
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    return None


def merge_metrics(*sources: Iterable[Metric]) -> tuple[Metric, ...]:
    """All of them, each name once; a later source wins over an earlier."""
    by_name = {metric.name: metric for metric in chain(*sources)}
    return tuple(by_name.values())


def missing_metrics(record: RunRecord, declared: Iterable[str]) -> Failure | None:
    """The failure of a run whose steps ended well, but without a metric that is declared."""
    # What has failed already says more than that its metrics are missing.
    if any(not step.ended_well for step in record.steps):
        return None
    known = set(record.metrics)
    for full_name in record.metrics:
        # A pipeline may declare a metric without its step.
        known.add(full_name.rpartition(":")[2])
    missing = [name for name in declared if name not in known]
    if not missing:
        return None
    listing = f"the run's metrics are: {', '.join(record.metrics) or 'none'}"
    return Failure(
        kind="missing",
        message=f"the pipeline declares the metric {', '.join(missing)}, which no step produced",
        hint=spelling_hint(missing[0], known, listing),
    )
