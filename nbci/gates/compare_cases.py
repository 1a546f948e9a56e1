"""Compare the run's predictions with the baselines', for the gates that judge them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.behaviour.case_metrics import METRICS, case_metric, case_metrics
from nbci.behaviour.paired import outcomes_of, p_value
from nbci.behaviour.pairing import pair
from nbci.behaviour.predictions_file import read_predictions
from nbci.behaviour.slices import largest_losses
from nbci.errors import NbciError
from nbci.formatting.numbers import listed
from nbci.gates.cases import ComparedCases, NoCases, PairedTest
from nbci.gates.predictions import predictions_of_baseline, predictions_of_run

if TYPE_CHECKING:
    from nbci.behaviour.pairing import Pair
    from nbci.behaviour.predictions import Predictions
    from nbci.behaviour.slices import SliceChange
    from nbci.gates.baseline import Baseline
    from nbci.gates.baselines import Search
    from nbci.gates.predictions import KeptOuts, PredictionsFile
    from nbci.pipeline.rules import Gate
    from nbci.records.run_record import RunRecord
    from nbci.secrets import Mask

_COLUMNS_NAMED = 20


class _Paired(Struct, frozen=True):
    """Predictions brought together, and what was found in all of their cases."""

    pair: Pair
    found: ComparedCases


class CaseComparisons:
    """The comparisons for one run; two files are read and brought together once for all gates.

    `files` are those that the answers depend on; None where an answer may change while no file on
    this machine does. Secrets are masked: files of predictions are data, in which nothing is.
    """

    def __init__(self, search: Search, record: RunRecord, outs: KeptOuts, mask: Mask) -> None:
        self._search = search
        self._record = record
        self._outs = outs
        self._mask = mask
        self._paired: dict[tuple[str, str, str], _Paired | NoCases] = {}
        self.files: tuple[str, ...] | None = ()

    def compare(self, gate: Gate, baseline: Baseline) -> ComparedCases | NoCases:
        """What the gate judges. Nothing raises: an error becomes the reason why there is none."""
        asked = str(gate.baseline), str(gate.step), gate.remeasure
        # To read and to pair a million cases takes two seconds.
        if asked not in self._paired:
            self._paired[asked] = self._try_to_pair(gate, baseline)
        paired = self._paired[asked]
        if isinstance(paired, NoCases):
            return _masked(paired, self._mask)
        return _masked(_as_asked(gate, paired), self._mask)

    def _try_to_pair(self, gate: Gate, baseline: Baseline) -> _Paired | NoCases:
        try:
            found = self._pair(gate, baseline)
        except NbciError as error:
            found = NoCases(reason=error.message)
        except OSError as error:
            found = NoCases(reason=f"the records of {baseline.source} cannot be read: {error}")
        # What is kept nowhere today may come from a remote tomorrow; what never was will not.
        if isinstance(found, NoCases) and found.rule != "first_run":
            self.files = None
        return found

    def _pair(self, gate: Gate, baseline: Baseline) -> _Paired | NoCases:
        step = str(gate.step)
        now = predictions_of_run(self._record, self._search, step)
        if isinstance(now, NoCases):
            return now
        then = predictions_of_baseline(gate, baseline, self._record, self._search)
        if isinstance(then, NoCases):
            return then
        tables = []
        for file in (now, then):
            table = self._read(file)
            if isinstance(table, NoCases):
                return table
            tables.append(table)
        run, before = tables
        paired = pair(run, before)
        tests = {}
        for metric in case_metrics(paired):
            in_run, in_baseline = metric.means(paired.run.weights)
            tests[metric.name] = PairedTest(
                run=in_run, baseline=in_baseline, p_value=p_value(paired, metric)
            )
        # No number is predicted just right or wrong.
        outcomes = None
        if run.task == "classification":
            outcomes = outcomes_of(paired)
        found = ComparedCases(
            step=step,
            predictions=then.source,
            data=then.data,
            not_remeasured=then.not_remeasured,
            task=run.task,
            cases=len(paired),
            tests=tests,
            outcomes=outcomes,
            notes=paired.notes,
        )
        return _Paired(paired, found)

    def _read(self, file: PredictionsFile) -> Predictions | NoCases:
        place = self._outs.place(file.ref)
        if place is None:
            return NoCases(reason=f"{file.source} is not kept any more", rule="missing")
        if self.files is not None:
            self.files = (*self.files, *file.files, str(place))
        # What is kept is named by its digest.
        return read_predictions(place, file.source, suffix=PurePosixPath(file.ref.path).suffix)


def _as_asked(gate: Gate, paired: _Paired) -> ComparedCases | NoCases:
    found, rule = paired.found, gate.slices
    if rule is None:
        return found
    if rule.metric not in METRICS[found.task]:
        reason = f"{found.step} is a {found.task}, which has no {rule.metric}"
        return NoCases(reason=reason)
    # Only the run's columns are looked at: the baseline may be older than one of them.
    known = paired.pair.run.slices
    unknown = [name for name in rule.by if name not in known]
    if unknown:
        columns = listed([*known], _COLUMNS_NAMED) or "none"
        reason = f"{found.step} predicts no column {', '.join(unknown)}; columns of slices: "
        return NoCases(reason=reason + columns)

    notes = [*found.notes]
    tolerance = gate.max_drop or gate.max_rise
    slices = largest_losses(
        paired.pair,
        case_metric(rule.metric, paired.pair),
        rule.by,
        relative=tolerance is not None and tolerance.percent,
        significant=gate.significant,
        min_rows=rule.min_rows,
        notes=notes,
    )
    return replace(found, slices=slices, notes=tuple(notes))


def _masked(found: ComparedCases | NoCases, mask: Mask) -> ComparedCases | NoCases:
    # Before a text is cut short: the beginning of a secret would not be known as one.
    if isinstance(found, NoCases):
        return replace(found, reason=mask.text(found.reason))
    slices = found.slices
    if slices is not None:
        changes = [_masked_slice(change, mask) for change in slices.changes]
        slices = replace(slices, changes=tuple(changes))
    return replace(found, slices=slices, notes=tuple(map(mask.text, found.notes)))


def _masked_slice(change: SliceChange, mask: Mask) -> SliceChange:
    return replace(
        change,
        columns=tuple(map(mask.text, change.columns)),
        values=tuple(map(mask.text, change.values)),
    )
