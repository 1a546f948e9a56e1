"""Baselines whose model is measured again, on the data of the run that is judged."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_prove import commit_all, git, state_of
from tests.support.console import Console
from tests.support.dvc import dvc, make_repository
from tests.support.notebooks import write_notebook
from tests.support.processes import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook

_PIPELINE = """\
pipeline: digits
params: {bias: 0.0}
steps:
  train: {notebook: train.ipynb, params: {bias: "${bias}"}, deps: [train.csv], outs: [model.json]}
  evaluate:
    notebook: evaluate.ipynb
    after: [train]
    deps: [test.csv, model.json]
    predictions: cases.csv
metrics:
  accuracy: {direction: up}
gates:
  - {metric: accuracy, baseline: BASELINE, max_drop: 0.05REMEASURE}
models:
  digits: {path: model.json, evaluate: EVALUATE, branches: [main]}
"""
_TRAIN = (
    "import csv, json\n"
    "cut = max(float(row[0]) for row in csv.reader(open('train.csv')) if row[1] == 'a') + bias\n"
    "json.dump({'cut': cut}, open('model.json', 'w'))"
)
_EVALUATE = (
    "import csv, json\n"
    "cut = json.load(open('model.json'))['cut']\n"
    "rows = [(float(x), label) for x, label in csv.reader(open('test.csv'))]\n"
    "right = [(('a' if x <= cut else 'b') == label) for x, label in rows]\n"
    "accuracy = sum(right) / len(right)\n"
    "with open('cases.csv', 'w') as file:\n"
    "    print('label,prediction', file=file)\n"
    "    for x, label in rows:\n"
    "        print(label, 'a' if x <= cut else 'b', sep=',', file=file)"
)


def make_project(
    root: Path,
    make_notebook: MakeNotebook,
    *,
    baseline: str = "champion",
    remeasure: str = "",
    evaluate: str = "evaluate",
    code: str = _EVALUATE,
) -> None:
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    (root / ".gitignore").write_text(".nbci\nmodel.json\ncases.csv\n__pycache__\n")
    (root / "train.csv").write_text("1,a\n2,a\n3,b\n")
    easy = "".join(f"{x},{'a' if x <= 2 else 'b'}\n" for x in range(10))
    (root / "test.csv").write_text(easy)
    make_notebook("train.ipynb", [("parameters", "bias = 0.0"), _TRAIN])
    make_notebook("evaluate.ipynb", [code, ("metrics", "print(accuracy)")])
    text = _PIPELINE.replace("BASELINE", baseline).replace("EVALUATE", evaluate)
    if remeasure:
        remeasure = f", remeasure: {remeasure}"
    (root / "p.yaml").write_text(text.replace("REMEASURE", remeasure))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a first version, to be copied: to release one takes DVC some seconds."""
    root = tmp_path_factory.mktemp("released") / "project"
    root.mkdir()
    make_project(root, lambda path, cells, **_: write_notebook(root / path, cells))
    promoted(Console(root))
    return root


def copy_released(
    released: Path, nbci: Console, make_notebook: MakeNotebook, **options: str
) -> None:
    """Copy the released project here, and write the files of `make_project` with these options."""
    shutil.copytree(released, nbci.cwd, symlinks=True, dirs_exist_ok=True)
    make_project(nbci.cwd, make_notebook, **options)


def promoted(nbci: Console) -> None:
    """Release the newest run as the first version."""
    root = nbci.cwd
    make_repository(root)
    dvc(root, "remote", "add", "--default", "store", f"{root}-remote")
    git(root, "checkout", "-q", "-B", "main")
    commit_all(root)
    done = nbci("run", "p.yaml")
    assert done.returncode == 0, done.stderr
    git(root, "config", "user.name", "n")
    git(root, "config", "user.email", "n@example.com")
    done = nbci("promote", "latest", "--no-push")
    assert done.returncode == 0, done.stderr


def judged(nbci: Console, *options: str) -> tuple[int, dict[str, Any]]:
    done = nbci("run", "p.yaml", "--json", *options)
    document: dict[str, Any] = json.loads(done.stdout)
    assert document.get("verdict"), done.stderr
    return done.returncode, document


def make_the_data_harder(root: Path) -> None:
    """Half of the cases become ones that no model of this kind can tell."""
    hard = "".join(f"{x},{'b' if x <= 2 else 'a'}\n" for x in range(10))
    (root / "test.csv").write_text((root / "test.csv").read_text() + hard)


def test_the_recorded_value_misleads_where_the_data_moved_and_the_model_is_measured_again(
    released: Path, nbci: Console, make_notebook: MakeNotebook
) -> None:
    copy_released(released, nbci, make_notebook)
    make_the_data_harder(nbci.cwd)
    before = state_of(nbci.cwd)
    # The run itself writes its outs.
    del before["cases.csv"], before["model.json"]

    code, shown = judged(nbci)
    gate = shown["verdict"]["gates"][0]
    assert (code, gate["result"], gate["found"]) == (0, "passed", 0.5)
    assert (gate["baseline"], gate["remeasured"], gate["recorded"]) == (0.5, 0.5, 1.0)
    report = nbci.cwd / ".nbci/runs" / shown["run"] / "report"
    assert "20 cases: 0 fixed, 0 broken" in (report / "summary.md").read_text()
    page = (report / "index.html").read_text()
    assert "both predicted on the data of this run" in page
    assert "measured again on this run&#x27;s data (recorded: 1)" in page
    assert "measured again; recorded: 1" in page
    assert state_of(nbci.cwd).items() >= before.items()

    (nbci.cwd / "p.yaml").write_text(
        (nbci.cwd / "p.yaml").read_text().replace("max_drop: 0.05", "max_drop: 0.05, remeasure: no")
    )
    code, shown = judged(nbci)
    gate = shown["verdict"]["gates"][0]
    assert (code, gate["result"], gate["baseline"]) == (3, "failed", 1.0)
    assert "remeasured" not in gate


def gate_of(shown: dict[str, Any]) -> dict[str, Any]:
    gate: dict[str, Any] = shown["verdict"]["gates"][0]
    return gate


def remeasured_runs(root: Path) -> list[Path]:
    return sorted(root.glob(".nbci/runs/*/runs/*"))


def test_what_was_measured_is_kept_by_its_key(
    released: Path, nbci: Console, make_notebook: MakeNotebook
) -> None:
    copy_released(released, nbci, make_notebook)
    make_the_data_harder(nbci.cwd)
    judged(nbci, "-p", "bias=1.0")
    (first,) = remeasured_runs(nbci.cwd)

    # Another model, and still the same champion on the same data.
    _, shown = judged(nbci, "-p", "bias=0.5")
    assert gate_of(shown)["remeasured"] == 0.5
    # The run's own model is the champion: what its own step measured stands.
    _, shown = judged(nbci)
    assert gate_of(shown)["remeasured"] == 0.5
    assert remeasured_runs(nbci.cwd) == [first]

    done = nbci("run", "p.yaml", "-p", "bias=1.0")
    assert "2 reused" in done.stdout
    assert "measured again on this run's data" in done.stdout
    done = nbci("runs", "--of", first.parents[1].name)
    assert first.name in done.stdout


@pytest.mark.parametrize(("remeasure", "code"), [("", 3), ("required", 3), ("no", 3)])
def test_where_the_step_fails_with_its_files_the_recorded_value_counts(
    released: Path, nbci: Console, make_notebook: MakeNotebook, remeasure: str, code: int
) -> None:
    copy_released(released, nbci, make_notebook, remeasure=remeasure)
    make_the_data_harder(nbci.cwd)
    make_notebook("train.ipynb", [("parameters", "bias = 0.0"), _TRAIN.replace("'cut'", "'edge'")])
    new = _EVALUATE.replace("['cut']", "['edge']")
    make_notebook("evaluate.ipynb", [new, ("metrics", "print(accuracy)")])

    got, shown = judged(nbci)
    gate = gate_of(shown)
    assert (got, gate["baseline"]) == (code, 1.0)
    if remeasure == "no":
        assert "not_remeasured" not in gate
        return
    why = "step evaluate fails with its files: KeyError: 'edge'"
    assert gate["not_remeasured"] == why
    if remeasure == "required":
        assert gate["reason"] == f"it must be measured again, and {why}"
    else:
        assert gate["reason"] == "misses by 0.45"


def test_files_of_a_release_come_from_its_remote_and_are_missed_by_name(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook)
    promoted(nbci)
    make_the_data_harder(nbci.cwd)
    make_notebook("train.ipynb", [("parameters", "bias = 0.0"), f"# other\n{_TRAIN}; bias"])
    digest = hashlib.md5((nbci.cwd / "model.json").read_bytes()).hexdigest()

    def forget(folder: Path) -> None:
        for place in folder.rglob(digest[2:]):
            if place.parent.name == digest[:2]:
                place.unlink()

    forget(nbci.cwd / ".dvc")
    _, shown = judged(nbci, "-p", "bias=1.0")
    assert gate_of(shown)["remeasured"] == 0.5

    forget(nbci.cwd / ".dvc")
    forget(nbci.cwd.parent / f"{nbci.cwd.name}-remote")
    code, shown = judged(nbci, "-p", "bias=0.5")
    gate = gate_of(shown)
    assert (code, gate["baseline"], gate["recorded"]) == (3, 1.0, 1.0)
    assert "the release lacks something" in gate["not_remeasured"]


def test_another_signature_is_told(nbci: Console, make_notebook: MakeNotebook) -> None:
    signature = (
        "signature: {inputs: [{name: x, dtype: float64, shape: [WIDE]}], outputs: []}, evaluate"
    )
    make_project(nbci.cwd, make_notebook)
    text = (nbci.cwd / "p.yaml").read_text().replace("evaluate: evaluate", signature + ": evaluate")
    (nbci.cwd / "p.yaml").write_text(text.replace("WIDE", "1"))
    promoted(nbci)
    (nbci.cwd / "p.yaml").write_text(text.replace("WIDE", "2"))
    _, shown = judged(nbci)
    why = "its signature is another: it has x: float64[1] where x: float64[2] is declared"
    assert gate_of(shown)["not_remeasured"] == why


def test_a_step_that_writes_into_the_checkout_is_noticed(
    released: Path, nbci: Console, make_notebook: MakeNotebook
) -> None:
    place = nbci.cwd / "seen.txt"
    code = f"{_EVALUATE}\nopen({str(place)!r}, 'a').write('x')"
    copy_released(released, nbci, make_notebook, code=code)
    make_the_data_harder(nbci.cwd)
    _, shown = judged(nbci, "-p", "bias=1.0")
    assert "seen.txt" in gate_of(shown)["not_remeasured"]
    assert gate_of(shown)["baseline"] == 1.0


def test_a_run_and_a_revision_are_measured_again_too(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook, baseline="run:latest")
    commit_all(nbci.cwd)
    code, shown = judged(nbci)
    assert (code, gate_of(shown)["result"]) == (0, "passed")
    first = shown["run"]
    make_the_data_harder(nbci.cwd)
    code, shown = judged(nbci)
    gate = gate_of(shown)
    assert (code, gate["remeasured"], gate["recorded"]) == (0, 0.5, 1.0)
    assert f"baseline: run {first}, measured again" in nbci("show").stdout

    text = (nbci.cwd / "p.yaml").read_text().replace("run:latest", "rev:HEAD")
    (nbci.cwd / "p.yaml").write_text(text)
    _, shown = judged(nbci)
    assert (gate_of(shown)["remeasured"], gate_of(shown)["recorded"]) == (0.5, 1.0)


def test_a_run_is_judged_again_with_the_code_of_its_commit(
    released: Path, nbci: Console, make_notebook: MakeNotebook
) -> None:
    copy_released(released, nbci, make_notebook, baseline="file:none.json")
    text = (nbci.cwd / "p.yaml").read_text().replace("file:none.json", "champion")
    (nbci.cwd / "p.yaml").write_text(text)
    make_the_data_harder(nbci.cwd)
    commit_all(nbci.cwd)
    _, shown = judged(nbci)
    assert gate_of(shown)["remeasured"] == 0.5
    make_notebook("evaluate.ipynb", ["accuracy = 0.1", ("metrics", "print(accuracy)")])
    (nbci.cwd / "test.csv").write_text("1,a\n")
    done = nbci("gate", shown["run"], "--json")
    assert done.returncode == 0, done.stderr
    assert gate_of(json.loads(done.stdout)) == gate_of(shown)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"evaluate": "evalute"},
            "p.yaml, line 15, column 40: model digits is measured by evalute, but there",
        ),
        (
            {"evaluate": "train"},
            "step train measures model digits, but has none of its files as `deps`\n",
        ),
        (
            {"baseline": "file:a.json", "remeasure": "required"},
            "`remeasure: required`, but file:a.json has no files of a model",
        ),
        ({"remeasure": "maybe"}, "remeasure"),
    ],
)
def test_mistakes_are_named_before_anything_runs(
    nbci: Console, make_notebook: MakeNotebook, changes: dict[str, str], message: str
) -> None:
    make_project(nbci.cwd, make_notebook, **changes)
    done = nbci("plan", "p.yaml")
    assert done.returncode == 2
    assert message in done.stderr


def test_a_stage_measures_where_a_run_is_carried_out_in_parts(
    released: Path, nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    copy_released(released, nbci, make_notebook)
    text = (nbci.cwd / "p.yaml").read_text()
    (nbci.cwd / "p.yaml").write_text(
        text.replace("after: [train]", "after: [train]\n    agent: big")
    )
    make_the_data_harder(nbci.cwd)
    done = nbci("plan", "p.yaml", "--out", "plan.json", "--format", "jenkins")
    lines = [line.split("\t") for line in done.stdout.splitlines() if line.startswith("stage")]
    assert [line[1:6] for line in lines] == [
        ["1", "train", "", "", ""],
        ["2", "evaluate", "big", "1", "1"],
        ["3", "evaluate, with the files of the baseline", "big", "1", "1"],
    ]
    # Each stage has a store of its own, as on machines that share nothing.
    for number, *_, needs in [line[1:6] for line in lines]:
        bring = tmp_path / f"bring-{number}"
        bring.mkdir()
        for other in filter(None, needs.split(",")):
            shutil.copytree(tmp_path / f"left-{other}", bring / other)
        done = nbci(
            *("step", "--plan", "plan.json", "--stage", number, "--bring", bring),
            *("--store", tmp_path / f"store-{number}", "--leave", tmp_path / f"left-{number}"),
        )
        assert done.returncode == 0, done.stdout + done.stderr
    finishing = ("finish", "--plan", "plan.json", "--json", "--store")
    everything = tmp_path / "everything"
    for number in "123":
        shutil.copytree(tmp_path / f"left-{number}", everything / number)
    done = nbci(*finishing, tmp_path / "store", "--bring", everything)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = json.loads(done.stdout)
    gate = gate_of(shown)
    assert (gate["remeasured"], gate["recorded"], gate["result"]) == (0.5, 1.0, "passed")

    without = tmp_path / "without"
    for number in "12":
        shutil.copytree(tmp_path / f"left-{number}", without / number)
    done = nbci(*finishing, tmp_path / "other", "--bring", without)
    assert done.returncode == 3, done.stdout + done.stderr
    why = gate_of(json.loads(done.stdout))["not_remeasured"]
    assert why.startswith("step evaluate, which measures it, needs an agent with the label big")


def test_an_interrupted_measurement_leaves_the_run_to_be_judged(
    released: Path, nbci: Console, make_notebook: MakeNotebook
) -> None:
    copy_released(released, nbci, make_notebook)
    make_the_data_harder(nbci.cwd)
    waits = f"{_EVALUATE}\nimport os, time\nif 'workspaces' in os.getcwd(): time.sleep(60)"
    make_notebook("evaluate.ipynb", [waits, ("metrics", "print(accuracy)")])
    with nbci.start("run", "p.yaml", "-p", "bias=1.0") as process:
        wait_for(lambda: any(nbci.cwd.glob(".nbci/runs/*/runs/*/steps/evaluate")), "the step")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert json.loads(nbci("show", "--json").stdout).get("verdict") is None
    quick = waits.replace("60", "0")
    make_notebook("evaluate.ipynb", [quick, ("metrics", "print(accuracy)")])
    _, shown = judged(nbci, "-p", "bias=1.0")
    assert gate_of(shown)["remeasured"] == 0.5


def test_a_change_from_a_fork_is_compared_with_the_files_of_the_release(
    released: Path, nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    copy_released(released, nbci, make_notebook)
    origin = tmp_path / "origin.git"
    git(nbci.cwd, "clone", "-q", "--bare", ".", str(origin))
    git(nbci.cwd, "remote", "add", "origin", str(origin))
    git(nbci.cwd, "fetch", "-q", "origin")
    git(nbci.cwd, "checkout", "-q", "-b", "change")
    make_the_data_harder(nbci.cwd)
    git(nbci.cwd, "commit", "-q", "-am", "harder")

    fork = {"CHANGE_ID": "7", "CHANGE_FORK": "stranger", "CHANGE_TARGET": "main"}
    done = nbci("run", "p.yaml", "--json", "-p", "bias=1.0", env=fork)
    assert done.returncode == 0, done.stderr
    gate = gate_of(json.loads(done.stdout))
    assert (gate["remeasured"], gate["recorded"]) == (0.5, 1.0)
    # What the stranger's code gave with the champion's files is kept apart from trusted results.
    _, shown = judged(nbci, "-p", "bias=1.0")
    first, second = remeasured_runs(nbci.cwd)
    assert gate_of(shown)["remeasured"] == 0.5
    assert first.parents[1] != second.parents[1]


def test_what_earlier_steps_made_and_do_not_keep_is_taken_from_the_checkout(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook)
    text = (nbci.cwd / "p.yaml").read_text()
    first = "  ingest: {notebook: ingest.ipynb, cache: disabled, outs: [test.csv, big.csv]}\n"
    text = text.replace("steps:\n", f"steps:\n{first}").replace("[train]", "[train, ingest]")
    (nbci.cwd / "p.yaml").write_text(text)
    rows = (nbci.cwd / "test.csv").read_text()
    (nbci.cwd / "test.csv").unlink()
    (nbci.cwd / ".gitignore").write_text(".nbci\nmodel.json\ncases.csv\ntest.csv\nbig.csv\n")
    code = "open('big.csv', 'w').write('big')\nopen('test.csv', 'w').write({!r})"
    make_notebook("ingest.ipynb", [code.format(rows)])
    promoted(nbci)

    (nbci.cwd / "test.csv").write_text(rows)
    make_the_data_harder(nbci.cwd)
    make_notebook("ingest.ipynb", [code.format((nbci.cwd / "test.csv").read_text())])
    _, shown = judged(nbci, "-p", "bias=1.0")
    assert gate_of(shown).get("not_remeasured") is None
    assert gate_of(shown)["remeasured"] == 0.5


def test_files_that_only_the_baseline_uses_are_watched(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    train = (
        "import json\njson.dump({'cut': 2, 'words': f'words{bias}.txt'}, open('model.json', 'w'))"
    )
    code = _EVALUATE.replace(
        "rows =", "more = open(json.load(open('model.json'))['words'])\nrows ="
    )
    code = code.replace("sum(right) /", "float(more.read()) * sum(right) /")
    make_project(nbci.cwd, make_notebook, code=code)
    make_notebook("train.ipynb", [("parameters", "bias = 0.0"), train])
    for words in ("words0.0.txt", "words1.0.txt"):
        (nbci.cwd / words).write_text("1")
    promoted(nbci)
    _, shown = judged(nbci, "-p", "bias=1.0")
    assert gate_of(shown)["remeasured"] == 1.0
    assert "2 reused" in nbci("run", "p.yaml", "-p", "bias=1.0").stdout

    (nbci.cwd / "words0.0.txt").write_text("3")
    done = nbci("run", "p.yaml", "-p", "bias=1.0")
    assert done.returncode == 3
    assert "misses by 1.95" in done.stdout
