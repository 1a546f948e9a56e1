"""Runs that are carried out again in a workspace of their own, and compared with the first."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.dvc import dvc, make_repository
from tests.support.processes import wait_for

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

# A search for causes takes seconds; tests/e2e/test_prove_cause.py has those: here it is left out.
_GIT = ("git", "-c", "user.name=n", "-c", "user.email=n@example.com")

_PREPARE = (
    "step:prepare in:data.csv",
    "import csv\nrows = [float(row[0]) for row in csv.reader(open('data.csv'))]",
)
_TRAIN = (
    "step:train out:model.json",
    (
        "import json, random\nrandom.seed(1)\n"
        "model = {'mean': sum(rows) / len(rows), 'noise': random.random()}\n"
        "json.dump(model, open('model.json', 'w'))"
    ),
)
_EVALUATE = ("step:evaluate", "error = max(abs(row - model['mean']) for row in rows)")
_METRICS = ("pipeline-metrics", "print(error)")
_SAMPLE = (_PREPARE, _TRAIN, _EVALUATE, _METRICS)


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [*_GIT, *words], cwd=folder, check=True, capture_output=True, encoding="utf-8"
    )
    return done.stdout.strip()


def commit_all(folder: Path) -> str:
    if not (folder / ".git").exists():
        git(folder, "init", "-q")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "all")
    return git(folder, "rev-parse", "HEAD")


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Each file of the user's with its time and content; what nbci and git keep is left out."""
    state = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and parts[0] not in {".nbci", ".git"}:
            state["/".join(parts)] = (path.stat().st_mtime_ns, path.read_bytes())
    return state


def run(nbci: Console, *arguments: str | Path) -> str:
    done = nbci("run", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["run"])


def proof_of(done: CompletedProcess[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def items_of(proof: dict[str, Any]) -> dict[str, str]:
    items = {}
    for step in proof["steps"]:
        for item in step.get("items", ()):
            items[f"{step['step']} {item['kind']} {item['name']}"] = item["agreement"]
    return items


@pytest.fixture
def sample(nbci: Console, make_notebook: MakeNotebook) -> Console:
    """A project in git whose notebook is reproducible, and has not run."""
    (nbci.cwd / "data.csv").write_text("1\n2\n6\n", encoding="utf-8")
    make_notebook("n.ipynb", _SAMPLE)
    (nbci.cwd / ".gitignore").write_text("model.json\n", encoding="utf-8")
    commit_all(nbci.cwd)
    return nbci


def test_a_run_is_reproduced_bit_for_bit(sample: Console) -> None:
    parent = run(sample, "n.ipynb")
    before = state_of(sample.cwd)

    done = sample("prove", "latest")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("reproduced bit for bit, ")
    assert "later: 3 steps, " in done.stdout
    assert "1 file, 1 metric" in done.stdout
    assert state_of(sample.cwd) == before
    assert list((sample.cwd / ".nbci/workspaces").iterdir()) == []
    folder = sample.cwd / ".nbci/runs" / parent
    (proof,) = folder.glob("runs/*/proof.json")
    assert json.loads(proof.read_bytes())["agreement"] == "identical"
    assert "Reproduced bit for bit" in (folder / "report/index.html").read_text("utf-8")


def test_the_second_run_belongs_to_the_first(sample: Console) -> None:
    parent = run(sample, "n.ipynb")
    proof = proof_of(sample("prove", "--json"))

    listed = json.loads(sample("runs", "--json").stdout)
    belonging = json.loads(sample("runs", "--of", parent, "--json").stdout)
    shown = json.loads(sample("show", proof["proof"], "--json").stdout)

    assert [row["run"] for row in listed] == [parent]
    assert [row["run"] for row in belonging] == [proof["proof"]]
    assert belonging[0]["role"] == "proof"
    assert belonging[0]["parent"] == parent
    assert "reproduced bit for bit" in sample("runs", "--of", parent).stdout
    searched = sample("runs", "--of", parent, "--where", "accuracy > 0")
    assert searched.returncode == 2
    assert "--where and --sort search all runs: leave out --of" in searched.stderr
    assert "reproduced bit for bit" in sample("show", parent).stdout
    assert {step["result"] for step in shown["steps"]} == {"passed"}
    # No other command takes it for a run of the project's.
    assert sample("promote", proof["proof"]).returncode == 2
    assert sample("prove", proof["proof"]).returncode == 2
    assert json.loads(sample("show", "latest", "--json").stdout)["run"] == parent


def test_what_was_reused_runs_again(sample: Console) -> None:
    run(sample, "n.ipynb")
    run(sample, "n.ipynb")

    proof = proof_of(sample("prove", "--json"))

    assert [step["step"] for step in proof["steps"]] == ["prepare", "train", "evaluate"]
    assert proof["agreement"] == "identical"


def test_the_first_thing_that_differs_is_named(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_notebook(
        "n.ipynb",
        [
            ("step:load", "rows = [1, 2, 3]"),
            (
                "step:train out:weights.csv",
                (
                    "import os\nmodel = {'bias': [0.5, int.from_bytes(os.urandom(4), 'big')]}\n"
                    "open('weights.csv', 'w').write(f'a,b\\n1,{model[\"bias\"][1]}\\n')"
                ),
            ),
            ("step:evaluate", "score = model['bias'][1] / len(rows)"),
            ("pipeline-metrics", "print(score)"),
        ],
    )
    run(nbci, "n.ipynb")

    done = nbci("prove", "--no-cause", "--json")

    proof = proof_of(done)
    assert done.returncode == 1
    assert proof["sentence"].startswith("not reproduced, ")
    assert "value model of step train is another (['bias'][1]: " in proof["sentence"]
    assert items_of(proof) == {
        "train value model": "different",
        "train file weights.csv": "different",
        "evaluate metric score": "different",
    }
    weights = proof["steps"][1]["items"][1]
    assert weights["place"] == "row 2, column 2"
    page = nbci.cwd / ".nbci/runs" / proof["run"] / "report/index.html"
    assert "Not reproduced, " in page.read_text("utf-8")


def test_numbers_may_differ_within_the_tolerance(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_notebook(
        "n.ipynb",
        [
            (
                "step:a out:out.json",
                (
                    "import json, os\nimport numpy as np\n"
                    "noise = 1 + int.from_bytes(os.urandom(4), 'big') * 1e-18\n"
                    "weights = np.ones(3) * noise\njson.dump({'w': noise}, open('out.json', 'w'))"
                ),
            ),
            ("step:b", "total = float(weights.sum())"),
            ("pipeline-metrics", "print(total)"),
        ],
    )
    run(nbci, "n.ipynb")

    close = nbci("prove", "--no-cause", "--json")
    strict = nbci("prove", "--no-cause", "--json", "--tolerance", "0")

    assert close.returncode == 0, close.stderr
    proof = proof_of(close)
    assert proof["agreement"] == "close"
    assert "value weights of step a is not the same bit for bit" in proof["sentence"]
    assert set(items_of(proof).values()) == {"close"}
    assert strict.returncode == 1


def test_a_folder_in_a_value_is_no_difference(nbci: Console, make_notebook: MakeNotebook) -> None:
    cells = [("step:a", "from pathlib import Path\nplace = Path.cwd() / 'x'"), ("step:b", "place")]
    make_notebook("n.ipynb", cells)
    run(nbci, "n.ipynb")

    done = nbci("prove", "--json")

    assert done.returncode == 0, done.stderr
    (item,) = proof_of(done)["steps"][0]["items"]
    assert item["reason"] == "only the path of the folder it ran in differs"


def test_instances_of_the_notebooks_own_classes_are_compared(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    cells = [
        ("imports", "import os"),
        ("functions", "class Model:\n    def __init__(self, seed):\n        self.seed = seed"),
        ("step:a", "model = Model(os.urandom(4).hex())"),
        ("step:b", "model.seed"),
    ]
    make_notebook("n.ipynb", cells)
    run(nbci, "n.ipynb")

    proof = proof_of(nbci("prove", "--no-cause", "--json"))

    assert proof["steps"][0]["items"][0]["place"] == ".seed"


def test_code_that_changed_since_comes_from_the_commit(
    sample: Console, make_notebook: MakeNotebook
) -> None:
    parent = run(sample, "n.ipynb")
    make_notebook("n.ipynb", [("step:other", "x = 1")])
    (sample.cwd / "data.csv").unlink()
    before = state_of(sample.cwd)

    done = sample("prove", parent)

    assert done.returncode == 0, done.stderr
    assert "reproduced bit for bit" in done.stdout
    assert state_of(sample.cwd) == before
    assert git(sample.cwd, "status", "--short") == "D data.csv\n M n.ipynb"


def test_a_run_whose_code_is_gone_is_refused(sample: Console, make_notebook: MakeNotebook) -> None:
    parent = run(sample, "n.ipynb")
    make_notebook("n.ipynb", [("step:other", "x = 1")])
    git(sample.cwd, "commit", "-q", "-a", "--amend", "-m", "other")
    git(sample.cwd, "reflog", "expire", "--expire=now", "--all")
    git(sample.cwd, "gc", "-q", "--prune=now")

    done = sample("prove", parent)

    assert done.returncode == 2
    assert f"run {parent} cannot be proved: its commit " in done.stderr
    assert "is not in this repository" in done.stderr
    assert "git fetch origin " in done.stderr
    assert not list((sample.cwd / ".nbci/runs" / parent).glob("runs/*"))


def test_changes_that_are_in_no_commit_are_told(
    sample: Console, make_notebook: MakeNotebook
) -> None:
    make_notebook("n.ipynb", [*_SAMPLE, "# edited"])
    parent = run(sample, "n.ipynb")
    assert sample("prove", parent).returncode == 0
    make_notebook("n.ipynb", [*_SAMPLE, "# edited again"])

    done = sample("prove", parent)

    assert done.returncode == 2
    assert "it ran with changes that are in no commit" in done.stderr
    assert "n.ipynb" in done.stderr


def test_data_that_changed_since_is_told(sample: Console) -> None:
    git(sample.cwd, "rm", "-q", "--cached", "data.csv")
    (sample.cwd / ".gitignore").write_text("model.json\ndata.csv\n", encoding="utf-8")
    commit_all(sample.cwd)
    parent = run(sample, "n.ipynb")
    assert sample("prove", parent).returncode == 0
    (sample.cwd / "data.csv").write_text("1\n2\n7\n", encoding="utf-8")

    done = sample("prove", parent)

    assert done.returncode == 2
    assert "data.csv has changed since step prepare used it" in done.stderr


def test_data_that_dvc_tracks_comes_from_its_cache(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_repository(nbci.cwd)
    (nbci.cwd / "data.csv").write_text("1\n2\n6\n", encoding="utf-8")
    dvc(nbci.cwd, "add", "-q", "data.csv")
    make_notebook("n.ipynb", [_PREPARE, ("step:sum", "total = sum(rows)"), "total"])
    commit_all(nbci.cwd)
    run(nbci, "n.ipynb")
    (nbci.cwd / "data.csv").unlink()

    done = nbci("prove", "--json")

    assert done.returncode == 0, done.stderr
    assert proof_of(done)["agreement"] == "identical"
    assert not (nbci.cwd / "data.csv").exists()


def test_only_the_named_steps_run_again(sample: Console) -> None:
    parent = run(sample, "n.ipynb")

    proof = proof_of(sample("prove", "--steps", "train", "--json"))
    both = proof_of(sample("prove", "--steps", "train,evaluate", "--json"))
    unknown = sample("prove", "--steps", "trian")

    assert proof["run"] == parent
    assert proof["agreement"] == "identical"
    assert [step["step"] for step in proof["steps"]] == ["train"]
    assert [step["step"] for step in both["steps"]] == ["train", "evaluate"]
    assert unknown.returncode == 2
    assert "did you mean 'train'?" in unknown.stderr


def test_a_step_that_fails_when_it_runs_again(nbci: Console, make_notebook: MakeNotebook) -> None:
    once = nbci.cwd.parent / "once"
    make_notebook(
        "n.ipynb",
        [("step:a", f"import os\nassert not os.path.exists({str(once)!r}), 'again'\nx = 1")],
    )
    run(nbci, "n.ipynb")
    once.touch()

    done = nbci("prove")

    # What it looked for in vain is an observation that no proof compares beforehand.
    assert done.returncode == 1
    assert "not reproduced" in done.stdout
    assert "step a: it failed: AssertionError: again" in done.stdout


def test_what_a_step_writes_into_the_checkout_is_noticed(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    target = nbci.cwd / "build.txt"
    make_notebook("n.ipynb", [("step:a", f"open({str(target)!r}, 'w').write('x')")])
    run(nbci, "n.ipynb")

    done = nbci("prove")

    assert done.returncode == 1
    assert f"the step wrote {target} in your checkout" in done.stdout


def test_files_that_git_ignores_and_links_are_there(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    data = nbci.cwd / "data"
    data.mkdir()
    (data / "a.txt").write_text("a", encoding="utf-8")
    (nbci.cwd / "latest").symlink_to(data / "a.txt")
    (nbci.cwd / "lib.py").write_text("NUMBER = 3\n", encoding="utf-8")
    (nbci.cwd / ".gitignore").write_text("data\nlatest\n", encoding="utf-8")
    make_notebook("n.ipynb", [("step:a", "import lib\ntext = open('latest').read() * lib.NUMBER")])
    commit_all(nbci.cwd)
    run(nbci, "n.ipynb")

    done = nbci("prove", "--json")

    assert done.returncode == 0, done.stderr
    assert proof_of(done)["agreement"] == "identical"


def test_a_project_in_a_folder_of_a_repository(nbci: Console, make_notebook: MakeNotebook) -> None:
    (nbci.cwd / "ml").mkdir()
    (nbci.cwd / "ml/pyproject.toml").write_text("[tool.nbci]\nkeep = 5\n", encoding="utf-8")
    (nbci.cwd / "ml/data.csv").write_text("1\n2\n6\n", encoding="utf-8")
    make_notebook("ml/n.ipynb", _SAMPLE)
    commit_all(nbci.cwd)
    done = nbci("run", "n.ipynb", cwd=nbci.cwd / "ml")
    assert done.returncode == 0, done.stderr
    make_notebook("ml/n.ipynb", [("step:other", "x = 1")])

    proved = nbci("prove", cwd=nbci.cwd / "ml")

    assert proved.returncode == 0, proved.stderr
    assert "reproduced bit for bit" in proved.stdout


def test_records_that_were_altered_prove_nothing(sample: Console) -> None:
    parent = run(sample, "n.ipynb")
    record = sample.cwd / ".nbci/runs" / parent / "steps/train/record.json"
    record.write_text(record.read_text("utf-8").replace("train", "tr4in", 1), encoding="utf-8")

    assert sample("prove", parent).returncode == 5


def test_a_run_that_failed_is_not_proved(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_notebook("n.ipynb", [("step:a", "1 / 0")])
    nbci("run", "n.ipynb")

    done = nbci("prove")

    assert done.returncode == 2
    assert "did not pass (failed)" in done.stderr


def _slow(make_notebook: MakeNotebook, flag: Path) -> None:
    """A notebook whose second step waits for a file, and says in another that it does."""
    wait = (
        f"import os, time\nopen({str(flag) + '.began'!r}, 'a').write('x')\n"
        f"while not os.path.exists({str(flag)!r}): time.sleep(0.05)"
    )
    make_notebook(
        "slow.ipynb",
        [
            ("step:a out:a.txt", "x = 1\nopen('a.txt', 'w').write('a')\nopen('b', 'w').write('b')"),
            ("step:wait in:a.txt", f"{wait}\ny = x + 1\ntext = open('a.txt').read()"),
            ("step:last", "z = (y, text, open('b').read())"),
        ],
    )


def _interrupt_proof(
    nbci: Console, make_notebook: MakeNotebook, number: signal.Signals
) -> tuple[str, str, Path]:
    """A run and its proof that was ended in its second step; and what lets that step go on."""
    flag = nbci.cwd.parent / "go"
    flag.touch()
    _slow(make_notebook, flag)
    began = flag.with_name("go.began")
    parent = run(nbci, "slow.ipynb")
    flag.unlink()
    began.unlink()
    process = nbci.start("prove")
    wait_for(began.exists, "the slow step")
    busy = nbci("prove")
    process.send_signal(number)
    process.communicate(timeout=60)

    assert busy.returncode == 2
    assert "is in use" in busy.stderr
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    (proof,) = (nbci.cwd / ".nbci/runs" / parent / "runs").iterdir()
    assert [path.name for path in (nbci.cwd / ".nbci/workspaces").iterdir()] == [proof.name]
    return parent, proof.name, flag


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_proof_that_was_ended_goes_on(
    nbci: Console, make_notebook: MakeNotebook, number: signal.Signals
) -> None:
    parent, proof, flag = _interrupt_proof(nbci, make_notebook, number)
    first = nbci.cwd / ".nbci/runs" / parent / "runs" / proof / "steps/a/record.json"
    before = first.read_bytes()
    # Other workspaces may be opened, and a proof of other steps carried out.
    assert nbci("prove", "--steps", "a").returncode == 0
    flag.touch()

    again = nbci("prove", "--json")

    assert again.returncode == 0, again.stderr
    assert proof_of(again)["proof"] == proof
    assert proof_of(again)["agreement"] == "identical"
    assert [step["step"] for step in proof_of(again)["steps"]] == ["a", "wait", "last"]
    assert f"proof {proof} was interrupted and goes on: 1 step had ended" in again.stderr
    assert first.read_bytes() == before
    assert list((nbci.cwd / ".nbci/workspaces").iterdir()) == []
    rows = json.loads(nbci("runs", "--of", parent, "--json").stdout)
    assert [row["result"] for row in rows] == ["passed", "passed"]
    # It is sealed as a whole.
    shown = json.loads(nbci("show", proof, "--json").stdout)
    assert {step["result"] for step in shown["steps"]} == {"passed"}


def test_an_interrupted_proof_may_be_begun_again(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    parent, proof, flag = _interrupt_proof(nbci, make_notebook, signal.SIGINT)
    flag.touch()

    again = nbci("prove", "--no-resume", "--json")

    assert again.returncode == 0, again.stderr
    assert proof_of(again)["proof"] != proof
    rows = json.loads(nbci("runs", "--of", parent, "--json").stdout)
    assert [row["result"] for row in rows] == ["passed", "interrupted"]
    assert rows[1]["proof"] is None
    assert list((nbci.cwd / ".nbci/workspaces").iterdir()) == []


def test_what_an_interrupted_proof_left_is_cleaned_away(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    _, proof, flag = _interrupt_proof(nbci, make_notebook, signal.SIGKILL)
    flag.touch()

    assert nbci("clean").returncode == 0

    assert list((nbci.cwd / ".nbci/workspaces").iterdir()) == []
    again = nbci("prove", "--json")
    assert again.returncode == 0, again.stderr
    assert proof_of(again)["proof"] != proof


def test_a_run_is_proved_in_another_clone(sample: Console, outside: Path) -> None:
    parent = run(sample, "n.ipynb")
    clone = outside / "clone"
    git(sample.cwd, "clone", "-q", str(sample.cwd), str(clone))
    # What a CI carries from the machine that ran it: its records.
    records = f".nbci/runs/{parent}"
    shutil.copytree(sample.cwd / records, clone / records, ignore=shutil.ignore_patterns("report"))

    done = sample("prove", parent, "--json", cwd=clone, env={"NBCI_CACHE": str(outside / "c")})

    assert done.returncode == 0, done.stderr
    assert proof_of(done)["agreement"] == "identical"
    assert not (clone / records / "report").exists()
    # Brought back, it is a proof of the run.
    shutil.copytree(clone / records / "runs", sample.cwd / records / "runs")
    assert "proof" in json.loads(sample("show", parent, "--json").stdout)["proofs"][0]


def test_what_only_the_remote_keeps_is_compared(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    remote, cache = outside / "remote", outside / "first-cache"
    remote.mkdir()
    (nbci.cwd / "pyproject.toml").write_text(
        f'[tool.nbci]\nstore.remote = "{remote}"\n', encoding="utf-8"
    )
    cells = [
        ("step:a out:a.csv", "x = [1.0]\nopen('a.csv', 'w').write('1')"),
        ("step:b in:a.csv", "import os\ny = {'id': os.urandom(4).hex(), 'x': x}"),
        ("step:c", "y"),
    ]
    make_notebook("n.ipynb", cells)
    done = nbci("run", "n.ipynb", env={"NBCI_CACHE": str(cache)})
    assert done.returncode == 0, done.stderr
    shutil.rmtree(cache)
    (nbci.cwd / "a.csv").unlink()

    done = nbci("prove", "--steps", "b", "--no-cause", "--json")

    assert done.returncode == 1, done.stderr
    (item,) = proof_of(done)["steps"][0]["items"]
    assert item["place"] == "['id']"
    assert not (nbci.cwd / "a.csv").exists()


def test_hostile_names_and_texts(nbci: Console, make_notebook: MakeNotebook) -> None:
    hostile = "<script>alert(1)</script>\\x1b[31m"
    make_notebook(
        "n.ipynb",
        [
            ("step:a", f"import os\nvalue = {{'{hostile}': os.urandom(3).hex() + '{hostile}'}}"),
            ("step:b", "value"),
        ],
    )
    parent = run(nbci, "n.ipynb")

    done = nbci("prove", "--no-cause")

    page = (nbci.cwd / ".nbci/runs" / parent / "report/index.html").read_text("utf-8")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_runs_are_removed_with_their_proofs(sample: Console) -> None:
    parent = run(sample, "n.ipynb")
    assert sample("prove").returncode == 0
    run(sample, "n.ipynb", "--force")

    sample("clean", "--keep", "1")

    assert not (sample.cwd / ".nbci/runs" / parent).exists()
