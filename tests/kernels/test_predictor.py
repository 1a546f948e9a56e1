"""A notebook's `predict` in a kernel: what it answers, what it may not, and how it comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nbci.errors import IntegrityError, UsageError
from nbci.kernels.predictor import Predictor
from nbci.kernels.predictor_kernel import PredictFailed, PredictorGone
from nbci.pipeline.models import PredictNotebook, signature_of
from tests.support.notebooks import write_notebook
from tests.support.processes import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE = """\
import os
import time

import numpy as np
from weights import factor


def predict(inputs):
    X = inputs["X"]
    first = X[0, 0] if len(X) else 0
    if first == 1:
        raise ValueError("secret")
    if first == 2:
        os._exit(3)
    if first == 3:
        time.sleep(60)
    if first == 4:
        return {"scores": X.astype("float64"), "label": []}
    if first == 5:
        return {"label": ["a"]}
    if first == 6:
        return object()
    names = [str(each) for each in inputs["names"]]
    X *= factor
    return {"scores": X, "label": names}
"""
SIGNATURE = {
    "inputs": [
        {"name": "X", "dtype": "float32", "shape": [None, 2]},
        {"name": "names", "dtype": "str", "shape": [None]},
    ],
    "outputs": [
        {"name": "scores", "dtype": "float32", "shape": [None, 2]},
        {"name": "label", "dtype": "str", "shape": [None]},
    ],
}


def predict_notebook(folder: Path, *cells: str) -> PredictNotebook:
    write_notebook(folder / "predict.ipynb", [*cells])
    (folder / "weights.py").write_text("factor = 2\n")
    return PredictNotebook(
        path="predict.ipynb", folder=str(folder), signature=signature_of(SIGNATURE, "m")
    )


class Predicting:
    """A predictor, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.told: list[str] = []
        environ = {**os.environ, "NBCI_SERVE_TOKEN": "t0ken"}
        self.predictor = Predictor(
            predict_notebook(folder, CODE), environ, lambda event, **_: self.told.append(event)
        )

    def answer(self, first: float, rows: int = 1, seconds: float = 30.0) -> list[Any]:
        inputs = {
            "X": np.full((rows, 2), first, dtype=np.float32),
            "names": np.array(["ä"] * rows, dtype=object),
        }
        return self.predictor.answer(["scores", "label"], inputs, seconds)

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while not self.predictor.is_ready:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture(scope="module")
def predicting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predicting]:
    started = Predicting(tmp_path_factory.mktemp("notebook"))
    yield started
    started.predictor.close()


@pytest.mark.slow
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_arrays_and_texts_go_there_and_back(predicting: Predicting, rows: int) -> None:
    scores, label = predicting.answer(7, rows)
    np.testing.assert_array_equal(scores, np.full((rows, 2), 14, dtype=np.float32))
    assert label.tolist() == ["ä"] * rows


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (1, "`predict` raised ValueError"),
        (4, r"gives scores: float64\[1, 2\], and the signature says scores: float32\[\?, 2\]"),
        (5, "`predict` gives no scores"),
        (6, "`predict` gives scores"),
    ],
)
def test_what_fails_says_so_without_the_data(
    predicting: Predicting, first: int, words: str
) -> None:
    with pytest.raises(PredictFailed, match=words) as caught:
        predicting.answer(first)
    assert "secret" not in str(caught.value)
    predicting.answer(7)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "seconds"), [(2, 30.0), (3, 0.2)])
def test_a_kernel_that_dies_or_hangs_is_started_again(
    predicting: Predicting, first: int, seconds: float
) -> None:
    with pytest.raises(PredictorGone):
        predicting.answer(first, seconds=seconds)
    predicting.wait()
    assert predicting.answer(7)[1].tolist() == ["ä"]
    assert predicting.told[-2:] == ["kernel died", "kernel ready"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("1 / 0", "cell 1: ZeroDivisionError"),
        ("x = 1", "no cell defines a function `predict`"),
        ("import os; assert 'NBCI_SERVE_TOKEN' not in os.environ; os._exit(1)", "ended with 1"),
    ],
)
def test_a_notebook_without_a_predict_is_refused(tmp_path: Path, code: str, words: str) -> None:
    environ = {**os.environ, "NBCI_SERVE_TOKEN": "t0ken"}
    with pytest.raises(IntegrityError, match=words):
        Predictor(predict_notebook(tmp_path, code), environ, lambda *_, **__: None)


@pytest.mark.filterwarnings("ignore:Passing unrecognized:DeprecationWarning")
def test_another_language_is_refused(tmp_path: Path) -> None:
    notebook = predict_notebook(tmp_path, CODE)
    (tmp_path / "predict.ipynb").write_text(
        (tmp_path / "predict.ipynb").read_text().replace('"python3"', '"bash"')
    )
    with pytest.raises(UsageError, match="in Python, not in bash"):
        Predictor(notebook, os.environ, lambda *_, **__: None)


LONELY = """
import os, sys, time
from tests.kernels.test_predictor import Predicting
from pathlib import Path
predicting = Predicting(Path(sys.argv[1]))
print(predicting.predictor._kernel._process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_no_kernel_outlives_its_server(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LONELY, tmp_path], stdout=subprocess.PIPE, encoding="utf-8"
    )
    with process:
        assert process.stdout is not None
        kernel = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    wait_for_end(kernel)
