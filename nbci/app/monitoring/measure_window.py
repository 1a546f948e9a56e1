"""Read a window once, and measure all of it on the way: inputs, answers, labels, images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.app.monitoring.window import is_own
from nbci.formatting.numbers import listed
from nbci.monitoring.performance import PREDICTION, SCORE, Performance
from nbci.records.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from nbci.app.monitoring.window import Rows
    from nbci.pipeline.monitor_rules import Measure
    from nbci.records.profile import ColumnDrift, ColumnProfile, ReleaseProfile, SchemaFinding

_NAMED = 3
_MOST_IMAGES = 20_000
"""More rows than the classifier looks at are not held in memory for it."""


class MeasuredWindow(Struct, frozen=True, kw_only=True):
    """The window's profile beside the release's, and how good the answers were.

    `before` and `now` have the inputs' columns, then those of the answers. `domain_auc` is how well
    images of the window are told from the release's: 0.5 is not at all.
    """

    profile: Profile
    before: tuple[ColumnProfile, ...]
    now: tuple[ColumnProfile, ...]
    drifts: tuple[ColumnDrift, ...]
    findings: tuple[SchemaFinding, ...]
    performance: Mapping[str, float]
    labelled: int
    domain_auc: float | None = None


def measure_window(rows: Rows, release: ReleaseProfile, measure: Measure) -> MeasuredWindow:
    """What the rows are like, compared by a measure with what the release was made of."""
    from nbci.profiles.drift import compare
    from nbci.profiles.measure import measure_table

    performance = Performance(release.calibration)
    answers: list[pa.RecordBatch] = []
    images: list[pa.RecordBatch] = []

    def take(batch: pa.RecordBatch) -> None:
        answered = performance.add(batch)
        if answered is not None:
            answers.append(answered)

    def take_all() -> None:
        for batch in rows.batches():
            take(batch)

    def inputs() -> Iterator[pa.RecordBatch]:
        held = 0
        for batch in rows.batches():
            take(batch)
            if release.features and held < _MOST_IMAGES:
                images.append(batch)
                held += batch.num_rows
            yield _without_answers(batch, rows.reference)

    if rows.measure_inputs is not None:
        with ThreadPoolExecutor(1) as thread:
            # Not the inputs in the thread: it could not be interrupted.
            taken = thread.submit(take_all)
            profile = rows.measure_inputs()
            taken.result()
    else:
        # One pass: a log may be larger than memory, and its files may go meanwhile.
        profile = measure_table(inputs(), like=rows.reference)
    drifts, findings = compare(rows.reference, profile, measure=measure)
    before, now = _measure_answers(answers, rows.reference, release)
    of_answers, odd_answers = compare(before, now, measure=measure)
    if performance.by_place:
        names = listed(performance.by_place, _NAMED)
        rows.notes.append(f"the scores are taken for those of the classes in their order: {names}")
    return MeasuredWindow(
        profile=profile,
        before=(*rows.reference.columns, *before.columns),
        now=(*profile.columns, *now.columns),
        drifts=(*drifts, *of_answers),
        findings=(*findings, *odd_answers),
        performance=performance.metrics(),
        labelled=performance.labelled,
        domain_auc=_domain_auc(images, release),
    )


def _without_answers(batch: pa.RecordBatch, reference: Profile) -> pa.RecordBatch:
    """The columns that the profile may know; answers, ids and labels are no inputs of a model."""
    kept = []
    for name in batch.schema.names:
        if not is_own(name) or reference.column(name) is not None:
            kept.append(name)
    return batch.select(kept)


def _measure_answers(
    answers: Sequence[pa.RecordBatch], inputs: Profile, release: ReleaseProfile
) -> tuple[Profile, Profile]:
    """The answers at the release's evaluation and those of the window, as far as both have them."""
    from nbci.profiles.measure import measure_table

    kept = []
    for name in (PREDICTION, SCORE):
        column = release.evaluation and release.evaluation.column(name)
        are_there = bool(answers) and name in answers[0].schema.names
        # An input of that name would be taken for the answer.
        if column and are_there and inputs.column(name) is None:
            kept.append(column)
    rows = 0 if release.evaluation is None else release.evaluation.rows
    before = Profile(rows=rows, columns=tuple(kept), role="evaluation")
    names = [column.name for column in kept]
    batches = [_as_evaluated(batch, before).select(names) for batch in answers if names]
    return before, measure_table(batches, like=before)


def _as_evaluated(batch: pa.RecordBatch, before: Profile) -> pa.RecordBatch:
    """The answers with classes as texts where the evaluation has them so: a log has numbers."""
    import pyarrow as pa

    from nbci.monitoring.performance import class_names

    column = before.column(PREDICTION)
    if column is None or column.kind not in ("category", "text"):
        return batch
    place = batch.schema.get_field_index(PREDICTION)
    return batch.set_column(place, PREDICTION, pa.array(class_names(batch.column(place))))


def _domain_auc(images: Sequence[pa.RecordBatch], release: ReleaseProfile) -> float | None:
    """How well images are told from those that the model learnt from."""
    if not images:
        return None
    import numpy as np

    from nbci.profiles.domain import domain_classifier, sample_features

    return domain_classifier(np.array(release.features), sample_features(images, release))
