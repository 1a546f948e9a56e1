"""A run's predictions beside its baseline's, for gates: found, compared, or refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace
from pyarrow import parquet
from scipy.stats import binomtest, ttest_rel

from nbci.config import Project
from nbci.gates.baseline import Baseline
from nbci.gates.baselines import Search
from nbci.gates.case import Case
from nbci.gates.cases import ComparedCases, NoCases
from nbci.gates.compare_cases import CaseComparisons
from nbci.gates.judge import judge
from nbci.pipeline.rules import Gate, SliceRule, Tolerance
from nbci.plan.model import Fork, Plan, PlannedStep
from nbci.records.run_record import FileRef, Remeasured, RunRecord, StepRecord
from nbci.runs.folder import RunFolder
from nbci.secrets import Mask

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nbci.gates.predictions import KeptOuts
    from nbci.records.verdict import GateResult

    Columns = Mapping[str, Any]

_STEP = PlannedStep(
    name="evaluate",
    notebook="n.ipynb",
    kernel="python3",
    language="python",
    cells=(),
    outs=("cases.parquet",),
    predictions="cases.parquet",
)
_PLAN = Plan(pipeline="digits", target="p.yaml", steps=(_STEP,))
_BASELINE = Baseline(
    asked="run:1", source="run 1", identity="1", run="1", metrics={"evaluate:accuracy": 0.9}
)
_FLIPS = Gate(name="flips", flips=True, at_most=5.0, baseline="run:1", step="evaluate")
_SLICES = Gate(
    name="slices",
    slices=SliceRule(by=("country",), metric="accuracy"),
    max_drop=Tolerance(amount=0.05),
    baseline="run:1",
    step="evaluate",
)
_PLACES = np.arange(400)
_LABELS = _PLACES % 2


class _Outs:
    """The files in one folder, named by their digests; `read` notes who asks for which."""

    def __init__(self, folder: Path, read: list[str]) -> None:
        self.folder = folder
        self.read = read

    def place(self, ref: FileRef) -> Path | None:
        self.read.append(ref.digest)
        place = self.folder / ref.digest
        return place if place.exists() else None


class _Compared:
    """A project with a run before, and one that is judged."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.plan = _PLAN
        self.remeasured: tuple[Remeasured, ...] = ()
        self.mask = Mask([])
        self.read: list[str] = []

    def write(self, digest: str, columns: Columns) -> FileRef:
        parquet.write_table(pa.table(dict(columns)), self.root / digest)
        return FileRef(path="cases.parquet", digest=digest, bytes=1)

    def record(self, run: str, ref: FileRef) -> RunRecord:
        step = StepRecord(name="evaluate", result="passed", outs=(ref,))
        return RunRecord(
            run=run, pipeline="digits", target="p", result="passed", nbci="1", steps=(step,)
        )

    def comparisons(self, now: Columns, then: Columns | None) -> CaseComparisons:
        if then is not None:
            before = self.record("1", self.write("then", then))
            folder = RunFolder(self.root / ".nbci/runs/1")
            folder.write_plan(_PLAN)
            folder.write_step(before.steps[0])
            folder.write_run(before)
        record = replace(self.record("2", self.write("now", now)), remeasured=self.remeasured)
        search = Search(project=Project(root=self.root), plan=self.plan, run="2", environ={})
        outs: KeptOuts = _Outs(self.root, self.read)  # type: ignore[assignment]  # a fake
        return CaseComparisons(search, record, outs, self.mask)

    def found(
        self, now: Columns, then: Columns | None, gate: Gate = _FLIPS
    ) -> ComparedCases | NoCases:
        return self.comparisons(now, then).compare(gate, _BASELINE)

    def judged(self, now: Columns, then: Columns, gate: Gate = _FLIPS) -> GateResult:
        found = self.found(now, then, gate)
        case = Case(
            gates=(gate,),
            record=self.record("2", FileRef(path="cases.parquet", digest="now", bytes=1)),
            baselines={"run:1": _BASELINE},
            compared={gate.name: found},
        )
        return judge(case, "2026-01-01T00:00:00Z").gates[0]


@pytest.fixture
def compared(tmp_path: Path) -> _Compared:
    return _Compared(tmp_path)


def _cases(wrong: int = 0, **more: Any) -> dict[str, Any]:
    """Cases of which the first ones are wrong."""
    predictions = np.where(np.less(_PLACES, wrong), 1 - _LABELS, _LABELS)
    return {"id": _PLACES, "label": _LABELS, "prediction": predictions, **more}


def test_p_is_that_of_the_exact_test(compared: _Compared) -> None:
    found = compared.found(_cases(20), _cases(5))

    assert isinstance(found, ComparedCases)
    assert found.outcomes is not None
    assert (found.outcomes.broken, found.outcomes.fixed) == (15, 0)
    test = found.tests["accuracy"]
    assert test.p_value == pytest.approx(binomtest(0, 15).pvalue)
    assert (test.run, test.baseline) == (0.95, 0.9875)


def test_a_regression_is_judged_by_its_errors(compared: _Compared) -> None:
    random = np.random.default_rng(7)
    labels = random.normal(size=400)
    country = np.where(_PLACES < 100, "fr", "de")
    now = {"id": _PLACES, "label": labels, "prediction": labels + 0.4, "country": country}
    guesses = labels + random.normal(scale=0.3, size=400)
    then = {**now, "prediction": guesses}
    gate = replace(
        _SLICES,
        slices=SliceRule(by=("country",), metric="mean_absolute_error"),
        max_drop=None,
        max_rise=Tolerance(amount=0.1),
    )

    found = compared.found(now, then, gate)

    assert isinstance(found, ComparedCases)
    errors = np.abs(labels - guesses)
    expected = ttest_rel(np.full(400, 0.4), errors).pvalue
    assert found.tests["mean_absolute_error"].p_value == pytest.approx(expected)
    assert found.outcomes is None
    result = compared.judged(now, then, gate)
    assert result.result == "failed"
    assert result.reason.startswith("country = ")
    assert compared.judged(now, then).reason == (
        "evaluate is a regression: its cases are not right or wrong"
    )
    accuracy = compared.judged(now, then, _SLICES)
    assert accuracy.reason == "evaluate is a regression, which has no accuracy"


def test_predictions_of_another_task_are_refused(compared: _Compared) -> None:
    numbers = {**_cases(), "label": _LABELS / 3, "prediction": _LABELS / 3}

    result = compared.judged(_cases(), numbers)

    assert result.result == "failed"
    assert result.reason == (
        "cases.parquet of run 2 is a classification, cases.parquet of run 1 a regression: "
        "their predictions cannot be compared"
    )


def test_other_classes_are_told(compared: _Compared) -> None:
    now = _cases(label=np.where(_LABELS, "cat", "dog"), prediction=np.where(_LABELS, "cat", "dog"))
    then = {**now, "prediction": np.full(400, "cow")}

    result = compared.judged(now, then)

    assert result.result == "passed"
    assert "classes that the run does not know: cow" in result.reason


def test_labels_that_have_changed_are_told(compared: _Compared) -> None:
    corrected = np.where(_PLACES < 10, 1 - _LABELS, _LABELS)

    result = compared.judged(_cases(10, label=corrected), _cases())

    # By today's labels, the run has them right and the baseline has not.
    assert result.reason == (
        "0 broken and 10 fixed of 400 cases; 10 cases had another label then: today's label counts"
    )


def test_one_class_only(compared: _Compared) -> None:
    same = np.full(400, "yes")

    result = compared.judged(_cases(label=same, prediction=same), _cases(label=same))

    assert result.result == "passed"
    assert result.reason.startswith("0 broken and 400 fixed of 400 cases")


def test_a_file_without_rows_is_refused(compared: _Compared) -> None:
    empty = {name: np.array([], dtype=np.int64) for name in ("label", "prediction")}

    result = compared.judged(_cases(), empty)

    assert result.result == "failed"
    assert "cases.parquet of run 1: the file has no rows" in result.reason


def test_a_column_of_ten_thousand_values(compared: _Compared) -> None:
    count = 20_000
    every = np.arange(count)
    users = [f"user {case % 10_000}" for case in range(count)]
    now = {
        "id": every,
        "label": every % 2,
        "prediction": np.where(every == 0, 1, every % 2),
        "user": users,
        "country": np.where(every < 100, "fr", "de"),
    }
    then = {**now, "prediction": every % 2}
    gate = replace(_SLICES, slices=SliceRule(by=("user", "country"), metric="accuracy"))

    result = compared.judged(now, then, gate)

    assert result.result == "passed"
    assert result.reason == (
        "country = fr: 1 → 0.99 in 100 cases (1 broken, 0 fixed), the worst of 2 slices; "
        "no value of user has 50 cases"
    )
    by_two = replace(gate, slices=SliceRule(by=("user",), metric="accuracy", min_rows=2))
    worst = compared.judged(now, then, by_two)
    assert worst.result == "failed"
    assert worst.reason.startswith("user = user 0: 1 → 0.5 in 2 cases (1 broken, 0 fixed)")
    assert worst.cases is not None
    assert worst.cases.slices == 10_000


def test_the_worst_by_per_cent_is_not_the_one_that_lost_most(compared: _Compared) -> None:
    # 100 cases each: from 20 right to 15 is a quarter, from 90 to 80 a ninth.
    group = np.repeat(["low", "high", "same", "more"], 100)
    place = _PLACES % 100
    then = np.where(group == "low", place < 20, place < 90)
    now = np.where(group == "low", place < 15, np.where(group == "high", place < 80, then))
    before = _cases(prediction=np.where(then, _LABELS, 1 - _LABELS), group=group)
    after = _cases(prediction=np.where(now, _LABELS, 1 - _LABELS), group=group)
    gate = replace(_SLICES, slices=SliceRule(by=("group",), metric="accuracy"))

    absolute = compared.judged(after, before, gate)
    relative = compared.judged(
        after, before, replace(gate, max_drop=Tolerance(amount=20, percent=True))
    )

    assert absolute.reason.startswith("group = high: 0.9 → 0.8 in 100 cases")
    assert relative.reason.startswith("group = low: 0.2 → 0.15 in 100 cases")
    assert relative.margin == pytest.approx(-0.01)


def test_a_small_loss_beyond_chance_comes_before_a_large_one_by_chance(
    compared: _Compared,
) -> None:
    # Of 5 cases 3 broke, of 395 cases 20.
    group = np.where(_PLACES < 5, "few", "many")
    broken = (_PLACES < 3) | ((_PLACES >= 5) & (_PLACES < 25))
    now = _cases(prediction=np.where(broken, 1 - _LABELS, _LABELS), group=group)
    rule = SliceRule(by=("group",), metric="accuracy", min_rows=5)
    gate = replace(_SLICES, slices=rule)

    largest = compared.judged(now, _cases(), gate)
    surest = compared.judged(now, _cases(), replace(gate, significant=0.05))

    assert largest.reason.startswith("group = few: 1 → 0.4 in 5 cases")
    assert surest.reason.startswith("group = many: 1 → 0.9494 in 395 cases")
    assert surest.result == "failed"


def test_two_gates_read_the_files_once(compared: _Compared) -> None:
    comparisons = compared.comparisons(_cases(5, country=["a"] * 400), _cases())
    for gate in (_FLIPS, _SLICES):
        assert isinstance(comparisons.compare(gate, _BASELINE), ComparedCases)

    assert compared.read == ["now", "then"]
    assert comparisons.files is not None
    assert str(compared.root / "then") in comparisons.files


def test_secrets_among_values_and_names_are_masked(compared: _Compared) -> None:
    compared.mask = Mask(["hunter2-hunter2"])
    now = _cases(20, **{"hunter2-hunter2": ["hunter2-hunter2 and more"] * 400})
    by_secret = replace(_SLICES, slices=SliceRule(by=("hunter2-hunter2",), metric="accuracy"))

    result = compared.judged(now, _cases(), by_secret)
    unknown = compared.judged(now, _cases(), _SLICES)

    assert result.cases is not None
    assert result.cases.slice == {"***": "*** and more"}
    assert result.reason.startswith("*** = *** and more: 1 → 0.95 in 400 cases")
    assert unknown.reason == "evaluate predicts no column country; columns of slices: ***"


def _again(**more: Any) -> Remeasured:
    return Remeasured(asked="run:1", identity="1", step="evaluate", **more)


def test_what_was_measured_again_counts_first(compared: _Compared) -> None:
    ref = compared.write("again", _cases(30))
    compared.remeasured = (_again(run="3", outs=(ref,)),)

    again = compared.judged(_cases(32), _cases())
    kept = compared.judged(_cases(32), _cases(), replace(_FLIPS, remeasure="no"))

    assert again.reason == "2 broken and 0 fixed of 400 cases"
    assert again.baseline_source == "run 1, predicted on this run's data"
    assert again.cases is not None
    assert again.cases.predictions == "cases.parquet of run 3"
    assert kept.reason.startswith("32 broken and 0 fixed of 400 cases: misses by 3 %")
    assert kept.baseline_source == "run 1, predicted on its own data"


def test_a_model_that_could_not_be_measured_again_is_judged_by_its_own_data(
    compared: _Compared,
) -> None:
    compared.remeasured = (_again(reason="its model.bin is no longer kept"),)

    own = compared.judged(_cases(2), _cases())
    required = compared.judged(_cases(2), _cases(), replace(_FLIPS, remeasure="required"))

    assert own.result == "passed"
    assert own.explanation.endswith(
        "baseline: run 1, predicted on its own data, as recorded, "
        "since its model.bin is no longer kept"
    )
    assert required.result == "failed"
    assert required.reason == "it must be measured again, and its model.bin is no longer kept"


def test_the_records_of_a_fork_are_not_believed(compared: _Compared) -> None:
    compared.plan = replace(_PLAN, fork=Fork(prefix="p", branch="main", commit="c"))

    found = compared.found(_cases(), _cases())

    assert found == NoCases(
        reason="no run of run 1 is here that could have made predictions", rule="missing"
    )
