"""A baseline's model measured again: what that adds to a run where nothing has changed."""

from __future__ import annotations

import statistics
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import compared, figure, seconds_of, take_turns
from benchmarks.projects import newest_run, write_notebook
from benchmarks.surroundings import nbci, of_nbci

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.measure import Bench, Row

ADDED_AT_MOST_SECONDS = 0.050
_FILES = 1000
_PIPELINE = """\
pipeline: p
params: {{bias: 1}}
steps:
  train: {{notebook: train.ipynb, params: {{bias: "${{bias}}"}}, outs: [model.txt]}}
  evaluate: {{notebook: evaluate.ipynb, after: [train], deps: [model.txt, data.txt]}}
metrics: {{accuracy: {{direction: up}}}}
gates: [{{metric: accuracy, baseline: "run:{run}", max_drop: 1, remeasure: {remeasure}}}]
models: {{m: {{path: model.txt, evaluate: evaluate}}}}
"""
_TRAIN = "open('model.txt', 'w').write(str(bias))"
_EVALUATE = "accuracy = float(open('model.txt').read()) + float(open('data.txt').read())"


def rows(bench: Bench) -> Iterator[Row]:
    """A run that reuses all of its steps, with the baseline measured again and as recorded."""
    env = of_nbci(bench.folder)
    project = bench.folder / "project"
    (project / "src").mkdir(parents=True)
    for number in range(_FILES):
        (project / "src" / f"module{number}.py").write_text("x = 1\n" * 50, encoding="utf-8")
    (project / "data.txt").write_text("1", encoding="utf-8")
    write_notebook(project / "train.ipynb", [("bias = 0", ("parameters",)), (_TRAIN, ())])
    write_notebook(project / "evaluate.ipynb", [(_EVALUATE, ()), ("print(accuracy)", ("metrics",))])
    _write(project, "yes.yaml", "latest", "no")
    run = partial(seconds_of, cwd=project, env=env)
    run(nbci("run", "yes.yaml", "--json"), expect='"passed"')
    baseline = newest_run(project).name

    # The data has moved since, and so has the model.
    (project / "data.txt").write_text("2", encoding="utf-8")
    ways = {}
    for remeasure, expected in (("yes", '"remeasured": 3.0'), ("no", '"baseline": 2.0')):
        _write(project, f"{remeasure}.yaml", baseline, remeasure)
        # With --json, a run with nothing to do is planned and judged like any other.
        command = nbci("run", f"{remeasure}.yaml", "-p", "bias=2", "--json")
        again = partial(run, command, expect=expected)
        again()
        ways[remeasure] = partial(_median, again, bench.pick(5, 2))
    seen = take_turns(ways, rounds=bench.pick(5, 2))
    added = statistics.median(seen["yes"]) - statistics.median(seen["no"])
    yield compared(
        f"all steps reused, {_FILES:,} files: with the baseline measured again",
        seen["yes"],
        "as recorded",
        seen["no"],
    )
    yield figure(
        "what measuring again adds, all from the cache", [added], at_most=ADDED_AT_MOST_SECONDS
    )


def _median(run: partial[float], times: int) -> float:
    return statistics.median(run() for _ in range(times))


def _write(project: Path, name: str, run: str, remeasure: str) -> None:
    text = _PIPELINE.format(run=run, remeasure=remeasure)
    (project / name).write_text(text, encoding="utf-8")
