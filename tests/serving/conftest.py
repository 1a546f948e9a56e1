"""A project whose model can be promoted and served."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from nbci.git.process import Git
from tests.deployment.bundles import make_bundle
from tests.support.console import Console
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE = """\
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

weights = np.full((3, 2), scale, dtype=np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["X", "weights"], ["scores"])],
    "linear",
    [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", 3])],
    [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 2])],
    [numpy_helper.from_array(weights, "weights")],
)
opsets = [helper.make_opsetid("", 17)]
onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), "out/linear.onnx")
rows = np.arange(12, dtype=np.float32).reshape(4, 3)
np.savez("out/sample.npz", X=rows, scores=rows @ weights)
"""
PIPELINE = """\
pipeline: linear
params: {scale: 1.0}
steps:
  fit:
    notebook: fit.ipynb
    params: {scale: "${scale}"}
    outs: [out/linear.onnx, out/sample.npz]
    cwd: project
models:
  linear: {path: out/linear.onnx, sample: out/sample.npz, stage: production}
"""


@pytest.fixture(scope="module")
def served_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where a real `nbci serve` answers for `linear`; its log must hold no errors at the end."""
    folder = tmp_path_factory.mktemp("served")
    make_bundle(folder, "v1.0.0")
    serving = Console(folder).start("serve", "linear", "--from", folder, "--port", "0")
    try:
        assert serving.stdout is not None
        yield int(serving.stdout.readline().rpartition(":")[2])
    finally:
        serving.terminate()
        output, log = serving.communicate(timeout=30)
    assert serving.returncode == 0, output + log
    lines = [json.loads(line) for line in log.splitlines()]
    assert "error" not in [line.get("level") for line in lines], log


@pytest.fixture
def project(tmp_path: Path) -> Console:
    """A project with a remote for its models; nothing of it is promoted yet."""
    return make_project(tmp_path)


def make_project(tmp_path: Path) -> Console:
    """A project beside its `remote` and `origin.git`, for fixtures of other scopes, too."""
    root = tmp_path / "project"
    write_notebook(root / "fit.ipynb", [("parameters", "scale = 1.0"), CODE])
    (root / "p.yaml").write_text(PIPELINE)
    (root / ".gitignore").write_text("/out\n")
    (root / ".dvc").mkdir()
    (tmp_path / "remote").mkdir()
    (root / ".dvc/config").write_text(
        f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {tmp_path}/remote\n"
    )
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "origin.git"], check=True)
    subprocess.run(["git", "init", "-q", root], check=True)
    git = Git(root)
    git("add", ".")
    git("commit", "-qm", "a project")
    git("remote", "add", "origin", str(tmp_path / "origin.git"))
    git("push", "-q", "origin", "main")
    return Console(root)
