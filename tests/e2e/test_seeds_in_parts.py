"""Other seeds where a run is carried out in parts: a stage for each, and what they come to."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from nbci.formatting.numbers import MINUS
from tests.e2e.test_prove import commit_all

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_PIPELINE = """\
pipeline: noisy
params: {seed: 1}
seeds: {parameter: seed, values: 3}
steps:
  split: {notebook: split.ipynb, outs: [rows.txt]}
  train:
    notebook: train.ipynb
    after: [split]
    agent: big
    deps: [rows.txt]
    params: {seed: "${seed}"}
metrics: {accuracy: {direction: up}}
"""


def make_project(root: Path, make_notebook: MakeNotebook) -> None:
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    (root / "p.yaml").write_text(_PIPELINE)
    make_notebook("split.ipynb", ["open('rows.txt', 'w').write('100')"])
    train = "accuracy = int(open('rows.txt').read()) + seed * seed"
    metrics = ("metrics", "print(accuracy)")
    make_notebook("train.ipynb", [("parameters", "seed = 0"), train, metrics])


def planned_stages(nbci: Console) -> list[list[str]]:
    done = nbci("plan", "p.yaml", "--out", "plan.json", "--format", "jenkins")
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines() if line.startswith("stage")]
    return [line[1:6] for line in lines]


def run_stage(nbci: Console, folder: Path, number: str, needs: str) -> str:
    """Carry a stage out with a store of its own, as on a machine that shares nothing."""
    bring = folder / f"bring-{number}"
    bring.mkdir(parents=True)
    for other in filter(None, needs.split(",")):
        shutil.copytree(folder / f"left-{other}", bring / other)
    done = nbci(
        *("step", "--plan", "plan.json", "--stage", number, "--bring", bring),
        *("--store", folder / f"store-{number}", "--leave", folder / f"left-{number}"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def finish(nbci: Console, folder: Path, numbers: str) -> dict[str, Any]:
    everything = folder / f"everything-{numbers}"
    for number in numbers:
        shutil.copytree(folder / f"left-{number}", everything / number)
    store = folder / f"store-of-{numbers}"
    done = nbci("finish", "--plan", "plan.json", "--store", store, "--bring", everything)
    assert done.returncode == 0, done.stdout + done.stderr
    run: dict[str, Any] = json.loads(nbci("show", "--json").stdout)
    return run


def test_each_seed_has_a_stage_and_finish_takes_what_they_left(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_project(nbci.cwd, make_notebook)
    stages = planned_stages(nbci)
    assert stages == [
        ["1", "split", "", "", ""],
        ["2", "train", "big", "1", "1"],
        ["3", "all steps, with seed 2", "big", "1,2", "1,2"],
        ["4", "all steps, with seed 3", "big", "1,2", "1,2"],
    ]
    parts = tmp_path / "parts"
    for number, *_, needs in stages:
        run_stage(nbci, parts, number, needs)
    whole = finish(nbci, parts, "1234")
    values = [(run["value"], run["metrics"]) for run in whole["seeds"]["runs"]]
    assert values == [(seed, {"train:accuracy": 100 + seed**2}) for seed in (1, 2, 3)]
    # The stages carried out what depends on the seed, and finish nothing.
    (folder,) = parts.glob("store-3/*/runs/*")
    assert [step.name for step in (folder / "steps").iterdir()] == ["train"]
    assert not list(nbci.cwd.glob(".nbci/runs/*/runs/*"))

    without = finish(nbci, parts, "123")
    assert without["seeds"]["reason"] == "no stage has left the results of this run with seed 3"
    assert any("no other seeds" in warning for warning in without["warnings"])


def test_steps_for_several_kinds_of_agents_have_one_seed(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_project(nbci.cwd, make_notebook)
    text = _PIPELINE.replace("split.ipynb,", "split.ipynb, agent: small,")
    (nbci.cwd / "p.yaml").write_text(text)
    stages = planned_stages(nbci)
    assert [stage[1] for stage in stages] == ["split", "train"]
    why = "its steps are for several kinds of agents, and a seed is carried out on one"
    assert why in nbci("plan", "p.yaml", "--out", "plan.json").stderr
    for number, *_, needs in stages:
        run_stage(nbci, tmp_path / "parts", number, needs)
    shown = finish(nbci, tmp_path / "parts", "12")
    assert shown["seeds"]["reason"].startswith(why)


def test_the_stages_carry_the_baseline_out_with_the_same_seeds(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_project(nbci.cwd, make_notebook)
    (nbci.cwd / ".gitignore").write_text(".nbci\nplan.json\nrows.txt\nparts\n")
    (nbci.cwd / "p.yaml").write_text(_PIPELINE.replace("seeds: {parameter: seed, values: 3}\n", ""))
    commit_all(nbci.cwd)
    done = nbci("run", "p.yaml", "--json")
    before = json.loads(done.stdout)["run"]

    gate = f"{{metric: accuracy, baseline: 'run:{before}', max_drop: 0, beyond_noise: true}}"
    text = _PIPELINE.replace("values: 3", "values: 5")
    (nbci.cwd / "p.yaml").write_text(f"{text}gates: [{gate}]\n")
    worse = "accuracy = int(open('rows.txt').read()) + seed * seed - 1 - seed / 10"
    make_notebook(
        "train.ipynb", [("parameters", "seed = 0"), worse, ("metrics", "print(accuracy)")]
    )
    commit_all(nbci.cwd)
    stages = planned_stages(nbci)
    parts = tmp_path / "parts"
    for number, *_, needs in stages:
        run_stage(nbci, parts, number, needs)
    for number, *_ in stages:
        shutil.copytree(parts / f"left-{number}", parts / "everything" / number)
    done = nbci(
        *("finish", "--plan", "plan.json", "--store", parts / "store"),
        *("--bring", parts / "everything", "--json"),
    )
    assert done.returncode == 3, done.stdout + done.stderr
    judged = json.loads(done.stdout)["verdict"]["gates"][0]
    assert (judged["baseline"], judged["found"]) == (111.0, 109.7)
    assert f"mean of 5 seeds {MINUS}1.3" in judged["reason"]
