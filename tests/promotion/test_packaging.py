"""Models are tried before they may be promoted, with real ONNX files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nbci.errors import IntegrityError, UsageError
from nbci.pipeline.models import Model, Signature, Tensor, models_of
from nbci.promotion.packaging import check_package, needed_files
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
WEIGHTS = np.array([[1.0, 0.5], [-1.0, 2.0], [0.25, -0.5]], dtype=np.float32)


def write_model(path: Path) -> None:
    """A linear layer `scores = X · weights`, and the index of the larger score as `label`."""
    nodes = [
        helper.make_node("MatMul", ["X", "weights"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", 3])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 2]),
            helper.make_tensor_value_info("label", TensorProto.INT64, ["rows"]),
        ],
        [numpy_helper.from_array(WEIGHTS, "weights")],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        str(path),
    )


def model(**fields: Any) -> Model:
    (declared,) = models_of(
        {"linear": {"path": "models/linear.onnx", "sample": "models/sample.npz", **fields}}
    )
    return declared


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "models" / "linear.onnx")
    scores = ROWS @ WEIGHTS
    np.savez(tmp_path / "models" / "sample.npz", X=ROWS, scores=scores, label=scores.argmax(axis=1))
    return tmp_path


def test_a_model_that_answers_as_recorded_is_accepted_with_its_signature(folder: Path) -> None:
    found = check_package(model(description="adds up"), folder)
    assert found.framework == "onnx"
    assert found.description == "adds up"
    assert found.signature == Signature(
        inputs=(Tensor(name="X", dtype="float32", shape=("rows", 3)),),
        outputs=(
            Tensor(name="scores", dtype="float32", shape=("rows", 2)),
            Tensor(name="label", dtype="int64", shape=("rows",)),
        ),
    )
    (trial,) = found.trials
    assert (trial.path, trial.rows) == ("models/linear.onnx", 4)
    assert set(trial.largest_difference) == {"scores", "label"}


@pytest.mark.parametrize(
    ("altered", "words"),
    [
        ({"scores": ROWS @ WEIGHTS + 0.1}, "scores is up to 0.1 off"),
        ({"label": np.array([0, 0, 0, 0])}, "label differs in "),
        ({"scores": (ROWS @ WEIGHTS)[:2]}, "scores has the shape [4, 2], recorded was [2, 2]"),
    ],
)
def test_a_model_that_answers_otherwise_is_refused(
    folder: Path, altered: dict[str, Any], words: str
) -> None:
    np.savez(folder / "models" / "sample.npz", X=ROWS, **altered)
    with pytest.raises(
        IntegrityError, match=r"models/linear\.onnx answers otherwise than the step recorded"
    ) as caught:
        check_package(model(), folder)
    assert words in str(caught.value)


def test_nan_that_was_recorded_is_no_difference(folder: Path) -> None:
    rows = ROWS.copy()
    rows[1, 1] = np.nan
    with np.errstate(invalid="ignore"):
        np.savez(folder / "models" / "sample.npz", X=rows, scores=rows @ WEIGHTS)
    assert check_package(model(), folder).trials[0].largest_difference["scores"] < 1e-4


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08\x12\x00" * 50])
def test_garbage_is_named(folder: Path, content: bytes) -> None:
    (folder / "models" / "linear.onnx").write_bytes(content)
    with pytest.raises(
        IntegrityError, match=r"models/linear\.onnx is no model that ONNX Runtime can run"
    ):
        check_package(model(), folder)


def test_a_sample_that_would_run_code_is_not_loaded(folder: Path) -> None:
    np.savez(folder / "models" / "sample.npz", X=np.array([print], dtype=object))
    with pytest.raises(
        UsageError, match=r"the sample of model linear cannot be read: .*allow_pickle"
    ):
        check_package(model(), folder)


@pytest.mark.parametrize("content", [b'{"X": [1, 2, 3]}', b"", b"PK\x03\x04 and no end"])
def test_a_sample_that_is_no_npz_is_explained(folder: Path, content: bytes) -> None:
    (folder / "models" / "sample.npz").write_bytes(content)
    with pytest.raises(UsageError, match="the sample of model linear cannot be read"):
        check_package(model(), folder)


def test_a_sample_of_one_array_without_a_name_is_explained(folder: Path) -> None:
    with (folder / "models" / "sample.npz").open("wb") as file:
        np.save(file, ROWS)
    with pytest.raises(
        UsageError, match="the sample of model linear cannot be read: it holds a single array"
    ):
        check_package(model(), folder)


def test_a_sample_without_an_input_is_named(folder: Path) -> None:
    np.savez(folder / "models" / "sample.npz", x=ROWS, scores=ROWS @ WEIGHTS)
    with pytest.raises(UsageError, match="the sample of model linear lacks X; it holds scores, x"):
        check_package(model(), folder)


def test_onnx_without_a_sample_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="model linear has no `sample`"):
        check_package(model(sample=None), folder)


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(
        UsageError, match=r"model linear names models/vocabulary\.json, which is not there"
    ):
        check_package(model(paths=["models/linear.onnx", "models/vocabulary.json"]), folder)


SIGNATURE = {
    "inputs": [{"name": "X", "dtype": "float32", "shape": [None, 3]}],
    "outputs": [{"name": "label", "dtype": "int64", "shape": [None]}],
}


def test_a_declared_signature_may_leave_outputs_out_and_stand_in_a_file(folder: Path) -> None:
    (folder / "signature.json").write_text(json.dumps(SIGNATURE))
    declared = model(signature="signature.json")
    assert "signature.json" in needed_files(declared)
    found = check_package(declared, folder)
    assert found.signature is not None
    assert [tensor.name for tensor in found.signature.outputs] == ["label"]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([None, 4], r"declared with X: float32\[\?, 4\], and its file has X: float32\[rows, 3\]"),
        ([3], "declared with"),
    ],
)
def test_a_signature_that_is_not_the_files_is_refused(
    folder: Path, shape: list[int | None], words: str
) -> None:
    inputs = [{"name": "X", "dtype": "float32", "shape": shape}]
    with pytest.raises(IntegrityError, match=words):
        check_package(model(signature={**SIGNATURE, "inputs": inputs}), folder)


def test_a_signature_of_another_form_is_explained(folder: Path) -> None:
    with pytest.raises(UsageError, match="the signature of model linear cannot be read"):
        check_package(model(signature={"inputs": "X"}), folder)


def test_other_frameworks_are_told_by_their_file(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(b"weights")
    (tmp_path / "words.txt").write_text("a b")
    found = check_package(model(paths=["words.txt", "net.pt"], sample=None), tmp_path)
    assert (found.framework, found.signature, found.trials) == ("torch", None, ())


def test_files_of_one_model_have_arrays_of_their_own_in_the_sample(folder: Path) -> None:
    write_model(folder / "models/other.onnx")
    scores = ROWS @ WEIGHTS
    own: dict[str, Any] = {"other.X": ROWS + 1, "other.scores": (ROWS + 1) @ WEIGHTS}
    np.savez(folder / "models/sample.npz", X=ROWS, scores=scores, **own)
    paths = ["models/linear.onnx", "models/other.onnx"]
    both = Model(name="m", paths=tuple(paths), sample="models/sample.npz")
    assert [trial.path for trial in check_package(both, folder).trials] == paths
    own = {"other.X": ROWS + 1}
    np.savez(folder / "models/sample.npz", X=ROWS, scores=scores, **own)
    with pytest.raises(IntegrityError, match=r"models/other\.onnx answers otherwise"):
        check_package(both, folder)


def served_by_notebook(folder: Path, answer: str, **fields: Any) -> Model:
    """A model that this notebook answers for; the sample in the folder is of the ONNX file."""
    write_notebook(folder / "predict.ipynb", [f"def predict(inputs):\n    return {answer}"])
    (folder / "models/linear.json").write_text("{}")
    tensors = {
        "inputs": [{"name": "X", "dtype": "float32", "shape": [None, 3]}],
        "outputs": [{"name": "label", "dtype": "int64", "shape": [None]}],
    }
    fields = {"signature": tensors, **fields}
    return model(path="models/linear.json", serve={"notebook": "predict.ipynb"}, **fields)


@pytest.mark.slow
def test_a_notebook_that_answers_as_recorded_is_accepted(folder: Path) -> None:
    answer = "(inputs['X'][:, 2] > -1).astype('int64')"
    recorded = np.ones(4, dtype=np.int64)
    np.savez(folder / "models/sample.npz", X=ROWS, label=recorded)
    asked = served_by_notebook(folder, answer)
    assert set(needed_files(asked)) >= {"predict.ipynb", "models/sample.npz"}
    (trial,) = check_package(asked, folder).trials
    assert (trial.path, trial.rows) == ("predict.ipynb", 4)

    np.savez(folder / "models/sample.npz", X=ROWS, label=recorded - 1)
    with pytest.raises(IntegrityError, match=r"predict\.ipynb answers otherwise than the step"):
        check_package(asked, folder)


def test_a_notebook_needs_a_signature_and_a_sample(folder: Path) -> None:
    with pytest.raises(UsageError, match="has no `signature`"):
        check_package(served_by_notebook(folder, "1", signature=None), folder)
    with pytest.raises(UsageError, match="has no `sample`"):
        check_package(served_by_notebook(folder, "1", sample=None), folder)
