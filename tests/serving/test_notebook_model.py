"""A model that a notebook answers for: promoted, served, failing, and back again."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nbci.errors import IntegrityError
from nbci.git.process import Git
from nbci.pipeline.models import PredictNotebook, signature_of
from nbci.serving.loading import ModelFile
from nbci.serving.worker import ServerSettings
from tests.serving.linear import loaded_of, request_body
from tests.serving.live_server import INFER, JSON, Server
from tests.serving.test_serve_command import asked, served_from
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.console import Console

PREDICT = """\
import json
import os

import numpy as np

factor = np.float32(json.load(open("out/linear.json")))


def predict(inputs):
    X = inputs["X"]
    if X[0, 0] == 666:
        raise ValueError(f"secret {X[0, 0]}")
    if X[0, 0] == 999:
        os._exit(3)
    return X[:, :2] * factor
"""
SIGNATURE = {
    "inputs": [{"name": "X", "dtype": "float32", "shape": [None, 3]}],
    "outputs": [{"name": "scores", "dtype": "float32", "shape": [None, 2]}],
}
ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)


def notebook_model(folder: Path, factor: float = 2.0) -> ModelFile:
    """The model in a folder, with a sample of its answers for the factor 2."""
    write_notebook(folder / "predict.ipynb", [PREDICT])
    (folder / "out").mkdir()
    (folder / "out/linear.json").write_text(str(factor))
    np.savez(folder / "sample.npz", X=ROWS, scores=ROWS[:, :2] * 2)
    notebook = PredictNotebook(
        path="predict.ipynb", folder=str(folder), signature=signature_of(SIGNATURE, "linear")
    )
    return ModelFile(
        model="linear",
        version="v1.0.0",
        path=str(folder),
        sample=str(folder / "sample.npz"),
        notebook=notebook,
    )


@pytest.mark.slow
def test_a_notebook_that_does_not_answer_its_sample_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="does not answer its sample as it was recorded"):
        loaded_of(notebook_model(tmp_path, 3.0))


def infer(server: Server, value: float) -> tuple[int, Any]:
    rows = np.full((1, 3), value, dtype=np.float32)
    return server.ask("POST", INFER, request_body(rows), JSON)


@pytest.mark.slow
def test_a_notebook_answers_fails_and_dies_without_ending_the_server(tmp_path: Path) -> None:
    server = Server(ServerSettings(models=(notebook_model(tmp_path),)))
    status, about = server.ask("GET", "/v2/models/linear")
    assert (status, about["platform"]) == (200, "nbci_notebook")
    assert about["outputs"] == [{"name": "scores", "datatype": "FP32", "shape": [-1, 2]}]
    status, answer = infer(server, 3)
    assert (status, answer["outputs"][0]["data"]) == (200, [6.0, 6.0])

    assert infer(server, 666) == (500, {"error": "the model failed"})
    assert infer(server, 3)[0] == 200

    status, answer = infer(server, 999)
    assert status == 503
    assert "started again" in answer["error"]
    deadline = time.monotonic() + 60
    while server.ask("GET", "/v2/health/ready")[0] == 503:
        assert time.monotonic() < deadline
    assert infer(server, 3)[0] == 200
    metrics = server.ask("GET", "/metrics")[1].decode()
    assert 'nbci_requests_total{model="linear",status="500",version="v1.0.0"} 1.0' in metrics
    log = server.end()
    assert "secret" not in log
    events = {json.loads(line)["event"] for line in log.splitlines()}
    assert {"model failed", "kernel died", "kernel ready"} <= events
    assert "is answered by a notebook in a kernel" in log


FIT = """\
import json
import numpy as np
json.dump(2.0, open("out/linear.json", "w"))
rows = np.arange(6, dtype=np.float32).reshape(2, 3)
np.savez("out/sample.npz", X=rows, scores=rows[:, :2] * 2)
"""
PIPELINE = f"""\
pipeline: linear
steps:
  fit: {{notebook: fit.ipynb, outs: [out/linear.json, out/sample.npz], cwd: project}}
models:
  linear:
    path: out/linear.json
    sample: out/sample.npz
    serve: {{notebook: predict.ipynb}}
    signature: {json.dumps(SIGNATURE)}
"""


@pytest.mark.slow
def test_a_promoted_notebook_is_served_without_a_checkout(project: Console, tmp_path: Path) -> None:
    root = project.cwd
    write_notebook(root / "fit.ipynb", [FIT])
    write_notebook(root / "predict.ipynb", [PREDICT])
    (root / "p.yaml").write_text(PIPELINE)
    Git(root)("add", ".")
    Git(root)("commit", "-qm", "a notebook that answers")
    assert project("run", "p.yaml", "-q").returncode == 0
    promoted = project("promote", "latest")
    assert promoted.returncode == 0, promoted.stderr
    # What lies here later is not what was promoted.
    write_notebook(root / "predict.ipynb", ["1 / 0"])
    with served_from(project, tmp_path, "linear") as port:
        assert asked(port) == ("v1.0.0", 2.0)
