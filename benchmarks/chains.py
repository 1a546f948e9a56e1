"""Ten chained notebooks, each reading a file that the one before wrote.

The peers are Ploomber, and DVC with papermill.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import Wrong, compared, seconds_of, take_turns
from benchmarks.projects import write_notebook
from benchmarks.surroundings import dvc, nbci, of_nbci, of_others, papermill, ploomber

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.measure import Bench, Row, Way

COUNT = 10
PARAMETERS = ("parameters",)


def rows(bench: Bench) -> Iterator[Row]:
    """All steps run, and nothing to do."""
    env, others = of_nbci(bench.folder), of_others(bench.folder)
    others["PLOOMBER_STATS_ENABLED"] = "false"
    ours, theirs, stages = (bench.folder / name for name in ("nbci", "ploomber", "dvc"))
    _for_nbci(ours)
    _for_ploomber(theirs)
    _for_dvc(stages, papermill(bench.peers))
    build, repro = ploomber(bench.peers) / "ploomber", dvc(bench.peers) / "dvc"
    seconds_of([repro, "init", "--no-scm", "--quiet"], cwd=stages, env=others)
    run = nbci("run", "pipelines/chain.yaml")
    nbci_way, ploomber_way = partial(_way, ours, env), partial(_way, theirs, others)
    dvc_way = partial(_way, stages, others)
    cold: dict[str, Way] = {
        "nbci": nbci_way([*run, "--force"], f"{COUNT} passed"),
        "Ploomber": ploomber_way([build, "build", "--force"], "True"),
        "dvc repro with papermill": dvc_way(
            [repro, "repro", "--force"], f"Running stage 's{COUNT - 1}'"
        ),
    }
    nothing: dict[str, Way] = {
        "nbci": nbci_way(run, f"{COUNT} reused"),
        "Ploomber": ploomber_way([build, "build"], "False"),
        "dvc repro with papermill": dvc_way([repro, "repro"], "Data and pipelines are up to date"),
    }
    for work, ways in (
        (f"{COUNT} chained notebooks, all run", cold),
        (f"{COUNT}, nothing to do", nothing),
    ):
        seen = take_turns(ways, rounds=bench.pick(3, 1), warmups=0 if ways is cold else 1)
        for name in ("Ploomber", "dvc repro with papermill"):
            yield compared(work, seen["nbci"], name, seen[name])


def _way(project: Path, env: dict[str, str], argv: Sequence[str | Path], expect: str) -> Way:
    def seconds() -> float:
        taken = seconds_of(argv, cwd=project, env=env, expect=expect)
        last = project / f"out/{COUNT - 1}.txt"
        if last.read_text() != f"{COUNT - 1}":
            raise Wrong(f"{last} is not what the last notebook writes")
        return taken

    return seconds


def _source(number: int, before: str, out: str) -> str:
    """Code that reads the number before and writes the next."""
    count = f"int(Path({before}).read_text()) + 1" if number else "0"
    return f"from pathlib import Path\nn = {count}\nPath({out}).write_text(str(n))\nprint(n)"


def _plain_notebooks(project: Path) -> None:
    for number in range(COUNT):
        source = _source(number, f"'out/{number - 1}.txt'", f"'out/{number}.txt'")
        write_notebook(project / f"s{number}.ipynb", [(source, ())])


def _for_nbci(project: Path) -> None:
    (project / ".git").mkdir(parents=True)
    (project / "pipelines").mkdir()
    _plain_notebooks(project)
    steps = {
        f"s{n}": {
            "notebook": f"s{n}.ipynb",
            "cwd": "project",
            "deps": [f"out/{n - 1}.txt"] if n else [],
            "outs": [f"out/{n}.txt"],
        }
        for n in range(COUNT)
    }
    (project / "pipelines" / "chain.yaml").write_text(json.dumps({"steps": steps}))


def _for_dvc(project: Path, commands: Path) -> None:
    (project / "out").mkdir(parents=True)
    _plain_notebooks(project)
    stages = {
        f"s{n}": {
            "cmd": f"{commands / 'papermill'} s{n}.ipynb out/{n}.ipynb --no-progress-bar",
            "deps": [f"s{n}.ipynb", *([f"out/{n - 1}.txt"] if n else [])],
            "outs": [f"out/{n}.txt", f"out/{n}.ipynb"],
        }
        for n in range(COUNT)
    }
    (project / "dvc.yaml").write_text(json.dumps({"stages": stages}))


def _for_ploomber(project: Path) -> None:
    project.mkdir()
    tasks = []
    for n in range(COUNT):
        upstream = [f"s{n - 1}"] if n else None
        declared = f"upstream = {upstream}\nproduct = None"
        source = _source(n, f"upstream['s{n - 1}']['data']", "product['data']")
        write_notebook(project / f"s{n}.ipynb", [(declared, PARAMETERS), (source, ())])
        product = {"nb": f"out/{n}.ipynb", "data": f"out/{n}.txt"}
        tasks.append({"source": f"s{n}.ipynb", "name": f"s{n}", "product": product})
    (project / "pipeline.yaml").write_text(json.dumps({"tasks": tasks}))
