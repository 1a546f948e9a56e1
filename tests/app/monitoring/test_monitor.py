"""Windows of all kinds against a release's profile: right, refused by name, or told of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace
from pyarrow import csv, parquet

from nbci.app.monitoring import monitor as use_case
from nbci.app.monitoring.monitor import Monitored, ReferenceRelease, judge_rows
from nbci.app.monitoring.request import MonitorRequest, rules_of
from nbci.errors import NbciError, UsageError
from nbci.profiles.measure import measure_table
from nbci.promotion.fetched import FoundRelease
from nbci.records.manifest import Manifest, Promoter
from nbci.records.profile import Calibration, CalibrationCurve, ReleaseProfile
from nbci.registry.grammar import parse_reference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOW = 1_800_000_000.0
ROWS = 400


def wine(rows: int = ROWS, shift: float = 0.0, seed: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "alcohol": rng.normal(13.0 + shift, 0.8, rows),
        "colour": rng.gamma(4.0, 1.2, rows),
        "region": rng.choice(["north", "south", "west"], rows, p=[0.5, 0.3, 0.2]),
    }


@pytest.fixture(scope="module")
def release() -> ReferenceRelease:
    trained = measure_table(pa.table(wine()).to_batches())
    rng = np.random.default_rng(2)
    places = rng.integers(0, 2, 300)
    evaluated = {
        "label": pa.array(places.astype(str)),
        "prediction": pa.array(places.astype(str)),
        "score": rng.uniform(0.8, 1.0, 300),
    }
    profile = ReleaseProfile(
        rows=trained.rows,
        columns=trained.columns,
        evaluation=measure_table(pa.table(evaluated).to_batches()),
        calibration=Calibration(
            rows=300,
            classes=("0", "1"),
            curve=CalibrationCurve(scores=(0.5, 1.0), shares=(0.4, 0.9)),
        ),
    )
    return ReferenceRelease(
        model="wine",
        version="v1.2.0",
        commit="a" * 40,
        profile=profile,
        metrics={"evaluate:accuracy": 0.96},
    )


class Window:
    """Asks for the judgement of data or of a log, as the command does."""

    def __init__(self, release: ReferenceRelease, folder: Path) -> None:
        self.release = release
        self.folder = folder

    def judge(self, *rules: Mapping[str, object], **asked: Any) -> Monitored:
        request = MonitorRequest(
            reference=parse_reference("wine"), folder=self.folder, rules=rules or None, **asked
        )
        return judge_rows(request, self.release, rules_of(request.rules, None), NOW)

    def data(self, table: Mapping[str, Any], *rules: Mapping[str, object]) -> Monitored:
        path = self.folder / "today.csv"
        csv.write_csv(pa.table(dict(table)), path)
        return self.judge(*rules, data=path)


@pytest.fixture
def window(release: ReferenceRelease, tmp_path: Path) -> Window:
    return Window(release, tmp_path)


def reasons(done: Monitored) -> list[tuple[str, str]]:
    return [(gate.result, gate.reason) for gate in done.result.gates]


def write_log(
    folder: Path, inputs: Mapping[str, Any], *, model: str = "wine", last: float = NOW - 60
) -> Path:
    """A file of a request log: a request a row, a second apart, the newest at `last`."""
    rows = len(next(iter(inputs.values())))
    own = {
        "time": last - np.arange(rows, dtype=float)[::-1],
        "request": [f"r{number}" for number in range(rows)],
        "row": np.zeros(rows, dtype=np.int32),
        "version": ["v1.2.0"] * rows,
    }
    (folder / model).mkdir(parents=True, exist_ok=True)
    # A name without an hour may have rows of any time.
    parquet.write_table(pa.table({**own, **inputs}), folder / model / "some-17-0.parquet")
    return folder


def test_the_same_distribution_passes_by_the_default_rules(window: Window) -> None:
    done = window.data(wine(seed=2))
    assert done.by_default
    assert done.result.result == "passed"
    assert done.result.sentence == "400 rows within 2 rules"
    assert done.result.metrics is not None
    assert done.result.metrics["drifted_share"] == 0.0
    assert {drift.limit for drift in done.result.columns} == {0.2}


def test_a_shift_is_refused_by_name_and_size(window: Window) -> None:
    done = window.data(wine(shift=2.0), {"drift": {"columns": ["alcohol"]}})
    ((result, reason),) = reasons(done)
    assert result == "failed"
    assert reason.startswith("psi of alcohol is ")
    assert reason.endswith(", more than 0.2")
    assert done.result.sentence == reason
    (gate,) = done.result.gates
    assert gate.margin == pytest.approx(0.2 - gate.found)  # type: ignore[operator]


def test_a_share_of_columns_may_drift(window: Window) -> None:
    many = {"drift": {"columns": "all", "at_most": 0.2, "share": "40%"}}
    few = {"drift": {"columns": "all", "at_most": 0.2, "share": 0.3}}
    done = window.data(wine(shift=2.0), many, few)
    assert [gate.result for gate in done.result.gates] == ["passed", "failed"]
    assert "1 of 3 columns drifted: psi of alcohol" in done.result.gates[1].reason


@pytest.mark.parametrize("rows", [0, 1, 19])
def test_too_few_rows_say_so_and_are_no_drift(window: Window, rows: int) -> None:
    done = window.data(wine(rows), {"drift": {}}, {"metric": "rows", "at_least": 100})
    noun = "1 row" if rows == 1 else f"{rows} rows"
    assert reasons(done) == [
        ("failed", f"the window has {noun}; drift needs 20"),
        ("failed", f"misses by {100 - rows}"),
    ]


def test_missing_is_the_rules_own_word(window: Window) -> None:
    done = window.data(wine(0), {"drift": {}, "missing": "warn"}, {"schema": "fail"})
    assert [gate.result for gate in done.result.gates] == ["warned", "failed"]


def test_all_missing_values_cannot_be_compared(window: Window) -> None:
    empty = {**wine(), "alcohol": pa.nulls(ROWS, pa.float64())}
    done = window.data(empty, {"drift": {"columns": ["alcohol"]}}, {"schema": "warn"})
    assert reasons(done)[0] == (
        "failed",
        "no distance is known of alcohol: the window has no values",
    )
    assert done.result.gates[1].result == "warned"


def test_new_and_gone_columns_are_told_by_name(window: Window) -> None:
    table = wine()
    table["sulphur"] = table.pop("colour")
    done = window.data(table, {"schema": "fail"}, {"drift": {"columns": ["colour"]}})
    (schema, drift) = done.result.gates
    assert schema.result == drift.result == "failed"
    assert schema.reason == "the window has no column colour and 1 more"
    assert [finding.column for finding in done.result.findings] == ["colour", "sulphur"]
    spared = window.data(table, {"schema": "fail", "except": ["colour", "sulphur"]})
    assert spared.result.result == "passed"


def test_a_constant_column_has_drifted(window: Window) -> None:
    done = window.data({**wine(), "alcohol": np.full(ROWS, 13.0)}, {"drift": {}})
    assert "psi of alcohol" in reasons(done)[0][1]


def test_many_categories_are_bounded_and_told(window: Window) -> None:
    names = [f"region-{number}" for number in range(100_000)]
    table = {
        "alcohol": np.full(100_000, 13.0),
        "colour": np.full(100_000, 4.0),
        "region": names,
    }
    done = window.data(table, {"drift": {"columns": ["region"]}}, {"schema": "fail"})
    assert done.result.sentence.startswith("psi of region is ")
    (finding,) = [each for each in done.result.findings if each.column == "region"]
    assert finding.sentence == "region has new values, all of them rare, in 100.0% of the rows"
    column = next(each for each in done.result.now if each.name == "region")
    assert len(column.counts or {}) < 2000


def test_another_type_is_a_finding(window: Window) -> None:
    done = window.data({**wine(), "alcohol": ["strong"] * ROWS}, {"schema": "fail"})
    assert done.result.result == "failed"
    assert "alcohol" in done.result.sentence


def test_a_misspelt_column_is_named(window: Window) -> None:
    done = window.data(wine(), {"drift": {"columns": ["alcohool"]}})
    assert reasons(done) == [
        ("failed", "the release's profile has no column alcohool; did you mean alcohol?")
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("broken.parquet", b"PAR1 and nothing else", "cannot be read"),
        ("no_table.txt", b"alcohol", "no table"),
    ],
)
def test_broken_files_are_refused_by_name(
    window: Window, name: str, content: bytes, message: str
) -> None:
    path = window.folder / name
    path.write_bytes(content)
    with pytest.raises(NbciError) as caught:
        window.judge(data=path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "rows"), [(b"", 0), (b'alcohol,colour\n1,"' + b"x" * 3_000_000 + b"\n", 1)]
)
def test_a_file_of_hardly_anything_is_refused(window: Window, content: bytes, rows: int) -> None:
    path = window.folder / "odd.csv"
    path.write_bytes(content)
    done = window.judge(data=path)
    assert done.result.window.rows == rows
    assert done.result.result == "failed"
    assert "drift needs 20" in done.result.sentence


@pytest.mark.parametrize("labels", ["labels.csv", None])
@pytest.mark.parametrize("trained_with", ["", "label", "prediction", "answer.prediction"])
def test_parquet_by_columns_is_judged_as_in_one_pass(
    window: Window, monkeypatch: pytest.MonkeyPatch, labels: str | None, trained_with: str
) -> None:
    rng = np.random.default_rng(6)
    answers = rng.integers(0, 2, ROWS).astype(str)
    data = {
        "id": [f"r{number}" for number in range(ROWS)],
        **wine(shift=1.0),
        "prediction": answers,
        "score": rng.uniform(0.8, 1.0, ROWS),
        "label": np.where(np.arange(ROWS) < 50, "1", answers),
    }
    path = window.folder / "today.parquet"
    parquet.write_table(pa.table(data), path)
    given = {"id": data["id"][:100], "label": answers[:100]}
    csv.write_csv(pa.table(given), window.folder / "labels.csv")
    if trained_with:
        # The profile has an input of the name of an answer, or of the label.
        column = measure_table(pa.table({trained_with: answers}).to_batches()).columns[0]
        profile = window.release.profile
        profile = replace(profile, columns=(*profile.columns, column))
        window.release = replace(window.release, profile=profile)

    def judged() -> Any:
        joined = None if labels is None else window.folder / labels
        done = window.judge({"drift": {}}, {"schema": "warn"}, data=path, labels=joined)
        return replace(done.result, id="", judged_utc=""), done.notes

    by_columns = judged()
    # An input is no answer, so that nothing is left to compare with the labels.
    expected = 0 if trained_with == "prediction" else 100 if labels else ROWS
    assert by_columns[0].window.labelled == expected
    assert by_columns[0].window.digest
    monkeypatch.setattr("nbci.app.monitoring.window._parted", lambda *_, **__: (None, None))
    assert judged() == by_columns


def test_data_and_a_log_are_one_too_many(window: Window) -> None:
    with pytest.raises(UsageError, match="either data or a log"):
        window.judge()
    with pytest.raises(UsageError, match="goes with a log"):
        window.judge(data=Path("a.csv"), window_seconds=3.0)


def test_a_log_is_judged_with_its_labels_and_scores(window: Window) -> None:
    rng = np.random.default_rng(3)
    answers = rng.integers(0, 2, ROWS)
    scores = np.where(answers[:, None] == [0, 1], 0.9, 0.1)
    columns = {
        **wine(seed=4),
        "answer.label": answers,
        "answer.probabilities": pa.FixedSizeListArray.from_arrays(pa.array(scores.ravel()), 2),
    }
    log = write_log(window.folder / "log", columns)
    labels = window.folder / "labels.csv"
    wrong = [int(answer) ^ (number < 20) for number, answer in enumerate(answers[:200])]
    ids = [f"r{number}" for number in range(200)]
    csv.write_csv(pa.table({"request": [*ids, "unknown"], "label": [*wrong, 1]}), labels)

    rules: Sequence[Mapping[str, object]] = (
        {"metric": "accuracy", "baseline": "champion", "max_drop": 0.03},
        {"metric": "estimated_accuracy", "baseline": "champion", "max_drop": 0.1},
        {"metric": "p95_ms", "at_most": 20, "missing": "pass"},
    )
    done = window.judge(*rules, log=log, labels=labels)
    result = done.result
    assert result.metrics is not None
    assert result.metrics["accuracy"] == 0.9
    # By the calibration: answers of 0.9 are right less often than that.
    assert result.metrics["estimated_accuracy"] == pytest.approx(0.8)
    assert (result.window.labelled, result.window.requests) == (200, ROWS)
    assert "1 of 201 labels are of no row that was looked at" in done.notes
    (accuracy, estimated, latency) = result.gates
    assert (accuracy.result, accuracy.reason) == ("failed", "misses by 0.03")
    assert (accuracy.baseline, accuracy.baseline_source) == (0.96, "wine@v1.2.0")
    assert (estimated.result, estimated.reason) == ("failed", "misses by 0.06")
    assert latency.reason == "the log does not say how long its requests took"


def test_a_request_of_several_rows_took_its_time_once(window: Window) -> None:
    # 20 requests of 10 ms with 19 rows each, and 20 of one row of 30 ms.
    requests = [*np.repeat(np.arange(20), 19), *range(20, 40)]
    columns = {
        **wine(),
        "request": [f"r{number}" for number in requests],
        "row": pa.array([*np.tile(np.arange(19), 20), *[0] * 20], pa.int32()),
        "seconds": np.where(np.array(requests) < 20, 0.01, 0.03),
    }
    log = write_log(window.folder / "log", columns)
    done = window.judge({"metric": "p95_ms", "at_most": 20}, log=log)
    assert reasons(done) == [("failed", "misses by 10")]
    assert done.result.metrics is not None
    assert done.result.metrics["p50_ms"] == pytest.approx(20)
    assert not done.result.findings


def test_times_that_only_some_requests_have_are_told(window: Window) -> None:
    seconds = np.full(ROWS, 0.01)
    # As a file of before has it, whose column is missing, and as a clock that ran backwards.
    seconds[:100], seconds[100:150] = np.nan, -1.0
    log = write_log(window.folder / "log", {**wine(), "seconds": seconds})
    done = window.judge({"metric": "p95_ms", "at_most": 20}, log=log)
    assert done.result.result == "passed"
    assert "the log says of 250 of 400 requests only how long they took" in done.notes


def test_data_have_no_times_of_answers(window: Window) -> None:
    done = window.data(wine(), {"metric": "p95_ms", "at_most": 20, "missing": "warn"})
    assert reasons(done) == [("warned", "data do not say how long answers took")]


def test_answers_drift_as_columns_do(window: Window) -> None:
    log = write_log(window.folder / "log", {**wine(), "answer.label": np.ones(ROWS, int)})
    done = window.judge({"drift": {"columns": ["prediction"]}}, log=log)
    assert done.result.result == "failed"
    assert done.result.sentence.startswith("psi of prediction is ")
    assert [column.name for column in done.result.before][-1] == "prediction"
    assert len(done.result.before) == len(done.result.now) == 4


def test_without_labels_the_accuracy_is_not_known(window: Window) -> None:
    log = write_log(window.folder / "log", {**wine(), "answer.label": np.zeros(ROWS, int)})
    rule = {"metric": "accuracy", "baseline": "champion", "max_drop": 0.03, "missing": "warn"}
    done = window.judge(rule, log=log)
    assert reasons(done) == [("warned", "no row of the window has a label")]


def test_of_which_class_a_metric_is_is_said(window: Window) -> None:
    answers = np.arange(ROWS) % 2
    columns = {**wine(), "prediction": answers, "score": np.full(ROWS, 0.9), "label": answers}
    rules: Sequence[Mapping[str, object]] = (
        {"metric": "precision", "at_least": 0.9},
        {"metric": "estimated_precision", "at_least": 0.9},
        {"metric": "estimated_macro_f1", "at_least": 0.5},
    )
    done = window.data(columns, *rules)
    assert [gate.result for gate in done.result.gates] == ["passed", "failed", "passed"]
    assert "precision: of the class 1" in done.notes
    assert "precision" not in " ".join(window.data(columns, rules[2]).notes)


def test_the_numbers_of_one_tensor_are_the_columns_of_the_profile(window: Window) -> None:
    table = wine(shift=2.0)
    tensor = np.stack([table["alcohol"], table["colour"]], axis=1).ravel()
    log = write_log(window.folder / "log", {"x": pa.FixedSizeListArray.from_arrays(tensor, 2)})
    done = window.judge({"drift": {"columns": ["alcohol"]}}, log=log)
    assert done.result.result == "failed"
    assert [drift.column for drift in done.result.columns] == ["alcohol", "colour"]
    assert "the 2 numbers of x are taken for the profile's columns" in done.notes[0]
    assert "the log has no region, of the profile" in done.notes[1]


def test_an_empty_log_has_no_rows(window: Window) -> None:
    (window.folder / "log" / "wine").mkdir(parents=True)
    done = window.judge({"metric": "rows", "at_least": 1}, {"drift": {}}, log=window.folder / "log")
    assert reasons(done) == [
        ("failed", "misses by 1"),
        ("failed", "the window has 0 rows; drift needs 20"),
    ]


def test_a_log_of_another_model_is_refused(window: Window) -> None:
    log = write_log(window.folder / "log", wine(), model="digits")
    with pytest.raises(UsageError, match="has no model 'wine'"):
        window.judge(log=log)


def test_a_log_that_is_not_there_is_refused(window: Window) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        window.judge(log=window.folder / "nowhere")


@pytest.mark.parametrize(
    ("last", "note"),
    [
        (NOW + 7200, "ahead: a clock was set back, or is wrong"),
        (NOW - 3 * 86400, "old: nothing was answered since"),
    ],
)
def test_a_window_at_an_odd_time_is_told(window: Window, last: float, note: str) -> None:
    log = write_log(window.folder / "log", wine(), last=last)
    done = window.judge(log=log, window_seconds=86400.0)
    assert done.result.window.rows == ROWS
    assert any(note in told for told in done.notes)


def test_labels_without_ids_are_refused(window: Window) -> None:
    log = write_log(window.folder / "log", wine())
    labels = window.folder / "labels.csv"
    labels.write_text("label\n1\n")
    with pytest.raises(UsageError, match="request"):
        window.judge(log=log, labels=labels)


@pytest.mark.parametrize("ids", [["001", "002"], ["1e3", "1e4"]])
def test_ids_that_look_like_numbers_are_names(window: Window, ids: Sequence[str]) -> None:
    answers = ["a", *["b"] * (ROWS - 1)]
    others = [f"c{number}" for number in range(2, ROWS)]
    data = window.folder / "data.csv"
    csv.write_csv(pa.table({**wine(), "id": [*ids, *others], "prediction": answers}), data)
    labels = window.folder / "labels.csv"
    labels.write_text(f"id,label\n{ids[0]},a\n{ids[1]},\n1,b\n1000,b\n")
    assert window.judge(data=data, labels=labels).result.window.labelled == 1

    columns = {**wine(), "answer.label": answers, "request": [*ids, *others]}
    log = write_log(window.folder / "log", columns)
    done = window.judge(log=log, labels=labels)
    assert done.result.metrics is not None
    assert (done.result.window.labelled, done.result.metrics["accuracy"]) == (1, 1.0)


def test_labels_of_unknown_ids_only_are_none(window: Window) -> None:
    log = write_log(window.folder / "log", {**wine(), "answer.label": np.zeros(ROWS, int)})
    labels = window.folder / "labels.csv"
    labels.write_text("request,label\nnobody,0\nno one,1\n")
    rule = {"metric": "accuracy", "baseline": "champion", "max_drop": 0.03}
    done = window.judge(rule, log=log, labels=labels)
    assert reasons(done) == [("failed", "no row of the window has a label")]
    assert "2 of 2 labels are of no row that was looked at" in done.notes


def test_a_log_of_one_row_is_judged_but_for_drift(window: Window) -> None:
    columns = {**wine(1), "answer.label": [1], "answer.score": [0.9], "seconds": [0.01]}
    log = write_log(window.folder / "log", columns)
    labels = window.folder / "labels.csv"
    labels.write_text("request,label\nr0,1\n")
    metrics = ("rows", "accuracy", "estimated_accuracy", "p95_ms", "drifted_share")
    rules: list[Mapping[str, object]] = []
    for name in metrics:
        rules.append({"metric": name, "at_least": 0})
    done = window.judge(*rules, {"drift": {}}, {"schema": "fail"}, log=log, labels=labels)
    results = [gate.result for gate in done.result.gates]
    assert results == [*["passed"] * len(metrics), "failed", "passed"]
    assert done.result.sentence == "the window has 1 row; drift needs 20"


def test_labels_that_are_nan_are_not_known(window: Window) -> None:
    data = window.folder / "data.parquet"
    known = np.where(np.arange(ROWS) < 100, 1.0, np.nan)
    columns = {**wine(), "prediction": np.ones(ROWS, int), "label": known}
    parquet.write_table(pa.table(columns), data)
    done = window.judge(data=data)
    assert done.result.metrics is not None
    assert (done.result.window.labelled, done.result.metrics["accuracy"]) == (100, 1.0)


def test_labels_of_data_are_joined_by_id(window: Window) -> None:
    data = window.folder / "data.csv"
    table = {**wine(), "id": [f"c{number}" for number in range(ROWS)], "prediction": ["a"] * ROWS}
    csv.write_csv(pa.table(table), data)
    labels = window.folder / "labels.csv"
    labels.write_text("id,label\nc0,a\nc1,b\nnobody,a\n")
    done = window.judge(data=data, labels=labels)
    assert done.result.metrics is not None
    assert done.result.metrics["accuracy"] == 0.5
    assert done.result.window.labelled == 2
    assert "1 of 3 labels are of no row that was looked at" in done.notes
    # Of the columns, only the answers are odd: the release never gave that one.
    assert [finding.column for finding in done.result.findings] == ["prediction"]


def test_a_release_without_a_profile_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = FoundRelease(model="wine", commit="a" * 40, source=str(tmp_path), prefix="")
    manifest = Manifest(
        model="wine",
        version="v1.0.0",
        run="R",
        pipeline="p",
        target="p.yaml",
        commit="x",
        promoted_utc="2026-01-01T00:00:00Z",
        by=Promoter(name="A", email="a@b.c"),
        nbci="0",
    )
    monkeypatch.setattr(use_case, "find_release", lambda *_, **__: found)
    monkeypatch.setattr(use_case, "get_release", lambda *_: manifest)
    with pytest.raises(UsageError, match=r"wine v1\.0\.0 has no profile") as caught:
        use_case.bring_reference(parse_reference("wine"), url=None, folder=tmp_path, environ={})
    assert "models: {wine: {profile: [PATH]}}" in (caught.value.hint or "")
