"""An exported run as DVC's own commands see it: status, dag, metrics, plots, repro; and what is
refused.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nbci.config import find_project
from nbci.data.dvc_export import Export, newest_whole, prepare_export
from nbci.errors import UsageError
from nbci.runs.project_runs import all_runs, find_run
from tests.support.console import ROOT, Console
from tests.support.dvc import make_repository
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Callable

PIPELINE = """\
pipeline: shop.window
params: {C: 1.0, weekday: "on", seed: 7}
steps:
  tables:
    notebook: notebooks/tables.ipynb
    params: {day: "${weekday}"}
    deps: [data/raw.dvc]
    outs: [data/clean.csv]
  train:
    matrix: {kind: [svm, tree]}
    notebook: notebooks/train.ipynb
    deps: [data/clean.csv]
    params: {C: "${C}", rows: "${tables/clean:rows}"}
    outs: ["models/${matrix.kind} [é].bin", "plots/${matrix.kind}.csv"]
    metrics: ["scores/${matrix.kind}.json"]
    cwd: project
  late: {notebook: notebooks/late.ipynb, after: [train], cwd: project}
"""
CLEAN = "lines = [shop.number(line) for line in text.split()]\nrows = len(lines)\ndays = day"
TRAIN = """\
import json, os
kind = os.environ['NBCI_STEP'].rpartition('/')[2]
total = sum(map(int, open('data/clean.csv'))) * C
open(f'models/{kind} [é].bin', 'w').write(f'{total} {rows}')
open(f'plots/{kind}.csv', 'w').write(f'x,y\\n0,1\\n1,{total}\\n')
json.dump({'total': total}, open(f'scores/{kind}.json', 'w'))
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """A project that was run once, and DVC in it."""

    root: Path
    environ: dict[str, str]

    @property
    def nbci(self) -> Console:
        return Console(self.root)

    def dvc(self, *words: str) -> str:
        """What a command of DVC's prints; it finds `nbci` on its path."""
        done = subprocess.run(
            ["dvc", *words], cwd=self.root, capture_output=True, encoding="utf-8", check=False,
            env={**os.environ, **self.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", "-C", self.root, *words], capture_output=True, encoding="utf-8", check=True
        ).stdout  # fmt: skip

    def run(self, *words: str) -> str:
        done = self.nbci("run", "pipelines/shop.yaml", "--quiet", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return next(all_runs(find_project(self.root))).run

    def prepared(self) -> Export:
        project = find_project(self.root)
        return prepare_export(project, newest_whole(project))

    def ran(self, after: int) -> list[str]:
        """The steps that ran in a kernel in the runs after the first so many."""
        runs = list(all_runs(find_project(self.root)))[::-1][after:]
        return [step.name for run in runs for step in run.read().steps if step.result == "passed"]


def notebooks(root: Path, clean: str = CLEAN) -> None:
    write_notebook(root / "notebooks/tables.ipynb", [
        ("parameters", "day = ''"),
        ("imports", "import shop"),
        ("step:load", "text = open('../data/raw').read()"),
        ("step:clean", clean),
        ("step:clean", "open('../data/clean.csv', 'w').write('\\n'.join(map(str, lines)))"),
        ("metrics", "rows = rows"),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    root = make_repository(folder / "project")
    notebooks(root)
    write_notebook(root / "notebooks/train.ipynb", [("parameters", "C = 0.5\nrows = 0"), TRAIN])
    write_notebook(root / "notebooks/late.ipynb", ["print('the end')"])
    (root / "notebooks/shop.py").write_text("def number(text):\n    return int(text)\n")
    (root / "pipelines").mkdir()
    (root / "pipelines/shop.yaml").write_text(PIPELINE)
    (root / "data").mkdir()
    (root / "data/raw").write_text("1 2 3")
    (folder / "bin").mkdir()
    (folder / "bin/nbci").write_text(f"#!/bin/sh\nexec '{sys.executable}' -P -m nbci \"$@\"\n")
    (folder / "bin/nbci").chmod(0o755)
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    # Compiled modules would lie beside what is exported, where git is not told to leave them out.
    shop = Shop(root, {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"})
    shop.dvc("add", "data/raw")
    shop.git("add", "-A")
    shop.git("commit", "-qm", "a shop")
    done = shop.nbci(
        "run", "pipelines/shop.yaml", "--quiet", env={"NBCI_CACHE": str(folder / "cache")}
    )
    assert done.returncode == 0, done.stderr
    return shop


@pytest.fixture
def shop(_built: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A copy of it, with the cache that its first run filled."""
    for name in ("project", "cache"):
        shutil.copytree(_built.root.parent / name, tmp_path / name, symlinks=True)
    monkeypatch.setenv("NBCI_CACHE", str(tmp_path / "cache"))
    return Shop(tmp_path / "project", _built.environ)


def test_stock_commands_work_on_an_exported_run(shop: Shop) -> None:
    (shop.root / "dvc.yaml").write_text(
        "# ours\nstages:\n  mine:  # by hand\n    cmd: echo 1 > mine.txt\n    outs: [mine.txt]\n"
    )
    shown = shop.nbci("export", "dvc", "--dry-run").stdout
    assert "+++ b/dvc.lock" in shown
    assert not (shop.root / "dvc.lock").exists()
    done = shop.nbci("export", "dvc")
    assert done.returncode == 0, done.stderr
    assert "in 5 stages: tables-load, tables-clean, train-svm, train-tree, late" in done.stdout
    assert (shop.root / "dvc.yaml").read_text().startswith("# ours\nstages:\n  mine:  # by hand\n")
    assert (
        json.loads(shop.dvc("status", "--json", "tables-clean", "train-svm", "train-tree", "late"))
        == {}
    )
    shop.git("add", "-A")
    assert set(shop.git("diff", "--cached", "--name-only").split()) == {
        ".gitignore", "data/.gitignore", "dvc.lock", "dvc.yaml", "models/.gitignore", "params.yaml",
        "plots/.gitignore", "scores/.gitignore",
    }  # fmt: skip
    shop.git("commit", "-qm", "exported")
    graph = shop.dvc("dag", "--dot")
    for edge in (
        '"data/raw.dvc" -> "tables-load"',
        '"tables-load" -> "tables-clean"',
        '"tables-clean" -> "train-svm"',
        '"train-tree" -> "late"',
    ):
        assert edge in graph

    # another text of the early step, and the same numbers: what depends on them is not even asked
    # for
    runs = len(list(all_runs(find_project(shop.root))))
    notebooks(shop.root, f"{CLEAN}\nassert rows < 100")
    shop.dvc("repro", "late")
    assert shop.ran(runs) == ["tables/clean"]

    # other numbers, and a parameter, through DVC's params.yaml: all that depends on them runs, and
    # only that
    runs = len(list(all_runs(find_project(shop.root))))
    notebooks(shop.root, CLEAN.replace("text.split()", "text.split()[1:]"))
    params = shop.root / "params.yaml"
    params.write_text(params.read_text().replace("C: 1.0", "C: 10.0"))
    shop.dvc("repro", "late")
    assert shop.ran(runs) == ["tables/clean", "train/svm", "train/tree"]
    assert (shop.root / "models/svm [é].bin").read_text() == "50.0 2"
    assert json.loads(shop.dvc("metrics", "diff", "--json"))["scores/svm.json"] == {
        "total": {"old": 6.0, "new": 50.0, "diff": 44.0}
    }
    plotted = json.loads(shop.dvc("plots", "diff", "--json"))["data"]["plots/tree.csv"][0]
    assert set(plotted["revisions"]) == {"HEAD", "workspace"}


def test_a_clone_without_results_of_nbci_repeats_what_it_must(shop: Shop, tmp_path: Path) -> None:
    shop.nbci("export", "dvc")
    shop.git("add", "-A")
    shop.git("commit", "-qm", "exported")
    shop.git("clone", "-q", ".", str(tmp_path / "clone"))
    clone = Shop(tmp_path / "clone", {**shop.environ, "NBCI_CACHE": str(tmp_path / "nothing")})
    (clone.root / ".dvc/config.local").write_text(f"[cache]\n    dir = {shop.root}/.dvc/cache\n")
    clone.dvc("checkout")
    assert clone.git("status", "--porcelain") == ""
    (clone.root / "params.yaml").write_text(
        (clone.root / "params.yaml").read_text().replace("C: 1.0", "C: 3.0")
    )
    clone.dvc("repro", "train-svm")
    assert clone.ran(0) == ["tables/load", "tables/clean", "train/svm"]
    assert (clone.root / "models/svm [é].bin").read_text() == "18.0 3"


def test_stages_depend_on_the_parameters_that_their_steps_use(shop: Shop) -> None:
    import yaml

    texts = {document.path: document.text for document in shop.prepared().documents}
    stages = yaml.safe_load(texts["dvc.yaml"])["stages"]
    assert {name: stage.get("params") for name, stage in stages.items()} == {
        "tables-load": None,
        "tables-clean": ["shop-window.weekday"],
        "train-svm": ["shop-window.C"],
        "train-tree": ["shop-window.C"],
        "late": None,
    }
    assert yaml.safe_load(texts["params.yaml"])["shop-window"]["C"] == 1.0
    assert "data/raw" in stages["tables-load"]["deps"]
    assert "notebooks/shop.py" in stages["tables-clean"]["deps"]
    assert stages["train-svm"]["plots"] == ["plots/svm.csv"]
    assert texts["models/.gitignore"] == "/svm \\[é\\].bin\n/tree \\[é\\].bin\n"


def test_what_git_has_is_left_to_git(shop: Shop) -> None:
    shop.git("add", "-f", "scores")
    export = shop.prepared()
    assert "- scores/svm.json:\n        cache: false" in export.documents[0].text
    assert "scores/.gitignore" not in {document.path for document in export.documents}


def no_dvc(shop: Shop) -> None:
    shutil.rmtree(shop.root / ".dvc")


def other_notebook(shop: Shop) -> None:
    notebooks(shop.root, "1")


def other_module(shop: Shop) -> None:
    (shop.root / "notebooks/shop.py").write_text("number = float\n")


def other_maker(shop: Shop) -> None:
    (shop.root / "dvc.yaml").write_text(
        "stages:\n  mine: {cmd: x, wdir: data, outs: [clean.csv]}\n"
    )


def garbage(shop: Shop) -> None:
    (shop.root / "dvc.yaml").write_text("stages: [1\n")


def only_a_part(shop: Shop) -> None:
    shop.run("--until", "tables")
    for folder in list(all_runs(find_project(shop.root)))[1:]:
        shutil.rmtree(folder.path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_dvc, "this is no DVC repository"),
        (other_notebook, r"notebooks/tables\.ipynb: the file has changed since run"),
        (other_module, r"notebooks/shop\.py: the file has changed since run"),
        (
            other_maker,
            r"step tables/clean makes data/clean\.csv, and so does stage mine of dvc\.yaml",
        ),
        (garbage, r"dvc\.yaml: this is no YAML"),
        (only_a_part, "there is no run to export"),
    ],
)
def test_what_is_refused(shop: Shop, spoil: Callable[[Shop], None], message: str) -> None:
    spoil(shop)
    with pytest.raises(UsageError, match=message) as raised:
        shop.prepared()
    assert raised.value.hint or spoil is garbage


def test_a_named_run_must_be_whole(shop: Shop) -> None:
    run = shop.run("--until", "tables")
    project = find_project(shop.root)
    with pytest.raises(UsageError, match="leaves steps out"):
        prepare_export(project, find_run(project, run))


def test_other_content_and_a_busy_dvc_are_told(shop: Shop) -> None:
    (shop.root / "data/clean.csv").unlink()
    (shop.root / "data/clean.csv").write_text("by hand")
    assert shop.prepared().altered == ("data/clean.csv",)
    from dvc.repo import Repo

    with Repo(str(shop.root)) as repo, repo.lock:
        busy: Any = shop.nbci("export", "dvc")
    assert (busy.returncode, "DVC is at work in this repository" in busy.stderr) == (4, True)
    assert not (shop.root / "dvc.yaml").exists()
