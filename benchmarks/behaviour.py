"""Two models compared over a million cases with ten slice columns, whole command."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import figure, peak_memory_of, seconds_of, take_turns
from benchmarks.projects import newest_run, write_notebook
from benchmarks.surroundings import nbci, of_nbci

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Bench, Row

MOST_SECONDS = 5.0
MOST_BYTES = 1_000_000_000
_WRITE = """\
import numpy as np
import pyarrow as pa
from pyarrow import parquet

cases = np.random.default_rng(0)
label = cases.integers(0, 5, count)
columns = {'id': np.arange(count), 'label': label}
for number, values in enumerate((2, 3, 5, 8, 12, 20, 40, 100, 1000)):
    columns[f'slice{number}'] = cases.integers(0, values, count).astype(str)
columns['age'] = cases.normal(size=count)
model = np.random.default_rng(seed)
guess = model.integers(0, 5, count)
columns['prediction'] = np.where(model.uniform(size=count) < 0.8, label, guess).astype(str)
columns['label'] = label.astype(str)
columns['score'] = model.uniform(size=count)
parquet.write_table(pa.table(columns), 'cases.parquet')
"""


def rows(bench: Bench) -> Iterator[Row]:
    """`nbci diff` of two runs whose steps declare predictions; there is no peer to compare with."""
    count = bench.pick(1_000_000, 100_000)
    env = of_nbci(bench.folder)
    project = bench.folder / "project"
    (project / ".git").mkdir(parents=True)
    write_notebook(
        project / "n.ipynb",
        [
            (f"count = {count}\nseed = 1", ("parameters",)),
            (_WRITE, ("step:evaluate", "predictions:cases.parquet")),
        ],
    )
    runs = []
    for seed in (1, 2):
        run = nbci("run", "n.ipynb", "-p", f"seed={seed}")
        seconds_of(run, cwd=project, env=env, expect="1 passed")
        runs.append(newest_run(project).name)

    command = nbci("diff", *runs)
    expect = f"{count:,} cases"
    seconds = partial(seconds_of, command, cwd=project, env=env, expect=expect)
    seen = take_turns({"nbci": seconds}, rounds=bench.pick(5, 2))
    yield figure(
        f"{count:,} cases, 10 slice columns and their pairs", seen["nbci"], at_most=MOST_SECONDS
    )
    watched = partial(peak_memory_of, command, cwd=project, env=env, expect=expect)
    memory = take_turns({"nbci": watched}, rounds=1, warmups=0)
    yield figure("the same, memory", memory["nbci"], at_most=MOST_BYTES, unit="bytes")
