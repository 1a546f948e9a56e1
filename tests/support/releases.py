"""A project whose model can be promoted: a real git repository with an origin, a real DVC remote,
two runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nbci.git.process import Git
from nbci.records.codec import to_json
from nbci.records.manifest import MANIFEST_PATH, Manifest, Promoter
from tests.support.console import Console
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.records.manifest import EvidenceStep

_OF_CI = (
    "BRANCH_NAME",
    "GIT_BRANCH",
    "GIT_LOCAL_BRANCH",
    "CHANGE_ID",
    "CHANGE_TARGET",
    "BUILD_URL",
    "RUN_DISPLAY_URL",
)

PIPELINE = """\
pipeline: digits
params: {C: 1.0}
steps:
  prepare: {notebook: nb/prepare.ipynb, outs: [data/rows.json], cwd: project}
  train:
    matrix: {kind: [svm]}
    notebook: nb/train.ipynb
    deps: [data/rows.json]
    params: {C: "${C}"}
    outs: [models/digits model.bin]
    metrics: [metrics.json]
    cwd: project
models:
  digits: {path: models/digits model.bin, stage: production, branches: [main, "release/*"], \
framework: plain}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A checkout, its bare origin, the folder that is its DVC remote, and two runs, the first of
    which ran first.
    """

    root: Path
    runs: tuple[str, str]

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def origin(self) -> Path:
        return self.root / "origin.git"

    @property
    def remote(self) -> Path:
        return self.root / "remote"

    @property
    def git(self) -> Git:
        return Git(self.project)

    @property
    def nbci(self) -> Console:
        return Console(self.project)

    def tags(self, folder: Path | None = None) -> set[str]:
        """The tags of the origin, or of another repository."""
        return set(Git(folder or self.origin)("tag").splitlines())


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Released:
    root = tmp_path_factory.mktemp("released")
    project = root / "project"
    write_notebook(
        project / "nb/prepare.ipynb",
        ["import json\njson.dump([1, 2, 3], open('data/rows.json', 'w'))"],
    )
    write_notebook(
        project / "nb/train.ipynb",
        [
            ("parameters", "C = 1.0"),
            (
                "import json\nrows = json.load(open('data/rows.json'))\naccuracy = 0.9 + C / 100\n"
                "open('models/digits model.bin', 'w').write(f'{C} {rows}')\n"
                "json.dump({'accuracy': accuracy}, open('metrics.json', 'w'))"
            ),
        ],
    )
    (project / "pipeline.yaml").write_text(PIPELINE)
    (project / ".gitignore").write_text("/models\n/data\n/metrics.json\n")
    (root / "remote").mkdir()
    (root / "linked").symlink_to(root / "remote")
    subprocess.run(["git", "init", "-q", "--bare", root / "origin.git"], check=True)
    subprocess.run(["git", "init", "-q", project], check=True)
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text(
        f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {root}/linked\n"
    )
    (project / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    git = Git(project)
    git("add", ".")
    git("commit", "-qm", "a project")
    git("remote", "add", "origin", str(root / "origin.git"))
    git("push", "-q", "origin", "main")
    runs = []
    console = Console(project)
    for value in ("C=1", "C=2"):
        done = console(
            "run", "pipeline.yaml", "-p", value, "--quiet", env={"NBCI_CACHE": str(root / "cache")}
        )
        assert done.returncode == 0, done.stderr
        runs.append(max(os.listdir(project / ".nbci/runs")))
    return Released(root=root, runs=(runs[0], runs[1]))


@pytest.fixture
def released(_built: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Released:
    """A copy of the project with its origin and its remote; the workspace is as the second run left
    it.
    """
    copied = copy_of(_built, tmp_path / "released")
    monkeypatch.setenv("NBCI_CACHE", str(copied.root / "cache"))
    for name in _OF_CI:  # the tests themselves may run on Jenkins
        monkeypatch.delenv(name, raising=False)
    (
        _built.root / "linked"
    ).unlink()  # the project's DVC configuration, which is committed, names this place
    (_built.root / "linked").symlink_to(copied.remote)
    return copied


def tag_release(
    git: Git,
    version: str,
    number: int,
    *,
    accuracy: float,
    model: str = "digits",
    branch: str = "main",
    run: str = "R",
    steps: tuple[EvidenceStep, ...] = (),
) -> None:
    """Commit the evidence of a release on no branch, tag it, and put it into production.

    As `nbci promote` does, of a run that need not be; `number` counts what was put into production.
    """
    manifest = Manifest(
        model=model,
        version=version,
        run=run,
        steps=steps,
        pipeline="p",
        target="p.yaml",
        commit="x",
        branch=branch,
        promoted_utc=f"2026-01-0{number}T00:00:00Z",
        by=Promoter(name="A", email="a@b.c"),
        nbci="0",
        metrics={"train:accuracy": accuracy},
        declared={"accuracy": {"direction": "up", "unit": "ratio"}},
    )
    place = git.folder / MANIFEST_PATH
    place.parent.mkdir(exist_ok=True)
    git("checkout", "-q", "--detach")
    place.write_text(to_json(manifest))
    git("add", "-f", MANIFEST_PATH)
    git("commit", "-qm", f"release {version}")
    git("tag", "-a", "-m", "m", f"{model}@{version}")
    git("tag", "-a", "-m", "m", f"{model}#production#{number}")
    git("checkout", "-q", "main")


def copy_of(built: Released, place: Path) -> Released:
    """A copy of it all, whose parts know each other."""
    for name in ("project", "origin.git", "remote", "cache"):
        shutil.copytree(built.root / name, place / name, symlinks=True)
    copied = Released(root=place, runs=built.runs)
    copied.git("remote", "set-url", "origin", str(copied.origin))
    return copied


@pytest.fixture(scope="session")
def stock() -> Callable[..., str]:
    """Runs a stock tool, such as dvc or gto, and gives what it prints."""

    def run(*words: str | Path, cwd: Path) -> str:
        import sys

        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run(
            list(map(str, words)),
            cwd=cwd,
            capture_output=True,
            encoding="utf-8",
            check=False,
            env=environment,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
