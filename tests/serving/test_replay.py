"""What was logged is asked again, of two versions, and compared row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from msgspec.structs import replace

from nbci.app.serving import replay_log
from nbci.app.serving.released import Released
from nbci.errors import UsageError
from nbci.logged.add_labels import LabelColumns, add_labels
from nbci.logged.labels import read_labels
from nbci.logged.window import read_window
from nbci.serving.loading import Loaded, ModelFile
from nbci.serving.logged_requests import LoggedRequest, logged_requests
from nbci.serving.replay import Replay, check_alike, metrics_of, replay
from nbci.serving.request_log import LogSettings, Noted, RequestLog
from tests.serving.linear import linear, loaded_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

REFERENCES = ("linear#production", "linear#candidate")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return loaded_of(linear(tmp_path_factory.mktemp("first")))


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """The same model with other weights."""
    file = linear(tmp_path_factory.mktemp("second"))
    model = onnx.load(file.path)
    (weights,) = model.graph.initializer
    values = onnx.numpy_helper.to_array(weights).copy()
    values[0] *= -1
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    onnx.save(model, file.path)
    return loaded_of(ModelFile(model="linear", version="v2.0.0", path=file.path))


def log(
    folder: Path,
    requests: Sequence[np.ndarray[Any, Any]],
    model: str = "linear",
    **settings: Any,
) -> None:
    """A log of these requests to the first model, with ids r0, r1 and so on."""
    writing = RequestLog(LogSettings(folder=str(folder), **settings), b"k", lambda *_, **__: None)
    for number, rows in enumerate(requests):
        answers = {"label": np.zeros(len(rows), dtype=np.int64)}
        at = 1_795_953_600.0 + number
        writing.note(Noted(at, 0.01, f"r{number}", model, "v1.0.0", {"X": rows}, answers))
    writing.close()


def asked(folder: Path, model: Loaded) -> list[LoggedRequest]:
    window = read_window(folder, "linear")
    return list(logged_requests(window, model.model.signature, read_labels(folder, "linear")))


def replayed(folder: Path, *models: Loaded, share: float = 1.0) -> Replay:
    one, other = models
    return replay(asked(folder, one), (one, other), REFERENCES, share)


def rows_of(*counts: int) -> list[np.ndarray[Any, Any]]:
    random = np.random.default_rng(7)
    return [random.normal(size=(count, 3)).astype(np.float32) for count in counts]


def test_requests_are_put_together_as_they_came(tmp_path: Path, first: Loaded) -> None:
    requests = rows_of(1, 3, 2)
    log(tmp_path, requests)
    found = asked(tmp_path, first)
    assert [request.id for request in found] == ["r0", "r1", "r2"]
    for request, rows in zip(found, requests, strict=True):
        assert request.inputs is not None
        assert request.inputs["X"].dtype == np.float32
        np.testing.assert_array_equal(request.inputs["X"], rows)


def test_the_same_model_answers_alike(tmp_path: Path, first: Loaded) -> None:
    log(tmp_path, rows_of(1, 3, 2))
    found = replayed(tmp_path, first, first)
    assert (found.requests, found.rows, found.same) == (3, 6, 6)
    assert [output.other for output in found.outputs] == [0, 0]
    metrics = metrics_of(found)
    assert metrics["same_share"] == metrics["same_labels_share"] == 1.0
    assert metrics["largest_difference"] == 0.0
    assert metrics["first_p95_ms"] >= metrics["first_p50_ms"] > 0


def test_other_answers_are_counted_and_the_worst_named(
    tmp_path: Path, first: Loaded, second: Loaded
) -> None:
    rows = np.zeros((3, 3), dtype=np.float32)
    rows[1:, 0] = (1, 5)
    log(tmp_path, [rows])
    found = replayed(tmp_path, first, second)
    scores = next(output for output in found.outputs if output.name == "scores")
    assert (found.same, found.same_labels) == (1, 3 - found.outputs[1].other)
    assert scores.other == 2
    assert [case.row for case in scores.worst] == [2, 1]
    assert scores.worst[0].request == "r0"
    assert scores.worst[0].apart == scores.largest
    assert scores.largest == pytest.approx(5 * (scores.worst[1].apart or 0), rel=1e-5)


def test_labels_say_how_often_each_was_right(tmp_path: Path, first: Loaded, second: Loaded) -> None:
    requests = rows_of(1, 1, 1, 1, 2)
    log(tmp_path, requests)
    (right,) = first.model.answer(["label"], {"X": requests[0]})
    file = tmp_path / "labels.csv"
    lines = ["request,row,label", f"r0,0,{right[0]}", f"r4,1,{99}"]
    file.write_text("\n".join(lines) + "\n")
    add_labels(tmp_path, "linear", file, LabelColumns(), 0.0)
    found = replayed(tmp_path, first, second)
    assert found.labelled == 2
    assert found.versions[0].accuracy == 0.5
    assert metrics_of(found)["second_accuracy"] in (0.0, 0.5)


def test_a_share_is_chosen_by_the_ids(tmp_path: Path, first: Loaded) -> None:
    # The log itself keeps a share: the replay takes a share of that, not all or none.
    log(tmp_path, rows_of(*[1] * 400), share=0.5)
    logged = len(asked(tmp_path, first))
    found = replayed(tmp_path, first, first, share=0.5)
    assert 150 < logged < 250
    assert 0.35 * logged < found.requests < 0.65 * logged
    assert found.requests + found.left_out == logged


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"left_out": ("X",)}, "no values of the input 'X'"), ({"hashed": ("X",)}, "has hashes of")],
)
def test_what_the_log_has_not_cannot_be_asked_again(
    tmp_path: Path, first: Loaded, settings: Any, message: str
) -> None:
    log(tmp_path, rows_of(2), **settings)
    with pytest.raises(UsageError, match=message):
        asked(tmp_path, first)


def test_requests_that_are_not_whole_are_counted(tmp_path: Path, first: Loaded) -> None:
    log(tmp_path, rows_of(1, 1))
    # Another version took other inputs.
    log(tmp_path, [np.ones((1, 3), dtype=np.float32)], left_out=("X",))
    found = replayed(tmp_path, first, first)
    assert (found.requests, found.not_replayable) == (2, 1)


def test_a_version_that_fails_is_counted(tmp_path: Path, first: Loaded) -> None:
    class Failing:
        signature = first.model.signature

        def answer(self, *_: Any) -> Any:
            raise RuntimeError("no memory")

    broken: Any = Failing()
    log(tmp_path, rows_of(1))
    failing = Loaded(file=first.file, model=broken, joins_rows=False)
    found = replayed(tmp_path, first, failing)
    assert [version.failed for version in found.versions] == [0, 1]
    assert found.same == 0


def test_models_with_other_inputs_are_refused_with_the_tensors(
    first: Loaded, tmp_path: Path
) -> None:
    model = onnx.load(first.file.path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    (weights,) = model.graph.initializer
    values = onnx.numpy_helper.to_array(weights)
    wide = np.vstack([values, values[:1]])
    weights.CopyFrom(onnx.numpy_helper.from_array(wide, weights.name))
    onnx.save(model, tmp_path / "wide.onnx")
    file = ModelFile(model="linear", version="v2.0.0", path=str(tmp_path / "wide.onnx"))
    with pytest.raises(UsageError, match=r"X FP32\[-1, 3\]; X FP32\[-1, 4\]"):
        check_alike(first, loaded_of(file))


def test_of_releases_with_several_files_one_is_replayed(
    first: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for part in ("encoder", "decoder"):
        files.append(replace(first.file, model=f"linear.{part}", part=part))
    manifest: Any = None
    released = Released(commit="c", manifest=manifest, files=tuple(files))
    # How releases come from git and their remote is tested with `nbci serve`.
    monkeypatch.setattr(replay_log, "bring", lambda *_, **__: released)
    log(tmp_path / "log", rows_of(1, 2), model="linear.decoder")

    request = replay_log.ReplayRequest(
        log=tmp_path / "log", models=REFERENCES, folder=tmp_path, file="decoder"
    )
    found = replay_log.replay_log(request)
    assert (found.model, found.replay.requests, found.replay.same) == ("linear.decoder", 2, 3)

    with pytest.raises(UsageError, match=r"the log has no model 'linear\.encoder'"):
        replay_log.replay_log(replace(request, file="linear.encoder"))
    with pytest.raises(UsageError, match=r"has several ONNX files.*: encoder, decoder"):
        replay_log.replay_log(replace(request, file=None))
    with pytest.raises(UsageError, match="has no file other; it has encoder, decoder"):
        replay_log.replay_log(replace(request, file="other"))
