"""Gates end to end.

A run is judged at its end, again on request, and refused until somebody signs for it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from nbci.git.process import Git
from tests.e2e.shown import document, run_folder
from tests.support.console import Console
from tests.support.releases import tag_release

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook

_PIPELINE = """\
pipeline: judged
params: {score: 0.5, deploy: false}
steps:
  train: {notebook: train.ipynb, params: {score: "${score}"}}
  deploy: {notebook: deploy.ipynb, when: deploy, after: [train]}
metrics:
  accuracy: {direction: up, unit: ratio}
  ms: {direction: down, unit: ms}
gates:
  - {metric: accuracy, at_least: 0.9}
  - {name: no worse, metric: accuracy, baseline: "file:best.json", max_drop: 10%}
  - {metric: ms, at_most: 5, severity: warn}
  - {expr: accuracy > 0.1 and train:ms < 100}
  - {metric: accuracy, at_least: 0.99, when: deploy}
"""


def project(root: Path, make_notebook: MakeNotebook, more: str = "") -> None:
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    make_notebook(
        "train.ipynb",
        [
            ("parameters", "score = 0.0"),
            "accuracy = score\nms = 20",
            ("metrics", "print(accuracy)\nprint(ms)"),
        ],
    )
    make_notebook("deploy.ipynb", ["deployed = 1", ("metrics", "print(deployed)")])
    (root / "p.yaml").write_text(_PIPELINE + more)


def words(text: str) -> str:
    return " ".join(text.split())


def gates(verdict: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {gate["gate"]: (gate["result"], gate["reason"]) for gate in verdict["gates"]}


def test_a_run_is_judged_and_refused_until_somebody_signs_for_it(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    project(nbci.cwd, make_notebook)
    completed = nbci("run", "p.yaml", "--json")
    assert completed.returncode == 3, completed.stderr
    shown = document(completed)
    assert shown["result"] == "refused"
    assert gates(shown["verdict"]) == {
        "accuracy at least 0.9": ("failed", "misses by 0.4"),
        "no worse": ("passed", "first run: there is no file best.json"),
        "ms at most 5": ("warned", "misses by 15"),
        "accuracy > 0.1 and train:ms < 100": ("passed", "accuracy is 0.5, train:ms is 20"),
        "accuracy at least 0.99": ("left out", "its condition `deploy` does not hold"),
    }
    check_report(run_folder(nbci.cwd, shown))

    again = nbci("run", "p.yaml")
    assert again.returncode == 3
    assert "1 reused, 1 skipped from run" in again.stdout
    assert "; REFUSED by 1 of 5 gates" in again.stdout
    assert "FAILED misses by 0.4" in words(again.stdout)
    assert document(nbci("show", "--json"))["verdict"] == shown["verdict"]
    assert nbci("run", "p.yaml", "--no-gate").returncode == 0

    (nbci.cwd / "best.json").write_text('{"accuracy": 0.6}')
    moved = nbci("run", "p.yaml")
    assert moved.returncode == 3
    assert "misses by 0.04; baseline: best.json" in moved.stdout
    (nbci.cwd / "best.json").write_text('{"accuracy": 0.55}')
    signed(nbci)


def check_report(folder: Path) -> None:
    suite = next(
        suite
        for suite in ElementTree.parse(folder / "report/junit.xml").getroot()
        if suite.get("name") == "gates"
    )
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["5", "1", "1"]
    assert "## ❌ judged: refused" in (folder / "report/summary.md").read_text()
    assert "1 of 5 gates refused it." in (folder / "report/index.html").read_text()


def signed(nbci: Console) -> None:
    """The newest run is refused; it passes only by a name and a reason, which stay."""
    judged = nbci("gate")
    assert judged.returncode == 3
    assert "to spare; baseline: best.json" in judged.stdout
    for options, message in (
        (("--override", "1"), "an override needs a reason"),
        (("--override", "1", "--reason", " "), "an override needs a reason"),
        (("--reason", "x"), "--reason and --by go with --override"),
        (
            ("--override", "no wose", "--reason", "x"),
            "there is no gate 'no wose'\n  → did you mean 'no worse'?",
        ),
        (
            ("--override", "no worse", "--reason", "x"),
            "the gate 'no worse' does not refuse the run",
        ),
    ):
        refused = nbci("gate", *options)
        assert refused.returncode == 2
        assert message in refused.stderr
    passed = nbci(
        "gate", "latest", "--override", "accuracy", "--reason", "known & accepted", "--by", "Ada"
    )
    assert passed.returncode == 2, "two gates bear that title"
    passed = nbci(
        "gate", "--override", "accuracy at least 0.9", "--reason", "known & accepted", "--by", "Ada"
    )
    assert passed.returncode == 0, passed.stderr
    assert "overridden misses by 0.4; overridden by Ada: known & accepted" in words(passed.stdout)
    later = json.loads(nbci("gate", "--json").stdout)
    assert later["verdict"]["result"] == "warned"
    (override,) = later["verdict"]["overrides"]
    assert (override["by"], override["reason"], override["found"]) == (
        "Ada",
        "known & accepted",
        0.5,
    )
    page = nbci.cwd / ".nbci/runs" / later["run"] / "report/index.html"
    assert "overridden by Ada: known &amp; accepted" in page.read_text()


def test_a_gate_on_a_skipped_step_and_a_run_of_a_part(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    more = "  - {name: there, metric: 'deploy:deployed', at_least: 1}\n"
    project(nbci.cwd, make_notebook, more)
    part = nbci("run", "p.yaml", "-p", "deploy=true", "--only", "train", "--json")
    shown = document(part)
    assert part.returncode == 0
    assert "verdict" not in shown
    assert (
        "the gates are not judged: the run leaves out steps that were not asked for"
        in shown["warnings"]
    )
    assert nbci("gate").stdout.endswith(
        "; not judged: it leaves out steps that were not asked for\n"
    )
    whole = nbci("run", "p.yaml", "--json")
    assert whole.returncode == 3
    reason = "step deploy was skipped: its condition `deploy` does not hold"
    assert gates(document(whole)["verdict"])["there"] == ("failed", reason)


def test_a_step_that_fails_beats_the_gates(nbci: Console, make_notebook: MakeNotebook) -> None:
    project(nbci.cwd, make_notebook)
    make_notebook(
        "train.ipynb",
        [
            ("parameters", "score = 0.0"),
            "accuracy = score\nms = 1 / 0",
            ("metrics", "print(accuracy)\nprint(ms)"),
        ],
    )
    failed = nbci("run", "p.yaml", "--json")
    assert failed.returncode == 1
    assert "verdict" not in document(failed)
    judged = nbci("gate")
    assert judged.returncode == 1
    assert "only a run that passed is judged" in judged.stdout


def test_a_run_in_pieces_is_judged_when_it_is_gathered(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    project(nbci.cwd, make_notebook)
    assert nbci("plan", "p.yaml", "--out", "plan.json").returncode == 0
    assert nbci("step", "--plan", "plan.json", "train").returncode == 0
    finished = nbci("finish", "--plan", "plan.json")
    assert finished.returncode == 3
    assert "misses by 0.4" in finished.stdout
    assert nbci("finish", "--plan", "plan.json", "--no-gate", "--json").returncode == 0


def test_a_gate_that_names_nothing_is_refused_before_anything_runs(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    project(nbci.cwd, make_notebook, "  - {metric: acuracy, at_least: 1}\n")
    for command in ("plan", "run", "lint"):
        refused = nbci(command, "p.yaml")
        assert refused.returncode == 2
        assert "acuracy" in refused.stdout + refused.stderr
    assert (
        "p.yaml, line 15, column 14: gate 6 judges the metric 'acuracy'"
        in nbci("plan", "p.yaml").stderr
    )
    assert "(did you mean 'accuracy'?)" in nbci("plan", "p.yaml").stderr
    assert not (nbci.cwd / ".nbci" / "runs").exists()


_CHAMPION = """\
pipeline: judged
steps: {train: {notebook: train.ipynb}}
metrics: {accuracy: {direction: up}}
gates:
  - {metric: accuracy, baseline: champion, max_drop: 0.01}
models: {judged: {path: model.bin, stage: production, branches: [main]}}
"""


def test_a_clone_of_one_commit_is_judged_against_the_champion(
    tmp_path: Path, make_notebook: MakeNotebook
) -> None:
    origin = tmp_path / "origin"
    make_notebook("origin/train.ipynb", ["accuracy = 0.9", ("metrics", "print(accuracy)")])
    (origin / "p.yaml").write_text(_CHAMPION)
    subprocess.run(["git", "init", "-qb", "main", origin], check=True)
    Git(origin)("add", ".")
    Git(origin)("commit", "-qm", "begun")
    clone = tmp_path / "clone"
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", "--no-tags", origin.as_uri(), clone], check=True
    )
    Git(clone)("checkout", "-q", "--detach")
    nbci = Console(clone)

    first = nbci("run", "p.yaml")
    assert first.returncode == 0, first.stderr
    assert "first run: no version of judged was promoted on main yet" in first.stdout
    assert "from run" in nbci("run", "p.yaml", "-q").stdout.partition("gates passed")[0]
    tag_release(Git(origin), "v1.0.0", 1, accuracy=0.905, model="judged")
    passed = nbci("run", "p.yaml")
    assert passed.returncode == 0, passed.stderr
    assert "0.905 passed 0.005 to spare; baseline: judged@v1.0.0 in production" in words(
        passed.stdout
    )
    tag_release(Git(origin), "v1.1.0", 2, accuracy=0.95, model="judged")
    refused = nbci("run", "p.yaml")
    assert refused.returncode == 3
    assert "0.95 FAILED misses by 0.04; baseline: judged@v1.1.0 in production" in words(
        refused.stdout
    )
    again = nbci("run", "p.yaml")
    assert again.returncode == 3
    assert "from run" in again.stdout
    shutil.move(origin, tmp_path / "gone")
    offline = nbci("run", "p.yaml")
    assert offline.returncode == 3
    assert "judged@v1.1.0 in production, as last fetched: origin cannot be asked" in offline.stdout
