"""A released model, requests that it answered, and a pipeline that watches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from nbci.config import find_project
from nbci.records.codec import from_json
from nbci.records.monitoring import MonitorResult
from nbci.runs.project_runs import find_run
from tests.promotion.promoting import promote_here
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.records.run_record import RunRecord
    from tests.support.releases import Released

PIPELINE = """\
pipeline: digits
steps:
  train: {notebook: nb/train.ipynb, outs: [models/m.bin, data/train.csv], cwd: project}
models:
  digits: {path: models/m.bin, stage: production, framework: plain, profile: data/train.csv}
"""
TRAIN = """\
import os, random
random.seed(1)
os.makedirs('data', exist_ok=True)
rows = [f'{random.gauss(5, 1)},{random.gauss(0, 1)}' for _ in range(300)]
open('data/train.csv', 'w').write('\\n'.join(('width,height', *rows)))
open('models/m.bin', 'w').write('model')
"""
WATCH = """\
params: {limit: 0.2}
steps:
  watch:
    monitor:
      model: digits#production
      log: logs
      rules:
        - {drift: {columns: [width]}, name: width}
        - {metric: accuracy, baseline: champion, max_drop: 0.1, missing: warn}
        - {schema: warn}
  never: {monitor: {model: digits, log: logs}, when: "limit > 1"}
"""


def write_log(folder: Path, shift: float) -> None:
    rng = np.random.default_rng(2)
    rows = 200
    columns = {
        "time": 1_800_000_000.0 + np.arange(rows),
        "request": [f"r{number}" for number in range(rows)],
        "row": np.zeros(rows, dtype=np.int32),
        "version": ["v1.0.0"] * rows,
        "width": rng.normal(5 + shift, 1, rows),
        "height": rng.normal(0, 1, rows),
        "answer.label": np.ones(rows, dtype=int),
    }
    (folder / "digits").mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), folder / "digits/all-1-0.parquet")


def last_record(project: Path) -> RunRecord:
    return find_run(find_project(project), "latest").read()


@pytest.mark.slow
def test_a_pipeline_watches_a_release(released: Released, tmp_path: Path) -> None:
    project, nbci = released.project, released.nbci
    write_notebook(project / "nb/train.ipynb", [TRAIN])
    (project / "pipeline.yaml").write_text(PIPELINE)
    (project / "watch.yaml").write_text(WATCH)
    (project / ".gitignore").write_text("/models\n/data\n/build\n/logs\n/metrics.json\n")
    released.git("add", "-A")
    released.git("commit", "-qm", "watched")
    assert nbci("run", "pipeline.yaml", "--quiet").returncode == 0
    promote_here(released, "latest", model="digits")

    write_log(project / "logs", shift=2.0)
    done = nbci("run", "watch.yaml", "--out", tmp_path / "build")
    assert done.returncode == 3, done.stderr
    record = last_record(project)
    assert record.verdict is not None
    answers = {gate.gate: (gate.result, gate.reason) for gate in record.verdict.gates}
    assert answers["watch: width"][0] == "failed"
    assert answers["watch: width"][1].startswith("psi of width is ")
    accuracy = answers["watch: accuracy at most 0.1 below champion"]
    assert accuracy == ("warned", "no row of the window has a label")
    assert {answers[name][0] for name in answers if name.startswith("never")} == {"left out"}
    assert record.metrics["watch:rows"] == 200
    assert not [warning for warning in record.warnings if "declare" in warning]

    # A CI gets the page, and learns whose model is to be trained again.
    handed_over = tmp_path / "build/monitors/watch/monitor.json"
    result = from_json(handed_over.read_bytes(), MonitorResult, "monitor.json")
    assert (result.version, result.step, result.window.requests) == ("v1.0.0", "watch", 200)
    assert "retrain\tdigits\t" in (tmp_path / "build/ending.txt").read_text()

    # The step is never reused: the log has moved on.
    write_log(project / "logs", shift=0.0)
    assert nbci("run", "watch.yaml", "--quiet").returncode == 0
    verdict = last_record(project).verdict
    assert verdict is not None
    assert verdict.result == "warned"
    history = nbci("monitor", "digits", "--history").stdout.splitlines()
    assert len(history) == 3
