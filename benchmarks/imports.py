"""Ten import-heavy notebook steps (numpy, pandas, scikit-learn), a kernel each.

Whole commands are measured, and the steps run one after another.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import Wrong, compared, peak_memory_of, seconds_of, take_turns
from benchmarks.projects import newest_run, write_notebook
from benchmarks.surroundings import PYTHON, nbci, of_nbci, of_others, papermill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.measure import Bench, Row, Way

SOURCE = """\
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng({number})
table = pd.DataFrame(rng.normal(size=(500, 5)), columns=list("abcde"))
model = LogisticRegression().fit(table, table["a"] > 0)
print("score", model.score(table, table["a"] > 0))
"""
"""What a small step of machine learning looks like: most of its time is imports."""


def rows(bench: Bench) -> Iterator[Row]:
    """From cold, with kernels kept warm, and with as many at once as there are cores."""
    project, count = bench.folder / "project", bench.pick(10, 3)
    notebooks = _project(project, count)
    cold, warm = of_nbci(bench.folder / "cold"), of_nbci(bench.folder / "warm")
    seconds_of(nbci("kernels", "start", *notebooks), cwd=project, env=warm, expect="sklearn")
    try:
        yield from _measured(bench, project, notebooks, {"cold": cold, "warm": warm})
    finally:
        seconds_of(nbci("kernels", "stop", "--now"), cwd=project, env=warm, expect="stopped: 1")


def _measured(
    bench: Bench, project: Path, notebooks: list[Path], envs: dict[str, dict[str, str]]
) -> Iterator[Row]:
    others, bin_folder = of_others(bench.folder), papermill(bench.peers)

    def bare() -> float:
        command = partial(seconds_of, cwd=project, env=others, expect="score")
        return sum(command([PYTHON, notebook.with_suffix(".py")]) for notebook in notebooks)

    def peer(*argv: str) -> float:
        return sum(_by_peer(bin_folder, argv, project, others, notebook) for notebook in notebooks)

    count = len(notebooks)
    force = nbci("run", "pipelines/ten.yaml", "--force")
    one_by_one = [*force, "-j", "1"]
    ways: dict[str, Way] = {
        "bare": bare,
        "papermill": partial(peer, "papermill", "{source}", "{made}", "--no-progress-bar"),
        "nbclient": partial(peer, "jupyter-execute", "{source}", "--output={made}"),
        **{name: partial(_by_nbci, one_by_one, project, env, count) for name, env in envs.items()},
        **{
            f"{name}, at once": partial(_by_nbci, force, project, env, count)
            for name, env in envs.items()
        },
    }
    seen = take_turns(ways, rounds=bench.pick(3, 1), warmups=0)
    scripts = f"{count} python scripts"
    for name, most in (("warm", 0.25), ("cold", 0.4)):
        yield compared(
            f"nbci run -j 1, kernels {name}",
            seen[name],
            scripts,
            seen["bare"],
            at_most=None if bench.quick else most,
        )
        yield compared(f"nbci run, kernels {name}", seen[f"{name}, at once"], scripts, seen["bare"])
        for tool in ("papermill", "nbclient"):
            yield compared(
                f"nbci run -j 1, kernels {name}", seen[name], f"{tool}, {count} times", seen[tool]
            )
    for tool in ("papermill", "nbclient"):
        yield compared(f"({tool}, {count} times)", seen[tool], scripts, seen["bare"])
    argv = [str(bin_folder / "papermill"), notebooks[0].name, "watched.ipynb", "--no-progress-bar"]
    yield compared(
        "peak memory of all processes, -j 1, cold",
        [peak_memory_of(one_by_one, cwd=project, env=envs["cold"], expect=f"{count} passed")],
        "papermill, once",
        [peak_memory_of(argv, cwd=project, env=others)],
        unit="bytes",
    )


def _project(project: Path, count: int) -> list[Path]:
    """The notebooks, each as a script too, and a pipeline of them in which none waits."""
    (project / ".git").mkdir(parents=True)
    (project / "pipelines").mkdir()
    lines = ["steps:"]
    notebooks = []
    for number in range(count):
        source = SOURCE.format(number=number)
        notebooks.append(write_notebook(project / f"n{number}.ipynb", [(source, ())]))
        (project / f"n{number}.py").write_text(source)
        lines.append(f"  n{number}: {{notebook: n{number}.ipynb}}")
    (project / "pipelines" / "ten.yaml").write_text("\n".join(lines) + "\n")
    return notebooks


def _by_nbci(argv: list[str], project: Path, env: dict[str, str], count: int) -> float:
    seconds = seconds_of(argv, cwd=project, env=env, expect=f"{count} passed")
    for notebook in (newest_run(project) / "steps").glob("*/notebook.ipynb"):
        _has_score(notebook)
    return seconds


def _by_peer(
    folder: Path, argv: tuple[str, ...], project: Path, env: dict[str, str], notebook: Path
) -> float:
    made = project / "made.ipynb"
    made.unlink(missing_ok=True)
    command, *rest = (part.format(source=notebook, made=made) for part in argv)
    seconds = seconds_of([folder / command, *rest], cwd=project, env=env)
    _has_score(made)
    return seconds


def _has_score(notebook: Path) -> None:
    if '"score ' not in notebook.read_text():
        raise Wrong(f"{notebook} does not have the output of its cell")
