"""Which files of a release are served, and as which models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nbci.app.serving.released import model_files
from nbci.errors import IntegrityError, UsageError
from nbci.records.manifest import Manifest, Promoter, ServedBy
from nbci.records.run_record import FileRef

if TYPE_CHECKING:
    from pathlib import Path


def ref(path: str) -> FileRef:
    return FileRef(path=path, digest="0" * 32, bytes=1)


def release(*paths: str, **fields: Any) -> Manifest:
    return Manifest(
        model="m",
        version="v1.0.0",
        run="r",
        pipeline="p",
        target="p.yaml",
        commit="c",
        promoted_utc="2026-11-29T00:00:00Z",
        by=Promoter(name="a", email="a@example.com"),
        nbci="0",
        files=tuple(map(ref, paths)),
        **fields,
    )


def names_of(manifest: Manifest, folder: Path) -> dict[str, str]:
    files = model_files("m", manifest, folder)
    return {file.model: file.path.removeprefix(f"{folder}/") for file in files}


def test_one_file_is_the_model_and_several_have_names(tmp_path: Path) -> None:
    assert names_of(release("out/m.onnx", "notes.txt"), tmp_path) == {"m": "out/m.onnx"}
    several = release("out/encoder.onnx", "out/decoder.onnx")
    assert names_of(several, tmp_path) == {
        "m.encoder": "out/encoder.onnx",
        "m.decoder": "out/decoder.onnx",
    }
    # Alike in two folders: neither hides the other.
    alike = release("a/model.onnx", "b/model.onnx")
    assert names_of(alike, tmp_path) == {"m.a/model": "a/model.onnx", "m.b/model": "b/model.onnx"}


def test_files_within_a_folder_that_a_step_made_are_found(tmp_path: Path) -> None:
    trials = [{"path": "out/m.onnx"}, {"path": "out/../../x.onnx"}, {"path": "elsewhere/y.onnx"}]
    assert names_of(release("out", details={"trials": trials}), tmp_path) == {"m": "out/m.onnx"}


def test_what_nobody_can_answer_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no ONNX file to serve"):
        model_files("m", release("model.joblib"), tmp_path)
    served_by = ServedBy(notebook="predict.ipynb", files=(ref("other.ipynb"),))
    with pytest.raises(IntegrityError, match="no digest of its notebook"):
        model_files("m", release("model.joblib", served_by=served_by), tmp_path)
