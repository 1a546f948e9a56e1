"""One pipeline of three stages to search, as nbci and its peers have it.

The stages sleep, as they would wait for a device or a database. Each writes a number that the next
one reads: the first depends on no parameter, the second on `middle`, the third on `last`.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from benchmarks.measure import Wrong
from benchmarks.projects import write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("first", "middle", "last")
_READS = {"middle": "first", "last": "middle"}
_PARAMETERS = ("parameters",)

OPTUNA = """\
import json, sys
from pathlib import Path
import optuna, papermill

grid, at_once = json.loads(sys.argv[1]), int(sys.argv[2])

def objective(trial):
    place = Path(f"trials/{trial.number}")
    place.mkdir(parents=True)
    for name in ("first", "middle", "last"):
        params = {"place": str(place)}
        if name in grid:
            params[name] = trial.suggest_categorical(name, grid[name])
        made = place / f"{name}.ipynb"
        papermill.execute_notebook(f"{name}.ipynb", made, params, progress_bar=False)
    return json.loads((place / "last.json").read_text())["score"]

study = optuna.create_study(direction="maximize")
# with threads, Optuna's own sampler for grids tries some points twice
for middle in grid["middle"]:
    for last in grid["last"]:
        study.enqueue_trial({"middle": middle, "last": last})
study.optimize(objective, n_trials=len(grid["middle"]) * len(grid["last"]), n_jobs=at_once)
print(len(study.trials), "trials, best", study.best_value)
"""
"""What people write who search over notebooks with Optuna."""


class Searched(Struct, frozen=True, kw_only=True):
    """The size of a search: seconds of each stage, the grid, and how many trials go on at once."""

    seconds: tuple[float, float, float]
    middle: int
    last: int
    at_once: int

    @property
    def grid(self) -> dict[str, list[int]]:
        """The values of both parameters."""
        return {"middle": [*range(self.middle)], "last": [*range(self.last)]}

    @property
    def trials(self) -> int:
        """How many points it has."""
        return self.middle * self.last

    @property
    def best(self) -> int:
        """The highest score."""
        return 10 * (self.middle - 1) + self.last - 1

    def notebooks(self, project: Path) -> None:
        """A notebook a stage, with the folder of its files as a parameter."""
        for name, seconds in zip(NAMES, self.seconds, strict=True):
            head = f"{name} = 0\nplace = 'out'"
            target, source = f"Path(place, '{name}.json')", ""
            if name in _READS:
                source = f"Path(place, '{_READS[name]}.json')"
            write_notebook(
                project / f"{name}.ipynb",
                [(head, _PARAMETERS), (_code(name, seconds, source, target), ())],
            )

    def points(self) -> Iterator[tuple[int, int]]:
        """`middle` and `last` of each trial."""
        yield from itertools.product(*self.grid.values())


def _code(name: str, seconds: float, source: str, target: str) -> str:
    """Code that sleeps, reads the score so far, and writes it with this stage's own share."""
    before = f"json.loads({source}.read_text())['score']" if source else "0"
    share = {"first": "0", "middle": "10 * middle", "last": "last"}[name]
    return (
        "import json, time\nfrom pathlib import Path\n"
        f"time.sleep({seconds})\nscore = {before} + {share}\n"
        f"target = {target}\ntarget.parent.mkdir(parents=True, exist_ok=True)\n"
        "target.write_text(json.dumps({'score': score}))"
    )


def for_nbci(project: Path, searched: Searched) -> None:
    """A pipeline file in which both parameters are searched by `grid`."""
    project.mkdir()
    git(project, "init", "-q")
    searched.notebooks(project)
    steps: dict[str, dict[str, Any]] = {}
    for name in NAMES:
        step: dict[str, Any] = {"notebook": f"{name}.ipynb", "cwd": "project"}
        if name in _READS:
            step["deps"] = [f"out/{_READS[name]}.json"]
            step["params"] = {name: f"${{{name}}}"}
        step["metrics" if name == "last" else "outs"] = [f"out/{name}.json"]
        steps[name] = step
    document = {
        "params": {"middle": 0, "last": 0},
        "steps": steps,
        "metrics": {"score": {"direction": "up"}},
        "sweeps": {
            "grid": {
                "params": searched.grid,
                "objective": "last:score",
                "method": "grid",
                "budget": {"parallel": searched.at_once},
            }
        },
    }
    (project / "searched.yaml").write_text(json.dumps(document))


def for_optuna(project: Path, searched: Searched) -> list[str]:
    """A script around papermill, and what it is called with."""
    project.mkdir()
    searched.notebooks(project)
    (project / "search.py").write_text(OPTUNA)
    return ["search.py", json.dumps(searched.grid), str(searched.at_once)]


def for_dvc(project: Path, searched: Searched, commands: Path) -> None:
    """A repository of stages that papermill carries out, with both parameters in a file."""
    project.mkdir()
    searched.notebooks(project)
    stages: dict[str, dict[str, Any]] = {}
    for name in NAMES:
        stage: dict[str, Any] = {
            "cmd": f"{commands / 'papermill'} {name}.ipynb out/{name}.ipynb --no-progress-bar",
            "deps": [f"{name}.ipynb"],
            "outs": [f"out/{name}.ipynb"],
        }
        if name in _READS:
            stage["cmd"] += f" -p {name} ${{{name}}}"
            stage["deps"].append(f"out/{_READS[name]}.json")
            stage["params"] = [name]
        if name == "last":
            stage["metrics"] = ["out/last.json"]
        else:
            stage["outs"].append(f"out/{name}.json")
        stages[name] = stage
    (project / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    (project / "params.yaml").write_text("middle: 0\nlast: 0\n")


def for_ploomber(project: Path, searched: Searched) -> None:
    """The tasks that a grid of Ploomber's expands into: each stage once for what it depends on."""
    project.mkdir()
    for name, seconds in zip(NAMES, searched.seconds, strict=True):
        head = f"upstream = None\nproduct = None\n{name} = 0"
        source = "[*upstream.values()][0]['data']" if name in _READS else ""
        code = _code(name, seconds, f"Path({source})" if source else "", "Path(product['data'])")
        write_notebook(project / f"{name}.ipynb", [(head, _PARAMETERS), (code, ())])
    tasks = [_task("first", "first", None, {})]
    for middle in searched.grid["middle"]:
        tasks.append(_task("middle", f"middle-{middle}", "first", {"middle": middle}))
    for middle, last in searched.points():
        tasks.append(_task("last", f"last-{middle}-{last}", f"middle-{middle}", {"last": last}))
    document = {
        "meta": {"extract_upstream": False},
        "executor": {
            "dotted_path": "ploomber.executors.Parallel",
            "processes": searched.at_once,
        },
        "tasks": tasks,
    }
    (project / "pipeline.yaml").write_text(json.dumps(document))


def _task(notebook: str, name: str, before: str | None, params: dict[str, int]) -> dict[str, Any]:
    task: dict[str, Any] = {
        "source": f"{notebook}.ipynb",
        "name": name,
        "params": params,
        "product": {"nb": f"out/{name}.ipynb", "data": f"out/{name}.json"},
        "static_analysis": "disable",
    }
    if before is not None:
        task["upstream"] = [before]
    return task


def scores(folder: Path, pattern: str) -> list[int]:
    """The scores in files of this pattern."""
    return [json.loads(path.read_text())["score"] for path in folder.glob(pattern)]


def check_best(found: list[int], searched: Searched) -> None:
    """`Wrong` unless every point was tried."""
    if len(found) != searched.trials or max(found) != searched.best:
        raise Wrong(f"{len(found)} of {searched.trials} trials, best {max(found, default=None)}")


def git(project: Path, *words: str) -> None:
    """Run git in the project, as somebody."""
    someone = ["-c", "user.name=n", "-c", "user.email=n@example.com"]
    subprocess.run(["git", *someone, *words], cwd=project, check=True, capture_output=True)
