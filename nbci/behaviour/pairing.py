"""Bring two tables of predictions together, case by case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from nbci.behaviour.predictions import sorted_classes
from nbci.errors import UsageError
from nbci.formatting.numbers import counted, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from nbci.behaviour.predictions import Predictions

_NAMES_SHOWN = 5


class Pair(Struct, frozen=True, kw_only=True):
    """Two models' predictions of the same cases, in one order.

    The two have the same labels, those of the run, and the same classes. `rows` are the cases'
    places in the run's file. `notes` tell people what was not compared, and why.
    """

    run: Predictions
    baseline: Predictions
    rows: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.run)


def pair(run: Predictions, baseline: Predictions) -> Pair:
    """The cases that both have; UsageError where there are none, or where they cannot be told."""
    if run.task != baseline.task:
        raise UsageError(
            f"{run.source} is a {run.task}, {baseline.source} a {baseline.task}: "
            "their predictions cannot be compared"
        )
    notes = [*run.notes]
    rows, baseline_rows = _shared_rows(run, baseline, notes)
    # Slices and what is shown are the run's; those of the baseline would only take memory.
    baseline = replace(baseline, slices={}, show=None)
    run, baseline = _with_common_classes(_take(run, rows), _take(baseline, baseline_rows), notes)

    changed = int((run.labels != baseline.labels).sum())
    if changed:
        # Rows without ids are the same cases only as long as nothing speaks against it.
        if run.ids is None:
            raise UsageError(
                f"{run.source} and {baseline.source} have other labels in "
                f"{counted(changed, 'row')}, and no ids that tell which cases these are",
                hint="write a column `id`",
            )
        notes.append(f"{counted(changed, 'case')} had another label then: today's label counts")
    baseline = replace(baseline, labels=run.labels)
    return Pair(run=run, baseline=baseline, rows=rows, notes=tuple(notes))


def _shared_rows(
    run: Predictions, baseline: Predictions, notes: list[str]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The rows of both that are the same cases, in the run's order."""
    import numpy as np
    import pyarrow.compute as pc

    if (run.ids is None) != (baseline.ids is None):
        with_ids, without = run.source, baseline.source
        if run.ids is None:
            with_ids, without = without, with_ids
        raise UsageError(
            f"{with_ids} has ids and {without} has none: their cases cannot be matched",
            hint="write the column `id` in both",
        )
    if run.ids is None:
        if len(run) != len(baseline):
            raise UsageError(
                f"{run.source} has {counted(len(run), 'row')}, {baseline.source} "
                f"{len(baseline):,}, and neither has ids that tell which cases these are",
                hint="write a column `id`",
            )
        every = np.arange(len(run))
        return every, every

    places = pc.index_in(run.ids, value_set=baseline.ids)
    shared = pc.is_valid(places).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(shared)
    if not len(rows):
        raise UsageError(
            f"{run.source} and {baseline.source} have no case in common: their ids differ",
            hint=f"an id of the first is {run.ids[0]}, one of the second {baseline.ids[0]}",
        )
    _note_others(len(run) - len(rows), "only the run has", notes)
    _note_others(len(baseline) - len(rows), "only the baseline has", notes)
    return rows, places.drop_null().to_numpy()


def _note_others(count: int, who: str, notes: list[str]) -> None:
    if count:
        notes.append(f"{counted(count, 'case')} that {who}: not compared")


def _take(predictions: Predictions, rows: NDArray[Any]) -> Predictions:
    """Those rows of all columns, in that order."""
    import numpy as np
    import pyarrow as pa

    # Mostly both runs have the same cases, and a copy of a million rows costs a second.
    if np.array_equal(rows, np.arange(len(predictions))):
        return predictions
    chosen = pa.array(rows)
    slices = {}
    for name, column in predictions.slices.items():
        slices[name] = column.take(chosen)
    return replace(
        predictions,
        labels=predictions.labels[rows],
        predictions=predictions.predictions[rows],
        confidence=_rows_of(predictions.confidence, rows),
        weights=_rows_of(predictions.weights, rows),
        ids=_taken(predictions.ids, chosen),
        show=_taken(predictions.show, chosen),
        slices=slices,
    )


def _rows_of(values: NDArray[Any] | None, rows: NDArray[Any]) -> Any:
    if values is None:
        return None
    return values[rows]


def _taken(column: pa.Array | None, rows: pa.Array) -> pa.Array | None:
    if column is None:
        return None
    return column.take(rows)


def _with_common_classes(
    run: Predictions, baseline: Predictions, notes: list[str]
) -> tuple[Predictions, Predictions]:
    """Both with places in one list of classes."""
    if run.classes == baseline.classes:
        return run, baseline
    _note_classes({*run.classes} - {*baseline.classes}, "the baseline does not know", notes)
    _note_classes({*baseline.classes} - {*run.classes}, "the run does not know", notes)
    classes = sorted_classes({*run.classes, *baseline.classes})
    return _with_classes(run, classes), _with_classes(baseline, classes)


def _note_classes(names: set[str], who: str, notes: list[str]) -> None:
    if names:
        notes.append(f"classes that {who}: {listed(sorted_classes(names), _NAMES_SHOWN)}")


def _with_classes(predictions: Predictions, classes: Sequence[str]) -> Predictions:
    import numpy as np

    order = {name: place for place, name in enumerate(classes)}
    translation = np.array([order[name] for name in predictions.classes], dtype=np.int32)
    return replace(
        predictions,
        classes=tuple(classes),
        labels=translation[predictions.labels],
        predictions=translation[predictions.predictions],
    )
