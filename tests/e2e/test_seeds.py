"""Runs with several seeds: how far their metrics move by chance, and gates that know."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.shown import document, results
from tests.e2e.test_prove import commit_all, git, state_of
from tests.e2e.test_remeasure import promoted
from tests.support.console import Console
from tests.support.notebooks import write_notebook
from tests.support.processes import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.conftest import MakeNotebook

_PIPELINE = """\
pipeline: p
params: {seed: 0, unused: 1, loss: 0.0, shift: 0}
steps:
  main:
    notebook: n.ipynb
    params: {seed: "${seed}", loss: "${loss}", shift: "${shift}"}
metrics:
  accuracy: {direction: up}
gates: [GATE]
"""
_GATE = "{metric: accuracy, baseline: BASELINE, max_drop: 0.01, beyond_noise: true}"
_LOAD = ("step:load in:test.csv", "rows = [float(row) for row in open('test.csv')]")
_TRAIN = (
    "step:train out:model.json",
    (
        "import json, random\nrandom.seed(seed + shift)\n"
        "model = random.uniform(0.90, 0.95) - loss\njson.dump(model, open('model.json', 'w'))"
    ),
)
_EVALUATE = ("step:evaluate", "accuracy = model * sum(rows) / len(rows)")
_METRICS = ("metrics", "print(accuracy)")


def make_project(
    root: Path,
    make_notebook: MakeNotebook,
    *,
    baseline: str = "",
    train: tuple[str, str] = _TRAIN,
) -> None:
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    (root / ".gitignore").write_text(".nbci\nmodel.json\n")
    (root / "test.csv").write_text("1\n1\n")
    parameters = ("parameters", "seed = 0\nloss = 0.0\nshift = 0")
    make_notebook("n.ipynb", [parameters, _LOAD, train, _EVALUATE, _METRICS])
    gate = _GATE.replace("BASELINE", baseline) if baseline else ""
    (root / "p.yaml").write_text(_PIPELINE.replace("GATE", gate))


@pytest.fixture(scope="module")
def kept_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with what the steps of the project give with five seeds."""
    folder = tmp_path_factory.mktemp("five-seeds")
    nbci = Console(folder / "project")
    nbci.cwd.mkdir()

    def make(path: str | Path, cells: Iterable[Any], **options: Any) -> Path:
        return write_notebook(nbci.cwd / path, cells, **options)

    make_project(nbci.cwd, make)
    run_seeds(nbci, env={"XDG_CACHE_HOME": str(folder / "cache")})
    return folder / "cache"


@pytest.fixture
def after_seeds(kept_results: Path) -> None:
    """For tests in which that is no more than a beginning: the first run with five seeds takes
    these results, and the test's own cache has them.
    """
    shutil.copytree(kept_results, os.environ["XDG_CACHE_HOME"], symlinks=True)


def run_seeds(
    nbci: Console, *options: str, code: int = 0, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    done = nbci("run", "p.yaml", "--seeds", "5", "--json", *options, env=env)
    assert done.returncode == code, done.stderr
    return document(done)


def belonging(nbci: Console) -> list[dict[str, Any]]:
    """The runs that belong to the latest, the oldest first."""
    rows: list[dict[str, Any]] = json.loads(nbci("runs", "--of", "latest", "--json").stdout)
    return rows[::-1]


def results_of(nbci: Console, run: str) -> dict[str, str]:
    return results(document(nbci("show", run, "--json")))


def test_only_what_depends_on_the_seed_runs_again_and_beside_the_users_files(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook)
    first = nbci("run", "p.yaml")
    assert first.returncode == 0, first.stderr
    before = state_of(nbci.cwd)

    shown = run_seeds(nbci)

    assert state_of(nbci.cwd) == before
    seeds = shown["seeds"]
    assert [run["value"] for run in seeds["runs"]] == [0, 1, 2, 3, 4]
    values = [run["metrics"]["main/evaluate:accuracy"] for run in seeds["runs"]]
    assert len(set(values)) == 5
    band = seeds["bands"]["main/evaluate:accuracy"]
    assert band["mean"] == pytest.approx(sum(values) / 5)
    assert min(values) < band["low"] < band["mean"] < band["high"] < max(values)

    rows = belonging(nbci)
    assert [(row["role"], row["run"]) for row in rows] == [
        ("seed", run["run"]) for run in seeds["runs"][1:]
    ]
    ran = {"main/load": "reused", "main/train": "passed", "main/evaluate": "passed"}
    assert [results_of(nbci, row["run"]) for row in rows] == [ran] * 4

    assert "seed 3" in nbci("runs", "--of", "latest").stdout
    page = (nbci.cwd / shown["paths"]["page"]).read_text("utf-8")
    assert "Mean of 5 seeds" in page

    # Kept for the next time: nothing is carried out, also with more seeds than before.
    again = run_seeds(nbci)
    assert again["seeds"]["runs"][1:] == seeds["runs"][1:]
    assert belonging(nbci) == []
    assert "mean of 5 seeds" in nbci("show", "latest").stdout
    assert nbci("run", "p.yaml", "--seeds", "6").returncode == 0
    assert [row["role"] for row in belonging(nbci)] == ["seed"]
    assert nbci("run", "p.yaml", "--seeds", "3", "--force").returncode == 0
    assert [results_of(nbci, row["run"])["main/train"] for row in belonging(nbci)] == ["passed"] * 2
    # The value with another seed is the one that a run with it has.
    other = nbci("run", "p.yaml", "-p", "seed=3", "--json")
    assert document(other)["metrics"]["main/evaluate:accuracy"] == values[3]


@pytest.mark.usefixtures("after_seeds")
def test_a_gate_tells_a_drop_from_noise(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_project(nbci.cwd, make_notebook, baseline="run:latest")
    commit_all(nbci.cwd)
    first = run_seeds(nbci)
    assert first["verdict"]["gates"][0]["reason"].startswith("first run")

    # Other random numbers: lower on the mean by more than is allowed, and with one seed higher.
    shown = run_seeds(nbci, "-p", "shift=28", "--no-gate")
    gate = shown["verdict"]["gates"][0]
    own = shown["metrics"]["main/evaluate:accuracy"]
    assert own < first["metrics"]["main/evaluate:accuracy"] - 0.01
    assert gate["result"] == "passed"
    assert gate["reason"].startswith("inside the noise of ±")
    assert gate["noise"]["seeds"] == 5
    assert gate["found"] == pytest.approx(
        sum(run["metrics"]["main/evaluate:accuracy"] for run in shown["seeds"]["runs"]) / 5
    )
    (baseline,) = shown["seeds"]["baselines"]
    assert baseline["commit"] == git(nbci.cwd, "rev-parse", "HEAD")
    assert [run["value"] for run in baseline["runs"]] == [0, 1, 2, 3, 4]

    # A loss with each seed, each larger than what is allowed.
    shown = run_seeds(nbci, "-p", "shift=28", "-p", "loss=0.02", code=3)
    gate = shown["verdict"]["gates"][0]
    assert gate["noise"]["p_lower"] == 1 / 32
    assert "beyond the noise of" in gate["reason"]
    summary = (nbci.cwd / shown["paths"]["folder"] / "report" / "summary.md").read_text("utf-8")
    assert "beyond the noise of" in summary

    # Judged again by what is there, without carrying anything out.
    count = len(belonging(nbci))
    done = nbci("gate", shown["run"])
    assert done.returncode == 3
    assert "beyond the noise of" in done.stdout
    assert len(belonging(nbci)) == count


@pytest.mark.usefixtures("after_seeds")
def test_the_baseline_gets_the_data_of_the_run(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_project(nbci.cwd, make_notebook, baseline="rev:before")
    commit_all(nbci.cwd)
    git(nbci.cwd, "tag", "before")
    run_seeds(nbci)
    # The data has moved, and git has it: the model is as good as before.
    (nbci.cwd / "test.csv").write_text("1\n0\n")
    commit_all(nbci.cwd)

    shown = run_seeds(nbci)

    gate = shown["verdict"]["gates"][0]
    assert gate["result"] == "passed"
    assert gate["found"] == gate["baseline"] == pytest.approx(gate["recorded"] / 2, rel=0.1)
    assert shown["warnings"] == []
    # The commit's own pipeline is carried out: what it had then counts.
    (nbci.cwd / "p.yaml").write_text(
        (nbci.cwd / "p.yaml").read_text().replace("loss: 0", "loss: 1")
    )
    commit_all(nbci.cwd)
    shown = run_seeds(nbci, code=3)
    assert shown["verdict"]["gates"][0]["baseline"] == gate["baseline"]


def test_data_that_is_not_declared_is_as_it_was_and_named(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook, baseline="rev:before")
    parameters = ("parameters", "seed = 0\nloss = 0.0\nshift = 0")
    load = ("step:load", _LOAD[1])
    make_notebook("n.ipynb", [parameters, load, _TRAIN, _EVALUATE, _METRICS])
    commit_all(nbci.cwd)
    git(nbci.cwd, "tag", "before")
    run_seeds(nbci)
    (nbci.cwd / "test.csv").write_text("1\n0\n")
    commit_all(nbci.cwd)

    shown = run_seeds(nbci, code=3)

    assert shown["warnings"] == [
        "rev:before was carried out with test.csv as it was then: no step declares it as `deps`"
    ]


def test_the_champion_is_carried_out_from_the_commit_that_it_was_built_from(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook, baseline="champion")
    with (nbci.cwd / "p.yaml").open("a") as file:
        file.write("models: {p: {path: model.json, branches: [main]}}\n")
    promoted(nbci)
    built = json.loads(nbci("show", "latest", "--json").stdout)
    tags, source = _TRAIN
    make_project(
        nbci.cwd, make_notebook, baseline="champion", train=(tags, f"loss = 0.02\n{source}")
    )
    with (nbci.cwd / "p.yaml").open("a") as file:
        file.write("models: {p: {path: model.json, branches: [main]}}\n")

    shown = run_seeds(nbci, code=3)

    gate = shown["verdict"]["gates"][0]
    assert gate["found"] == pytest.approx(gate["baseline"] - 0.02)
    assert gate["recorded"] == built["metrics"]["main/evaluate:accuracy"]
    assert "beyond the noise" in gate["reason"]
    (baseline,) = shown["seeds"]["baselines"]
    assert baseline["commit"] == built["git"]["commit"]
    # What the release was made by is still known.
    assert baseline["runs"][0]["run"] == built["run"]


def test_finish_carries_seeds_out_where_any_machine_will_do(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook)
    with (nbci.cwd / "p.yaml").open("a") as file:
        file.write("seeds: {values: 3}\n")

    assert "carried out with seed 0, 1, 2" in nbci("plan", "p.yaml").stdout
    assert nbci("plan", "p.yaml", "--out", "plan.json").returncode == 0
    for step in ("main/load", "main/train", "main/evaluate"):
        assert nbci("step", step, "--plan", "plan.json").returncode == 0
    done = nbci("finish", "--plan", "plan.json", "--json")
    assert done.returncode == 0, done.stderr
    assert [run["value"] for run in document(done)["seeds"]["runs"]] == [0, 1, 2]


@pytest.mark.usefixtures("after_seeds")
def test_a_run_that_had_the_same_seeds_and_data_needs_no_commit(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook, baseline="run:latest")
    first = run_seeds(nbci)

    shown = run_seeds(nbci, "-p", "loss=0.02", code=3)

    (baseline,) = shown["seeds"]["baselines"]
    assert baseline["runs"] == first["seeds"]["runs"]
    assert "beyond the noise" in shown["verdict"]["gates"][0]["reason"]
    # On other data, what it had says nothing.
    (nbci.cwd / "test.csv").write_text("1\n0.9\n")
    assert nbci("run", "p.yaml", "--no-gate").returncode == 0
    (nbci.cwd / "test.csv").write_text("1\n1\n")
    shown = run_seeds(nbci, "-p", "loss=0.001")
    assert "its code is in no commit" in shown["verdict"]["gates"][0]["noise_unknown"]


@pytest.mark.parametrize("change", ["its code is in no commit", "its pipeline has no parameter"])
def test_a_baseline_that_cannot_be_carried_out_says_why(
    nbci: Console, make_notebook: MakeNotebook, change: str
) -> None:
    make_project(nbci.cwd, make_notebook, baseline="run:latest")
    pipeline = (nbci.cwd / "p.yaml").read_text()
    if "parameter" in change:
        (nbci.cwd / "p.yaml").write_text(
            pipeline.replace("seed: 0, ", "").replace('seed: "${seed}", ', "")
        )
        commit_all(nbci.cwd)
    assert nbci("run", "p.yaml").returncode == 0
    (nbci.cwd / "p.yaml").write_text(pipeline)

    shown = run_seeds(nbci, "-p", "loss=0.005")

    gate = shown["verdict"]["gates"][0]
    assert (gate["result"], gate["found"]) == (
        "passed",
        shown["metrics"]["main/evaluate:accuracy"],
    )
    assert change in gate["noise_unknown"]
    assert shown["seeds"]["bands"]


def test_a_seed_that_nothing_uses_is_said_and_nothing_runs(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook)
    with (nbci.cwd / "p.yaml").open("a") as file:
        file.write("seeds: {parameter: unused, values: 3}\n")

    done = nbci("run", "p.yaml")

    assert done.returncode == 0
    assert belonging(nbci) == []
    assert "nothing uses the parameter unused" in nbci("show", "latest").stdout


def test_a_seed_with_which_a_step_fails_is_named_and_the_others_count(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    tags, source = _TRAIN
    make_project(nbci.cwd, make_notebook, train=(tags, f"assert seed != 2, 'no luck'\n{source}"))

    shown = run_seeds(nbci)

    assert shown["result"] == "passed"
    assert shown["seeds"]["bands"]["main/evaluate:accuracy"]["seeds"] == 4
    (warning,) = shown["warnings"]
    assert warning.startswith("no result with seed 2: ")
    assert "no luck" in warning


def test_an_interrupted_seed_ends_the_run_and_is_taken_up_again(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    tags, source = _TRAIN
    slow = "import os, time\nif seed == 2 and not os.path.exists(GO): open(AT, 'w'); time.sleep(60)"
    slow = slow.replace("GO", repr(str(nbci.cwd / "go"))).replace("AT", repr(str(nbci.cwd / "at")))
    make_project(nbci.cwd, make_notebook, train=(tags, f"{slow}\n{source}"))
    process = nbci.start("run", "p.yaml", "--seeds", "5")
    wait_for((nbci.cwd / "at").exists, "the run with seed 2")

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 130
    shown = json.loads(nbci("show", "latest", "--json").stdout)
    assert shown["result"] == "interrupted"
    assert "verdict" not in shown
    ended = belonging(nbci)[0]["run"]
    (nbci.cwd / "go").touch()
    done = nbci("run", "--resume", "latest", "--json")
    assert done.returncode == 0, done.stderr
    shown = document(done)
    assert len(shown["seeds"]["runs"]) == 5
    # That of seed 1 had ended before.
    assert shown["seeds"]["runs"][1]["run"] == ended


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seeds", "1"), "`seeds` need at least 2 values, not 1"),
        (("--seeds", "0"), "'0' is not a number of at least 1"),
        (("--resume", "latest", "--seeds", "5"), "leave out -p, -f, --seeds"),
    ],
)
def test_mistakes_are_refused(
    nbci: Console, make_notebook: MakeNotebook, options: tuple[str, ...], message: str
) -> None:
    make_project(nbci.cwd, make_notebook)
    target = () if "--resume" in options else ("p.yaml",)
    done = nbci("run", *target, *options)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_step_without_cache_gives_all_seeds_what_it_gave_the_run(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    """A database may have other rows by then; and it may not be found from a workspace."""
    counter = outside / "counter.txt"
    counter.write_text("")
    (nbci.cwd / "pyproject.toml").write_text("[tool.nbci]\n")
    ingest = (
        f"open({str(counter)!r}, 'a').write('x')\n"
        f"open('rows.txt', 'w').write(str(len(open({str(counter)!r}).read())))\n"
        "open('unread.txt', 'w').write('large')"
    )
    make_notebook("ingest.ipynb", [ingest])
    train = "score = int(open('rows.txt').read()) + seed / 10"
    make_notebook("train.ipynb", [("parameters", "seed = 0"), train, ("metrics", "print(score)")])
    (nbci.cwd / "p.yaml").write_text(
        "params: {seed: 1}\n"
        "seeds: {values: 3}\n"
        "steps:\n"
        "  ingest: {notebook: ingest.ipynb, cache: disabled, outs: [rows.txt, unread.txt]}\n"
        "  train: {notebook: train.ipynb, after: [ingest], deps: [rows.txt], "
        'params: {seed: "${seed}"}}\n'
    )
    done = nbci("run", "p.yaml", "--json")
    assert done.returncode == 0, done.stderr
    runs = document(done)["seeds"]["runs"]
    assert [run["metrics"]["train:score"] for run in runs] == [1.1, 1.2, 1.3]
    assert counter.read_text() == "x"
