"""Runs for the report's tests, built by hand with times that never change.

One passed, and one failed.
"""

from __future__ import annotations

import base64
import io
import struct
import zlib
from typing import Any

from msgspec.structs import replace

from nbci.handoff.values import ValueRef
from nbci.pipeline.rules import DeclaredMetric
from nbci.plan.compare import Compared, difference
from nbci.plan.model import Plan, PlannedCell, PlannedStep
from nbci.records.git_state import GitState
from nbci.records.run_record import (
    Attempt,
    CellRun,
    Failure,
    FileRef,
    Metric,
    ParameterValue,
    RunRecord,
    Scrap,
    StepRecord,
    Usage,
)
from nbci.records.verdict import GateResult, Verdict
from nbci.report.data.material import Baseline, Material, PastRun, ShownRun

TRACEBACK = (
    "---------------------------------------------------------------------------\n"
    "ValueError                                Traceback (most recent call last)\n"
    "Cell In[5], line 2\n      1 model = SVC(C=C)\n----> 2 model.fit(X, y)\n\n"
    "ValueError: Input X contains NaN <script>alert(1)</script>"
)


def png(width: int = 2, height: int = 2, grey: int = 120) -> bytes:
    """A small grey picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = (b"\x00" + bytes([grey]) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    stream = io.BytesIO()
    stream.write(b"\x89PNG\r\n\x1a\n")
    stream.write(
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    )
    return stream.getvalue()


PNG = base64.b64encode(png()).decode()

FRAME = """<div>
<style scoped>.dataframe tbody tr th { vertical-align: top; }</style>
<table border="1" class="dataframe" style="color: red">
  <thead><tr style="text-align: right;"><th></th><th>digit</th><th>count</th></tr></thead>
  <tbody><tr><th>0</th><td>zero &amp; none</td><td>178</td></tr>\
<tr><th>1</th><td>one</td><td>182</td></tr></tbody>
</table>
</div>"""


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def shown(data: dict[str, Any], metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": metadata or {}}


def raised(name: str, value: str, traceback: str) -> dict[str, Any]:
    return {
        "output_type": "error",
        "ename": name,
        "evalue": value,
        "traceback": traceback.split("\n"),
    }


def code_cell(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "outputs": list(outputs),
        "execution_count": 1,
    }


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    metadata = {"kernelspec": {"name": "python3", "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": list(cells)}


def ran(number: int | None, first_line: str, seconds: float | None = 0.25, **more: Any) -> CellRun:
    return CellRun(
        number=number,
        first_line=first_line,
        seconds=seconds,
        **{"role": "step", "result": "passed", **more},
    )


def planned(name: str, *cells: PlannedCell, **more: Any) -> PlannedStep:
    return PlannedStep(
        name=name,
        notebook="notebooks/digits.ipynb",
        kernel="python3",
        language="python",
        cells=cells,
        **more,
    )


def plan(*steps: PlannedStep, **more: Any) -> Plan:
    return Plan(
        pipeline="digits", target="pipelines/digits.yaml", steps=steps, nbci="0.1.0", **more
    )


def run(*steps: StepRecord, **more: Any) -> RunRecord:
    known: dict[str, Any] = {
        "run": "20260102-030405-abcd",
        "pipeline": "digits",
        "target": "pipelines/digits.yaml",
        "result": "passed",
        "nbci": "0.1.0",
        "command": ("nbci", "run", "pipelines/digits.yaml", "-p", "C=10", "-p", "note=two words"),
        "started_utc": "2026-01-02T03:04:05.678Z",
        "ended_utc": "2026-01-02T03:04:18.078Z",
        "seconds": 12.4,
        "host": "agent-1",
        "user": "ada",
        "platform": "Linux-6.1-x86_64",
        "python": "3.11.9",
        "git": GitState(
            commit="4f2a9c1e7b3d5f60718293a4b5c6d7e8f9012345", branch="main", dirty=True
        ),
        "params": (
            ParameterValue(name="C", value=10, source="-p"),
            ParameterValue(
                name="note", value="a|b `c` <b>@team</b>", source="notebooks/digits.ipynb"
            ),
        ),
        "sources": {
            "notebooks/digits.ipynb": "sha256:1a2b",
            "pipelines/digits.yaml": "sha256:3c4d",
        },
        "steps": steps,
    }
    return RunRecord(**{**known, **more})


PREPARE = StepRecord(
    name="prepare",
    result="reused",
    reason="nothing that it is made of has changed",
    run="20260101-000000-ffff",
    seconds=0.02,
)

TRAIN_CELLS = (
    ran(None, "C = 10", 0.001, role="injected"),
    ran(2, "import numpy as np", 0.41, role="imports"),
    ran(5, "model = SVC(C=C)", 3.2),
    ran(6, "ConfusionMatrixDisplay.from_predictions(y, guess)", 0.8),
    ran(7, "for epoch in range(60):", 1.5, spilled="files/cell-7.txt"),
)

TRAIN = StepRecord(
    name="models/train",
    result="passed",
    started_utc="2026-01-02T03:04:06Z",
    ended_utc="2026-01-02T03:04:12Z",
    seconds=6.1,
    host="agent-1",
    kernel="python3",
    kernel_version="3.11.9",
    params={"C": 10},
    attempts=(
        Attempt(
            number=1,
            result="failed",
            started_utc="2026-01-02T03:04:06Z",
            seconds=0.5,
            failure=Failure(kind="kernel-start", message="the kernel did not start within 60 s"),
        ),
        Attempt(
            number=2,
            result="passed",
            started_utc="2026-01-02T03:04:07Z",
            seconds=5.6,
            cells=TRAIN_CELLS,
            notebook="notebook.ipynb",
        ),
    ),
    metrics=(
        Metric(name="accuracy", value=0.97222222, source="scrap"),
        Metric(name="loss", value=float("nan"), source="metrics.json"),
        Metric(name="worst", value=float("inf"), source="metrics cell"),
    ),
    distributions={"numpy": "2.4.6", "scikit-learn": "1.9.1"},
    usage=Usage(cpu_seconds=7.9, peak_memory_bytes=187_300_000),
    warnings=("an exception in thread Thread-3 went unnoticed: KeyError('x')",),
)

PLAN = plan(
    planned(
        "prepare", PlannedCell(role="step", number=3, source="X, y = load_digits(return_X_y=True)")
    ),
    planned("models/train", after=("prepare",)),
    metrics={"accuracy": DeclaredMetric(direction="up", unit="ratio")},
)

TRAIN_NOTEBOOK = notebook(
    {
        "cell_type": "markdown",
        "metadata": {},
        "source": "# Training\n\nSee [the docs](https://example.org) and **C**.\n",
    },
    code_cell("C = 10"),
    code_cell("import numpy as np\nfrom sklearn.svm import SVC"),
    code_cell(
        "model = SVC(C=C)\nmodel.fit(X, y)  # <b>not bold</b>",
        shown({"text/html": FRAME, "text/plain": "  digit count\n0 zero 178"}),
        stream("\x1b[31mred\x1b[0m and \x1b[1;38;5;34mgreen\x1b[0m\n 10%\r 50%\r100%\n"),
    ),
    code_cell(
        "ConfusionMatrixDisplay.from_predictions(y, guess)",
        shown(
            {"image/png": PNG, "text/plain": "<Figure size 640x480 with 1 Axes>"},
            {"image/png": {"width": 320}},
        ),
        stream("UserWarning: labels differ\n", "stderr"),
    ),
    code_cell(
        "for epoch in range(60):\n    print(epoch)",
        stream("".join(f"epoch {n}\n" for n in range(60))),
    ),
)

PASSED = run(PREPARE, TRAIN)

FAILED_TRAIN = StepRecord(
    name="models/train",
    result="failed",
    started_utc="2026-01-02T03:04:06Z",
    seconds=4.5,
    kernel="python3",
    kernel_version="3.11.9",
    attempts=(
        Attempt(
            number=1,
            result="failed",
            started_utc="2026-01-02T03:04:06Z",
            seconds=4.5,
            notebook="notebook.ipynb",
            cells=(
                *TRAIN_CELLS[:2],
                ran(5, "model = SVC(C=C)", 3.2, result="failed"),
                ran(6, "score = model.score(X_test, y_test)", None, result="not run"),
            ),
            failure=Failure(
                kind="exception",
                message="cell 5 raised ValueError: Input X contains NaN <script>alert(1)</script>",
                hint="drop the rows with `dropna()` before @training",
                cell=5,
                first_line="model = SVC(C=C)",
                line=2,
                error="ValueError: Input X contains NaN <script>alert(1)</script>",
                traceback=TRACEBACK,
                log="[IPKernelApp] WARNING | something\n",
            ),
        ),
    ),
)

FAILED = run(
    PREPARE,
    FAILED_TRAIN,
    StepRecord(name="evaluate", result="skipped", reason="models/train failed"),
    result="failed",
    warnings=("no GPU here; step models/train ran without",),
)

FAILED_PLAN = plan(*PLAN.steps, planned("evaluate", after=("models/train",)), metrics=PLAN.metrics)

FAILED_NOTEBOOK = notebook(
    code_cell("C = 10"),
    code_cell("import numpy as np\nfrom sklearn.svm import SVC"),
    code_cell(
        "model = SVC(C=C)\nmodel.fit(X, y)",
        stream("fitting 1797 digits\n"),
        raised(
            "ValueError",
            "Input X contains NaN",
            TRACEBACK.replace("ValueError  ", "\x1b[31mValueError\x1b[39m  "),
        ),
    ),
    code_cell("score = model.score(X_test, y_test)"),
)


def _cell(number: int, source: str) -> PlannedCell:
    return PlannedCell(role="step", number=number, source=source)


def _compared_plan(fit: str) -> Plan:
    return plan(
        PLAN.steps[0],
        planned(
            "models/train",
            _cell(2, "import numpy as np"),
            _cell(5, fit),
            _cell(6, _DRAWS),
            after=("prepare",),
        ),
        metrics={
            "accuracy": DeclaredMetric(direction="up", unit="ratio"),
            "loss": DeclaredMetric(direction="down"),
            "size": DeclaredMetric(direction="down", unit="kB"),
        },
        models={
            "digits": {"path": "build/digits.onnx", "stage": "production", "branches": ["main"]}
        },
    )


_DRAWS = "ConfusionMatrixDisplay.from_predictions(y, guess)"


def _compared_notebook(fit: str, grey: int) -> dict[str, Any]:
    picture = base64.b64encode(png(grey=grey)).decode()
    return notebook(
        code_cell("import numpy as np"),
        code_cell(fit, stream("fitted\n")),
        code_cell(
            _DRAWS,
            shown({"image/png": picture, "text/plain": "<Figure>"}),
            shown({"image/png": PNG}),
        ),
    )


def _compared_run(accuracy: float, loss: float, size: float, **more: Any) -> RunRecord:
    taken = (
        ValueRef(name="X", object="ab" * 16, bytes=115_008, type="numpy.ndarray", group=("X",)),
    )
    train = StepRecord(
        name="models/train",
        result="passed",
        seconds=6.1,
        kernel="python3",
        kernel_version="3.11.9",
        params={"C": 10},
        attempts=(
            Attempt(
                number=1,
                result="passed",
                started_utc="2026-01-02T03:04:07Z",
                seconds=5.6,
                cells=(ran(2, "import numpy as np"), ran(5, "model = SVC(C=C)"), ran(6, _DRAWS)),
                notebook="notebook.ipynb",
            ),
        ),
        takes=taken,
        metrics=tuple(
            Metric(name=name, value=value, source="scrap")
            for name, value in (("accuracy", accuracy), ("loss", loss), ("size", size))
        ),
        **more,
    )
    prepare = StepRecord(name="prepare", result="reused", run="20260101-000000-ffff", gives=taken)
    clean = GitState(commit="4f2a9c1e7b3d5f60718293a4b5c6d7e8f9012345", branch="main", dirty=False)
    return run(prepare, train, git=clean)


BEFORE = replace(
    _compared_run(
        0.9833,
        0.101,
        310.5,
        deps=(FileRef(path="data/raw", digest="a" * 32 + ".dir", bytes=1_000_000, files=1797),),
        outs=(FileRef(path="build/digits.onnx", digest="b" * 32, bytes=310_500),),
        distributions={"numpy": "2.4.5", "scikit-learn": "1.9.1"},
    ),
    run="20260101-020304-0123",
    params=(ParameterValue(name="C", value=1, source="notebooks/digits.ipynb"),),
)

NOW = replace(
    _compared_run(
        0.9722,
        0.085,
        310.5,
        deps=(FileRef(path="data/raw", digest="c" * 32 + ".dir", bytes=1_100_000, files=1810),),
        outs=(FileRef(path="build/digits.onnx", digest="d" * 32, bytes=310_500),),
        distributions={"numpy": "2.4.6", "scikit-learn": "1.9.1"},
    ),
    params=(ParameterValue(name="C", value=10, source="-p"),),
    verdict=Verdict(
        result="failed",
        judged_utc="2026-01-02T03:04:19Z",
        gates=(
            GateResult(
                gate="accuracy at least 0.95",
                asked="at least 0.95",
                result="passed",
                reason="0.0222 to spare",
                metric="models/train:accuracy",
                found=0.9722,
                margin=0.0222,
            ),
            GateResult(
                gate="accuracy at most 0.01 below champion",
                asked="at most 0.01 below champion",
                result="failed",
                reason="0.0111 below the baseline",
                metric="models/train:accuracy",
                found=0.9722,
                baseline=0.9833,
                baseline_source="digits@v1.2.0 in production",
                margin=-0.0011,
            ),
            GateResult(
                gate="size",
                asked="at most 300",
                result="warned",
                reason="10.5 above 300",
                found=310.5,
                unit="kB",
            ),
        ),
    ),
)


def _listing(ref: FileRef) -> dict[str, str]:
    """13 images came, one went, and one is another."""
    names = {f"{number:04}.png": "0" for number in range(1, 1797)}
    if ref.digest.startswith("a"):
        return names | {"old.png": "1"}
    return names | {"0001.png": "2"} | {f"new-{number}.png": "3" for number in range(13)}


def charted() -> Material:
    """A run of 40 steps, one of which recorded what charts are made of.

    The baseline beside it did so, too.
    """
    names = [f"{stage}/{at}" for stage in ("load", "clean", "train", "judge") for at in range(10)]
    steps = [
        planned(name, after=(names[at - 10],) if at >= 10 else ()) for at, name in enumerate(names)
    ]

    def shown_run(right: int) -> ShownRun:
        charts = {
            "confusion": {"labels": ["cat", "dog"], "matrix": [[right, 50 - right], [3, 47]]},
            "roc": {"fpr": [0, 0.2, 1], "tpr": [0, right / 50, 1]},
            "training": {
                "chart": "learning_curve",
                "x_label": "epoch",
                "series": {"train": [3, 2, right / 50]},
            },
            "importance": {
                "chart": "feature_importance",
                "importance": {"whiskers": 0.6, "ears": right / 100},
            },
            "broken": {"chart": "roc", "fpr": [0, 1], "tpr": [0]},
        }
        records = [StepRecord(name=name, result="passed", seconds=1.5) for name in names[:-1]]
        scraps = tuple(Scrap(name=name, data=data) for name, data in charts.items())
        records.append(StepRecord(name=names[-1], result="passed", seconds=1.5, scraps=scraps))
        return ShownRun(record=run(*records), plan=plan(*steps), notebooks={})

    now, before = shown_run(45), shown_run(40)
    found = difference(
        Compared(record=before.record, plan=before.plan),
        Compared(record=now.record, plan=now.plan),
        _listing,
    )
    return Material(
        run=now, baseline=Baseline(title="the last run that passed", run=before, difference=found)
    )


def compared() -> Material:
    """A run that its gates refused, beside the one that was released."""
    was, now = (
        "model = SVC(C=C)\nmodel.fit(X, y)",
        "model = SVC(C=C, kernel='rbf')\nmodel.fit(X, y)",
    )
    before = ShownRun(
        record=BEFORE,
        plan=_compared_plan(was),
        notebooks={"models/train": _compared_notebook(was, grey=120)},
    )
    shown_now = ShownRun(
        record=NOW,
        plan=_compared_plan(now),
        notebooks={"models/train": _compared_notebook(now, grey=200)},
    )
    found = difference(
        Compared(record=before.record, plan=before.plan),
        Compared(record=NOW, plan=shown_now.plan),
        _listing,
    )
    return Material(
        run=shown_now,
        baseline=Baseline(
            title="digits@v1.2.0 in production, which the gates compared with: "
            "run 20260101-020304-0123",
            run=before,
            difference=found,
        ),
        history=(
            PastRun(
                run="20251231-010203-4567",
                started_utc="2025-12-31T01:02:03Z",
                result="passed",
                metrics={"models/train:accuracy": 0.961, "models/train:loss": 0.12},
            ),
            PastRun(
                run=BEFORE.run,
                started_utc="2026-01-01T02:03:04Z",
                result="passed",
                metrics=BEFORE.metrics,
            ),
        ),
        problems=(
            (
                "run 20260101-111111-2222 cannot be compared with: "
                "the record has format 0, this nbci reads 1"
            ),
        ),
    )
