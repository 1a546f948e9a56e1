"""Models and data sets of machine-learning libraries: they come back as they were, or are refused
with the remedy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from nbci.inkernel.forms import Refused
from tests.inkernel.value_tools import Taken, groups_of, write

ROWS = [[float(row * column) for column in range(3)] for row in range(500)]
LABELS = [float(row) for row in range(500)]


class DMatrix:
    """Behaves as xgboost's own: it holds a pointer, which no pickle takes, and writes and reads
    files.
    """

    __module__ = "xgboost.stand_in"
    memory: ClassVar[dict[Any, Any]] = {}

    def __init__(
        self, data: Any, label: Any = None, missing: float = 0.0, *, silent: bool = False
    ) -> None:
        held = (
            json.loads(Path(data).read_text(encoding="utf-8"))
            if isinstance(data, str)
            else [data, label]
        )
        self.handle = (part for part in held)
        self.memory[self.handle] = held
        self.missing, self.silent = missing, silent

    def save_binary(self, path: str) -> None:
        Path(path).write_text(json.dumps(self.memory[self.handle]), encoding="utf-8")

    def get_label(self) -> Any:
        return self.memory[self.handle][1]

    def set_label(self, label: Any) -> None:
        self.memory[self.handle][1] = label


class QuantileDMatrix(DMatrix):
    """Behaves as a kind of matrix that has no file."""

    __module__ = "xgboost.stand_in"


@pytest.fixture(params=["stand-in", "xgboost"])
def matrix_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "xgboost":
        return pytest.importorskip(
            "xgboost", reason="too large to be a dependency of the tests"
        ).DMatrix
    module: Any = ModuleType("xgboost.stand_in")
    module.DMatrix = DMatrix
    monkeypatch.setitem(sys.modules, "xgboost", ModuleType("xgboost"))
    monkeypatch.setitem(sys.modules, "xgboost.stand_in", module)
    return DMatrix


def test_an_xgboost_matrix_passes_with_its_labels_and_settings(
    matrix_kind: Any, tmp_path: Path
) -> None:
    numpy = pytest.importorskip("numpy")
    rows = ROWS if matrix_kind is DMatrix else numpy.array(ROWS)
    matrix = matrix_kind(rows, label=LABELS, missing=-1.0)
    digest, _ = write(tmp_path, {"train": matrix, "same": matrix})
    assert write(tmp_path, {"train": matrix, "same": matrix})[0] == digest
    taken = Taken(tmp_path, digest)
    arrived = taken.values["train"]
    assert list(arrived.get_label()) == LABELS
    assert arrived.missing == -1.0
    assert taken.values["same"] is arrived
    assert taken.unchanged
    arrived.set_label(LABELS[::-1])
    assert not taken.unchanged


def test_names_and_weights_of_an_xgboost_matrix_pass_and_a_booster_predicts_the_same(
    tmp_path: Path,
) -> None:
    xgboost = pytest.importorskip("xgboost", reason="too large to be a dependency of the tests")
    numpy = pytest.importorskip("numpy")
    columns = {"feature_names": ["a", "b", "c"], "feature_types": ["q", "int", "float"]}
    matrix = xgboost.DMatrix(numpy.array(ROWS), label=LABELS, weight=LABELS, **columns)
    booster = xgboost.train({"max_depth": 2}, matrix, 3)
    expected = booster.predict(matrix)
    digest, _ = write(tmp_path, {"train": matrix, "booster": booster})
    assert write(tmp_path, {"train": matrix, "booster": booster})[0] == digest
    taken = Taken(tmp_path, digest)
    arrived = taken.values["train"]
    assert (arrived.feature_names, arrived.feature_types) == tuple(columns.values())
    assert list(arrived.get_weight()) == LABELS
    assert (taken.values["booster"].predict(arrived) == expected).all()
    assert taken.unchanged


def test_an_xgboost_matrix_that_has_no_file_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        Refused, match="pass on the arrays and labels, and make the QuantileDMatrix in the step"
    ):
        groups_of({"train": QuantileDMatrix(ROWS)})


@pytest.mark.parametrize(
    ("module", "kind", "base", "remedy"),
    [
        (
            "tensorflow.python.data.ops.map_op",
            "_MapDataset",
            "DatasetV2",
            "make the data set in the step that uses it",
        ),
        (
            "tensorflow.python.data.ops.iterator_ops",
            "OwnedIterator",
            "IteratorBase",
            "make both in the step",
        ),
        (
            "tensorflow.python.client.session",
            "Session",
            "BaseSession",
            "open one in the step that uses it",
        ),
        (
            "tensorflow.python.framework.func_graph",
            "FuncGraph",
            "Graph",
            "build it in the step that uses it",
        ),
    ],
)
def test_what_is_bound_to_tensorflows_process_is_refused_with_the_remedy(
    module: str, kind: str, base: str, remedy: str
) -> None:
    bases = type(base, (), {"__module__": module})
    value = type(kind, (bases,), {"__module__": module})()
    with pytest.raises(Refused, match=remedy):
        groups_of({"held": [value]})
