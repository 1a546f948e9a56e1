"""Why a metric moved between two runs, found out by running hybrids of them."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_prove import commit_all, git, run, state_of
from tests.e2e.test_remeasure import make_project, make_the_data_harder, promoted
from tests.support.console import Console
from tests.support.dvc import dvc, make_repository
from tests.support.notebooks import write_notebook
from tests.support.processes import wait_for
from tests.support.wheels import make_ipykernel_wheel, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook

Cells = list[tuple[str, str]]


def cells(*, c: str = "1.0", train: str = "model = sum(rows) * C", score: str = "model") -> Cells:
    """A pipeline of three steps whose metric is what data, parameter and code make of it."""
    return [
        ("parameters", f"C = {c}"),
        ("step:load in:data.csv", "rows = [float(line) for line in open('data.csv')]"),
        ("step:train", train),
        ("step:evaluate", f"score = {score}"),
        ("pipeline-metrics", "print(score)"),
    ]


@pytest.fixture(scope="module")
def ran_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed project that has run once, and beside it the cache with what that run gave."""
    folder = tmp_path_factory.mktemp("ran-once")
    nbci = Console(folder / "project")
    nbci.cwd.mkdir()
    (nbci.cwd / "pyproject.toml").write_text("[tool.nbci]\n")
    (nbci.cwd / ".gitignore").write_text(".nbci\n__pycache__\n")
    (nbci.cwd / "data.csv").write_text("1\n2\n")
    write_notebook(nbci.cwd / "n.ipynb", cells())
    commit_all(nbci.cwd)
    done = nbci("run", "n.ipynb", env={"XDG_CACHE_HOME": str(folder / "cache")})
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def project(nbci: Console, ran_once: Path) -> Console:
    """A copy of that project, with the cache: its metric is 3."""
    shutil.copytree(ran_once / "project", nbci.cwd, symlinks=True, dirs_exist_ok=True)
    shutil.copytree(ran_once / "cache", os.environ["XDG_CACHE_HOME"], symlinks=True)
    return nbci


def second(nbci: Console, *options: str) -> str:
    """Commit what has changed, if anything, and run again."""
    if git(nbci.cwd, "status", "--porcelain"):
        commit_all(nbci.cwd)
    return run(nbci, "n.ipynb", *options)


def blamed(nbci: Console, *options: str, metric: str = "score") -> dict[str, Any]:
    first = min(path.name for path in (nbci.cwd / ".nbci/runs").iterdir())
    done = nbci("blame", metric, first, *options, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    shares = [share["share"] for share in document.get("shares", ())]
    total = document["after_value"] - document["before_value"]
    assert math.isclose(math.fsum((*shares, document.get("unexplained", 0))), total, abs_tol=1e-9)
    return document


def shares_of(document: dict[str, Any]) -> dict[str, float]:
    return {share["name"]: share["share"] for share in document.get("shares", ())}


def files_of_the_user(folder: Path) -> dict[str, tuple[int, bytes]]:
    """The project's files, less DVC's cache, which keeps what runs make."""
    state = state_of(folder)
    return {path: found for path, found in state.items() if not path.startswith(".dvc/")}


def test_one_data_file(project: Console) -> None:
    (project.cwd / "data.csv").write_text("1\n9\n")
    second(project)
    before = state_of(project.cwd)

    document = blamed(project)

    assert shares_of(document) == {"data.csv": 7.0}
    # Both ends are results of the two runs: nothing had to run.
    assert document.get("step_runs", 0) == 0
    assert state_of(project.cwd) == before
    assert list((project.cwd / ".nbci/workspaces").iterdir()) == []


def test_one_cell(project: Console, make_notebook: MakeNotebook) -> None:
    make_notebook("n.ipynb", cells(train="model = sum(rows) * C + 1"))
    second(project)

    assert shares_of(blamed(project)) == {"n.ipynb cell 3": 1.0}


def test_a_parameter_by_option_and_by_its_cell(
    project: Console, make_notebook: MakeNotebook
) -> None:
    second(project, "-p", "C=2.0")
    by_option = blamed(project)
    make_notebook("n.ipynb", cells(c="3.0"))
    second(project)
    by_cell = blamed(project)

    assert shares_of(by_option) == {"parameter C": 3.0}
    assert shares_of(by_cell) == {"parameter C": 6.0}
    assert by_cell.get("step_runs", 0) == 0


def test_one_module_and_what_cannot_have_an_effect(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    (nbci.cwd / ".gitignore").write_text(".nbci\n__pycache__\n")
    (nbci.cwd / "data.csv").write_text("1\n2\n")
    (nbci.cwd / "lib.py").write_text("ADDED = 1\n")
    uses_lib = cells(c="1.0\nUNUSED = 1", score="model + ADDED")
    uses_lib.insert(1, ("imports", "from lib import ADDED"))
    make_notebook("n.ipynb", uses_lib)
    commit_all(nbci.cwd)
    run(nbci, "n.ipynb")
    # Of the same size, so that only its time tells a compiled module from the other.
    (nbci.cwd / "lib.py").write_text("ADDED = 5\n")
    second(nbci, "-p", "UNUSED=2")

    document = blamed(nbci)

    assert shares_of(document) == {"lib.py": 4.0, "parameter UNUSED": 0.0}
    assert document["shares"][1]["reason"] == "step evaluate does not depend on it"


def test_two_that_interact(project: Console, make_notebook: MakeNotebook) -> None:
    (project.cwd / "data.csv").write_text("1\n3\n")
    make_notebook("n.ipynb", cells(c="2.0"))
    second(project)

    document = blamed(project)

    # 3 → 8: the data alone brings 1, the parameter alone 3, and both together 1 more.
    assert shares_of(document) == {"parameter C": 3.5, "data.csv": 1.5}
    assert document["interactions"] == 1.0
    assert document["strongest"] == {"parts": ["data.csv", "parameter C"], "change": 1.0}
    text = project("blame", "evaluate:score", document["before"]).stdout
    assert "evaluate:score: 3 → 8, +5" in text
    assert "+1 of this is what changes do together, beyond each alone" in text
    assert "0 step runs" in text


def test_cells_that_come_and_go(project: Console, make_notebook: MakeNotebook) -> None:
    changed = cells()
    changed.insert(3, ("", "model = model + 4"))
    make_notebook("n.ipynb", changed)
    second(project)
    added = blamed(project)
    make_notebook("n.ipynb", cells(train="model = sum(rows) * C"))
    middle = run(project, "n.ipynb")
    runs = json.loads(project("runs", "--json").stdout)
    done = project("blame", "score", runs[1]["run"], middle, "--json")

    assert shares_of(added) == {"n.ipynb cell 4 (added)": 4.0}
    assert done.returncode == 0, done.stderr
    assert shares_of(json.loads(done.stdout)) == {"n.ipynb cell 4 (removed)": -4.0}


def test_cells_that_only_work_together(project: Console, make_notebook: MakeNotebook) -> None:
    (project.cwd / "data.csv").write_text("1\n3\n")
    make_notebook("n.ipynb", cells(train="fitted = sum(rows) * C + 1", score="fitted * 2"))
    second(project)

    document = blamed(project)

    joined = document["shares"][0]
    assert joined["name"] == "n.ipynb cell 3 + n.ipynb cell 4"
    assert joined["kind"] == "several"
    assert joined["reason"] == "they only work together"
    # 3 → 10: the data alone 1, the cells alone 5, together 7.
    assert shares_of(document) == {joined["name"]: 5.5, "data.csv": 1.5}
    problems = [hybrid["problem"] for hybrid in document["hybrids"] if "problem" in hybrid]
    assert any("model" in problem or "fitted" in problem for problem in problems)


def test_many_parts_are_searched(nbci: Console, make_notebook: MakeNotebook) -> None:
    names = [f"p{number}" for number in range(9)]

    def notebook(changed: bool) -> Cells:
        values = []
        for number, name in enumerate(names):
            # Only two of them move the metric by much.
            value = {3: 100, 7: 50}.get(number, 1) if changed else 0
            values.append(f"{name} = {value}")
        return [
            ("parameters", "\n".join(values)),
            ("step:evaluate", f"score = {' + '.join(names)}"),
            ("pipeline-metrics", "print(score)"),
        ]

    make_notebook("n.ipynb", notebook(changed=False))
    commit_all(nbci.cwd)
    run(nbci, "n.ipynb")
    make_notebook("n.ipynb", notebook(changed=True))
    second(nbci)

    first = json.loads(nbci("runs", "--json").stdout)[1]["run"]
    refused = nbci("blame", "score", first, "--limit", "4")
    document = blamed(nbci)

    assert refused.returncode == 2
    assert "after 4 that ran" in refused.stderr
    assert "9 parts differ: those that explain most are searched for first" in refused.stderr
    shares = shares_of(document)
    assert shares["parameter p3"] == 100
    assert shares["parameter p7"] == 50
    assert shares["parameter p0 + 6 other parts"] == 7
    assert len(document["hybrids"]) < 40


def test_it_says_beforehand_what_it_takes_and_asks(
    project: Console, make_notebook: MakeNotebook
) -> None:
    (project.cwd / "data.csv").write_text("1\n3\n")
    make_notebook("n.ipynb", cells(c="2.0", score="model + 1"))
    second(project)
    first = json.loads(project("runs", "--json").stdout)[1]["run"]

    refused = project("blame", "score", first, "--limit", "3")
    none_left = list((project.cwd / ".nbci/runs").glob("*/runs/*"))
    allowed = project("blame", "score", first, "--limit", "9")
    again = project("blame", "score", first, "--limit", "1")

    assert refused.returncode == 2
    assert "8 hybrids: at most 8 of 24 step runs are needed, the rest is kept" in refused.stderr
    assert "without --yes, 3 may run" in refused.stderr
    assert "--limit N" in refused.stderr
    assert none_left == []
    assert allowed.returncode == 0, allowed.stderr
    # What was computed is kept.
    assert again.returncode == 0, again.stderr
    assert "0 step runs" in again.stdout


def test_data_that_is_gone_is_named(project: Console) -> None:
    git(project.cwd, "rm", "-q", "--cached", "data.csv")
    (project.cwd / ".gitignore").write_text(".nbci\ndata.csv\n")
    first = second(project)
    (project.cwd / "data.csv").write_text("5\n5\n")
    second(project, "-p", "C=2.0")

    # The first run's result stands in the cache: without it, it could not be told what it gave.
    done = project("blame", "score", first, "--yes", "--json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["untried"] == [f"data.csv: what run {first} used is no longer kept"]
    assert shares_of(document) == {"parameter C": 10.0}
    assert document["unexplained"] == 7.0


def test_data_that_dvc_tracks(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_repository(nbci.cwd)
    (nbci.cwd / "data.csv").write_text("1\n2\n")
    dvc(nbci.cwd, "add", "-q", "data.csv")
    make_notebook("n.ipynb", cells())
    commit_all(nbci.cwd)
    run(nbci, "n.ipynb")
    (nbci.cwd / "data.csv").unlink()
    (nbci.cwd / "data.csv").write_text("1\n5\n")
    dvc(nbci.cwd, "add", "-q", "data.csv")
    make_notebook("n.ipynb", cells(c="2.0"))
    second(nbci)
    (nbci.cwd / "data.csv").unlink()

    document = blamed(nbci)

    assert shares_of(document) == {"data.csv": 4.5, "parameter C": 4.5}
    assert not (nbci.cwd / "data.csv").exists()


def test_nothing_to_find(project: Console) -> None:
    runs = run(project, "n.ipynb", "--force")

    done = project("blame", "score", "latest", runs)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "evaluate:score is 3 in both runs: there is nothing to share out\n"


def test_chance_is_no_part(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_notebook(
        "n.ipynb",
        [
            ("step:evaluate", "import os\nscore = int.from_bytes(os.urandom(6), 'big')"),
            ("pipeline-metrics", "print(score)"),
        ],
    )
    first = run(nbci, "n.ipynb")
    run(nbci, "n.ipynb", "--force")

    done = nbci("blame", "score", first)

    assert done.returncode == 0, done.stderr
    assert "not explained" in done.stdout
    assert "it comes of chance, or of what nbci does not see" in done.stdout


def test_cells_that_were_never_committed_come_of_the_plans(
    project: Console, make_notebook: MakeNotebook
) -> None:
    edited = cells(train="model = sum(rows) * C + 1")
    edited.insert(3, ("", "model = model * 1"))
    make_notebook("n.ipynb", edited)
    middle = run(project, "n.ipynb")
    make_notebook("n.ipynb", cells(train="model = sum(rows) * C + 2", score="model * 2"))
    run(project, "n.ipynb")
    # Neither is left: it was edited once more.
    make_notebook("n.ipynb", cells(train="model = 0"))

    done = project("blame", "score", middle, "--json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    shares = shares_of(document)
    assert "untried" not in document
    # 4 → 10: alone +1 and +4, together 1 more, which are shared.
    assert shares == {
        "n.ipynb cell 4": 4.5,
        "n.ipynb cell 3": 1.5,
        "n.ipynb cell 4 (removed)": 0.0,
    }


def test_code_that_cannot_be_put_together_is_named(
    project: Console, make_notebook: MakeNotebook
) -> None:
    functions = [*cells(score="weigh(model)")]
    functions.insert(1, ("functions", "def weigh(value):\n    return value * 5"))
    make_notebook("n.ipynb", functions)
    first = run(project, "n.ipynb")
    functions[1] = ("functions", "def weigh(value):\n    return value * 7")
    make_notebook("n.ipynb", functions)
    run(project, "n.ipynb", "-p", "C=2.0")

    done = project("blame", "score", first, "--json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    sentence = f"step evaluate of run {first} is not planned as it was then"
    assert document["untried"] == [sentence]
    # 15 → 42: with the function as it is now, the parameter brings 21.
    assert shares_of(document) == {"parameter C": 21.0}
    assert document["unexplained"] == 6.0


def test_wrong_names_and_runs(project: Console, make_notebook: MakeNotebook) -> None:
    make_notebook("other.ipynb", [("step:a", "x = 1"), ("pipeline-metrics", "print(x)")])
    first = json.loads(project("show", "--json").stdout)["run"]
    other = run(project, "other.ipynb")
    make_notebook("failing.ipynb", [("step:a", "1 / 0")])
    project("run", "failing.ipynb")
    make_notebook("n.ipynb", cells(score="float('nan')"))
    run(project, "n.ipynb")

    unknown = project("blame", "scroe", first, other)
    unlike = project("blame", "score", first, other)
    nan = project("blame", "score", first)
    nobody = project("blame", "score", "nobody@v1.0.0")

    assert "did you mean 'evaluate:score'?" in unknown.stderr or unknown.returncode == 2
    assert "name two runs of one pipeline" in unlike.stderr
    assert "is nan, which cannot be shared out" in nan.stderr
    assert "there is no run 'nobody@v1.0.0'" in nobody.stderr
    assert {unknown.returncode, unlike.returncode, nan.returncode, nobody.returncode} == {2}


def test_a_revision_names_its_run(project: Console) -> None:
    git(project.cwd, "tag", "before")
    (project.cwd / "data.csv").write_text("1\n9\n")
    second(project)

    done = project("blame", "score", "before", "HEAD", "--json")
    git(project.cwd, "commit", "-q", "--allow-empty", "-m", "later")
    without_run = project("blame", "score", "HEAD")

    assert done.returncode == 0, done.stderr
    assert shares_of(json.loads(done.stdout)) == {"data.csv": 7.0}
    assert without_run.returncode == 2
    assert "no run of HEAD" in without_run.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_was_interrupted_goes_on(
    project: Console, make_notebook: MakeNotebook, number: signal.Signals
) -> None:
    flag = project.cwd.parent / "go"
    flag.touch()
    wait = (
        f"import os, time\nopen({str(flag) + '.began'!r}, 'a').write('x')\n"
        f"while not os.path.exists({str(flag)!r}): time.sleep(0.05)\n"
    )
    make_notebook("n.ipynb", cells(score=f"model\n{wait}"))
    first = second(project)
    (project.cwd / "data.csv").write_text("1\n3\n")
    second(project, "-p", "C=2.0")
    flag.unlink()
    began = flag.with_name("go.began")
    began.unlink()

    process = project.start("blame", "score", first, "--yes")
    wait_for(began.exists, "a hybrid")
    busy = project("blame", "score", first)
    process.send_signal(number)
    process.communicate(timeout=60)
    flag.touch()
    again = project("blame", "score", first, "--yes")

    assert busy.returncode == 2
    assert "is in use" in busy.stderr
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert again.returncode == 0, again.stderr
    assert "parameter C" in again.stdout
    assert list((project.cwd / ".nbci/workspaces").iterdir()) == []


def test_hybrids_belong_to_the_later_run(project: Console, make_notebook: MakeNotebook) -> None:
    (project.cwd / "data.csv").write_text("1\n3\n")
    make_notebook("n.ipynb", cells(c="2.0"))
    later = second(project)
    document = blamed(project)

    listed = json.loads(project("runs", "--json").stdout)
    belonging = json.loads(project("runs", "--of", later, "--json").stdout)
    folder = project.cwd / ".nbci/runs" / later

    assert len(listed) == 2
    assert {row["role"] for row in belonging} == {"hybrid"}
    runs = {hybrid["run"] for hybrid in document["hybrids"] if "run" in hybrid}
    assert runs == {row["run"] for row in belonging}
    assert json.loads((folder / "blame.json").read_bytes())["blames"] == [document]
    shown = project("show", later).stdout
    assert f"why it moved since run {document['before']}" in shown
    assert "+1 of this is what changes do together" in shown
    page = (folder / "report/index.html").read_text("utf-8")
    assert "Why it moved" in page
    assert "parameter C" in page
    shutil.rmtree(folder / "runs")
    assert shares_of(blamed(project)) == shares_of(document)


_PIPELINE = """\
pipeline: p
params: {bias: BIAS}
steps:
  train:
    notebook: train.ipynb
    params: {bias: "${bias}"}
    deps: [train.csv.dvc]
    outs: [model.json]
  evaluate: {notebook: evaluate.py, after: [train], deps: [cases, model.json, lib/score.py]}
"""
_EVALUATE = """\
# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %%
import json, pathlib, sys
sys.path.insert(0, "lib")
import score

# %%
model = json.load(open("model.json"))
total = sum(float(path.read_text()) for path in pathlib.Path("cases").iterdir()) * FACTOR
result = score.of(model, total)

# %% tags=["metrics"]
print(result)
"""


def write_pipeline(nbci: Console, make_notebook: MakeNotebook, *, bias: int, scale: int) -> None:
    """A pipeline file of two notebooks, with data under DVC, data in git, and a module."""
    (nbci.cwd / "p.yaml").write_text(_PIPELINE.replace("BIAS", str(bias)))
    train = f"model = sum(map(float, open('train.csv'))) + bias * {scale}"
    make_notebook(
        "train.ipynb",
        [
            ("parameters", "bias = 0"),
            "import json",
            train,
            "json.dump(model, open('model.json', 'w'))",
        ],
    )
    (nbci.cwd / "evaluate.py").write_text(_EVALUATE.replace("FACTOR", str(scale)))
    (nbci.cwd / "lib").mkdir(exist_ok=True)
    (nbci.cwd / "lib/score.py").write_text(
        f"def of(model, total): return model + total + {scale}\n"
    )
    (nbci.cwd / "cases").mkdir(exist_ok=True)
    (nbci.cwd / "cases/a.txt").write_text(f"{scale}\n")
    (nbci.cwd / "cases/b.txt").write_text("1\n")
    (nbci.cwd / "train.csv").unlink(missing_ok=True)
    (nbci.cwd / "train.csv").write_text(f"1\n{scale}\n")
    dvc(nbci.cwd, "add", "-q", "train.csv")


def test_a_pipeline_file_with_data_in_dvc_and_in_git(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_repository(nbci.cwd)
    (nbci.cwd / ".gitignore").write_text(".nbci\n__pycache__\nmodel.json\ntrain.csv\n")
    write_pipeline(nbci, make_notebook, bias=1, scale=1)
    commit_all(nbci.cwd)
    first = run(nbci, "p.yaml")
    write_pipeline(nbci, make_notebook, bias=2, scale=2)
    commit_all(nbci.cwd)
    later = run(nbci, "p.yaml")
    # Whatever is checked out by now.
    shutil.rmtree(nbci.cwd / "cases")
    (nbci.cwd / "lib/score.py").write_text("1 / 0\n")
    before = files_of_the_user(nbci.cwd)

    done = nbci("blame", "result", first, later, "--yes", "--json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    values = document["before_value"], document["after_value"]
    # 1 + 1 + 1·1 and (1 + 1)·1 and 1; 1 + 2 + 2·2 and (2 + 1)·2 and 2.
    assert values == (6.0, 15.0)
    assert "untried" not in document
    assert document.get("unexplained", 0) == 0
    shares = shares_of(document)
    assert shares == {
        "train.csv": 1.0,
        "cases": 1.5,
        "lib/score.py": 1.0,
        "evaluate.py cell 2": 2.5,
        "train.ipynb cell 3": 1.5,
        "parameter bias": 1.5,
        "p.yaml": 0.0,
    }
    assert files_of_the_user(nbci.cwd) == before


def test_a_release_names_its_run(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_project(nbci.cwd, make_notebook)
    promoted(nbci)
    make_the_data_harder(nbci.cwd)
    commit_all(nbci.cwd)
    run(nbci, "p.yaml", "--no-gate")

    done = nbci("blame", "accuracy", "digits@v1.0.0", "--json")

    assert done.returncode == 0, done.stderr
    assert shares_of(json.loads(done.stdout)) == {"test.csv": -0.5}


def test_a_step_that_has_another_name(project: Console, make_notebook: MakeNotebook) -> None:
    renamed = [*cells()]
    renamed[3] = ("step:measure", "score = model + 2")
    make_notebook("n.ipynb", renamed)
    second(project)

    assert shares_of(blamed(project)) == {"n.ipynb cell 4": 2.0}


def test_what_one_hybrid_writes_is_not_there_for_the_next(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    def notebook(*, first: int, factor: int) -> Cells:
        return [
            ("step:write", f"open('left.txt', 'w').write('{first}')\nx = 1"),
            ("step:evaluate", f"score = int(open('left.txt').read()) * {factor}"),
            ("pipeline-metrics", "print(score)"),
        ]

    (nbci.cwd / ".gitignore").write_text(".nbci\nleft.txt\n")
    make_notebook("n.ipynb", notebook(first=1, factor=1))
    commit_all(nbci.cwd)
    run(nbci, "n.ipynb")
    make_notebook("n.ipynb", notebook(first=3, factor=5))
    second(nbci)

    # 1 → 15: alone 2 and 4, and 8 together.
    assert shares_of(blamed(nbci)) == {"n.ipynb cell 2": 8.0, "n.ipynb cell 1": 6.0}


def test_packages_of_a_lock_file(nbci: Console, make_notebook: MakeNotebook) -> None:
    for version in ("1.0", "2.0"):
        make_wheel(nbci.cwd / "wheels", "tiny", version, {"tiny.py": f"VERSION = {version}\n"})
    make_ipykernel_wheel(nbci.cwd / "wheels")
    make_notebook("n.ipynb", ["import tiny\nscore = tiny.VERSION", ("metrics", "print(score)")])
    text = "pipeline: p\nsteps: {n: {notebook: n.ipynb, environment: r.lock}}\n"
    (nbci.cwd / "p.yaml").write_text(text)
    runs = []
    for version in ("1.0", "2.0"):
        lines = ("--no-index", "--find-links wheels", "ipykernel==1.0", f"tiny=={version}")
        (nbci.cwd / "r.lock").write_text("\n".join(lines) + "\n")
        commit_all(nbci.cwd)
        runs.append(run(nbci, "p.yaml"))

    done = nbci("blame", "score", *runs, "--json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["shares"] == [
        {"name": "r.lock", "kind": "packages", "share": 1.0, "alone": 1.0, "last": 1.0}
    ]
    assert "untried" not in document


def test_data_of_other_steps_need_not_be_kept(nbci: Console, make_notebook: MakeNotebook) -> None:
    (nbci.cwd / "later.txt").write_text("1")
    make_notebook(
        "n.ipynb",
        [
            ("parameters", "C = 1.0"),
            ("step:evaluate", "score = C * 2"),
            ("metrics", "print(score)"),
            ("step:later in:later.txt", "late = open('later.txt').read()"),
        ],
    )
    first = run(nbci, "n.ipynb")
    (nbci.cwd / "later.txt").write_text("2")
    later = run(nbci, "n.ipynb", "-p", "C=2.0")
    (nbci.cwd / "later.txt").write_text("3")

    done = nbci("blame", "evaluate:score", first, later, "--json")

    assert done.returncode == 0, done.stderr
    assert shares_of(json.loads(done.stdout)) == {"parameter C": 2.0}
    (nbci.cwd / "later.txt").unlink()
    assert nbci("blame", "evaluate:score", first, later).returncode == 0


def test_data_that_was_overwritten_twice_is_refused(project: Console) -> None:
    git(project.cwd, "rm", "-q", "--cached", "data.csv")
    (project.cwd / ".gitignore").write_text(".nbci\ndata.csv\n")
    (project.cwd / "data.csv").write_text("4\n")
    first = second(project)
    (project.cwd / "data.csv").write_text("5\n")
    second(project)
    (project.cwd / "data.csv").write_text("6\n")

    done = project("blame", "score", first)

    assert done.returncode == 2
    assert "data.csv differs between the runs, and neither content is kept" in done.stderr
    assert "data that DVC tracks" in done.stderr
