"""A model is served only where it answers its sample as it was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec.structs import replace

from nbci.errors import IntegrityError
from nbci.serving.signature import ModelSignature, TensorSpec
from tests.promotion.test_packaging import ROWS, WEIGHTS
from tests.serving.linear import linear, loaded_of

if TYPE_CHECKING:
    from pathlib import Path


def test_the_signature_is_that_of_the_file(tmp_path: Path) -> None:
    loaded = loaded_of(linear(tmp_path))
    assert loaded.model.signature == ModelSignature(
        inputs=(TensorSpec(name="X", datatype="FP32", shape=(-1, 3)),),
        outputs=(
            TensorSpec(name="scores", datatype="FP32", shape=(-1, 2)),
            TensorSpec(name="label", datatype="INT64", shape=(-1,)),
        ),
    )
    assert loaded.joins_rows
    assert loaded.notices == ()


def test_a_model_that_answers_otherwise_is_not_served(tmp_path: Path) -> None:
    altered = linear(tmp_path, scores=ROWS @ WEIGHTS + 0.5)
    with pytest.raises(IntegrityError, match="does not answer its sample as it was recorded"):
        loaded_of(altered)


def test_a_sample_that_is_none_is_named(tmp_path: Path) -> None:
    file = linear(tmp_path)
    (tmp_path / "sample.npz").write_bytes(b"no archive")
    with pytest.raises(IntegrityError, match=r"the sample of linear@v1\.0\.0 cannot be read"):
        loaded_of(file)
    np.savez(tmp_path / "sample.npz", Y=ROWS)
    with pytest.raises(IntegrityError, match="lacks the input 'X'"):
        loaded_of(file)


def test_without_a_sample_it_is_served_and_said_so(tmp_path: Path) -> None:
    loaded = loaded_of(replace(linear(tmp_path), sample=None))
    assert not loaded.joins_rows
    assert "was released without a sample" in loaded.notices[0]


def test_of_several_files_each_answers_its_own_part_of_the_sample(tmp_path: Path) -> None:
    file = linear(tmp_path)
    own: dict[str, Any] = {"other.X": ROWS + 1, "other.scores": (ROWS + 1) @ WEIGHTS}
    np.savez(tmp_path / "sample.npz", X=ROWS, scores=ROWS @ WEIGHTS, **own)
    for part in ("linear", "other"):
        assert loaded_of(replace(file, part=part)).joins_rows
    own["other.scores"] = ROWS @ WEIGHTS
    np.savez(tmp_path / "sample.npz", X=ROWS, scores=ROWS @ WEIGHTS, **own)
    loaded_of(replace(file, part="linear"))
    with pytest.raises(IntegrityError, match="does not answer its sample"):
        loaded_of(replace(file, part="other"))


def test_a_file_that_the_runtime_cannot_run_is_no_bug(tmp_path: Path) -> None:
    file = linear(tmp_path)
    (tmp_path / "linear.onnx").write_bytes(b"no model")
    with pytest.raises(IntegrityError, match="is no model that ONNX Runtime can run here"):
        loaded_of(file)
