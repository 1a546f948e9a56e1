"""Gates over predictions, end to end: who broke, which slices lost, what may be chance."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from nbci.config import Project
from nbci.git.process import Git
from nbci.registry.evidence import evidence_steps
from nbci.runs.project_runs import find_run
from tests.e2e.shown import document, run_folder
from tests.e2e.test_remeasure import judged, make_project, make_the_data_harder, promoted
from tests.support.releases import tag_release

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_CASES = """\
rows = ['id,label,prediction,country,user']
for case in range(cases):
    label = case % 2
    wrong = case % 20 == 0 or case < broken
    country = 'fr' if case < 100 else 'de'
    rows.append(f'{first_id + case},{label},{1 - label if wrong else label},{country},u{case}')
open('cases.csv', 'w').write('\\n'.join(rows))
read = [row.split(',') for row in rows[1:]]
accuracy = sum(row[1] == row[2] for row in read) / len(read)
"""
_PARAMETERS = "cases = 400\nbroken = 0\nfirst_id = 0"
_PIPELINE = """\
pipeline: judged
params: {{cases: 400, broken: 0, first_id: 0}}
steps:
  evaluate:
    notebook: n.ipynb
    predictions: cases.csv
    params: {{cases: "${{cases}}", broken: "${{broken}}", first_id: "${{first_id}}"}}
metrics: {{accuracy: {{direction: up}}}}
gates:
{gates}
models: {{judged: {{path: cases.csv, branches: [main]}}}}
"""
_FLIPS = "{flips: {at_most: 2%}, baseline: BASE}"
_SLICES = "{slices: {by: country, metric: accuracy, max_drop: 0.02}, baseline: BASE}"
_MOVE = "{metric: accuracy, baseline: BASE, max_drop: 0.005, significant: 0.01}"


@pytest.fixture
def project(nbci: Console, make_notebook: MakeNotebook) -> Console:
    """A project whose step predicts as its parameters say."""
    (nbci.cwd / "pyproject.toml").write_text("[tool.nbci]\n")
    make_notebook("n.ipynb", [("parameters", _PARAMETERS), _CASES, ("metrics", "print(accuracy)")])
    return nbci


def _write(nbci: Console, *gates: str, baseline: str = "run:latest") -> None:
    lines = [f"  - {gate.replace('BASE', repr(baseline))}" for gate in gates]
    text = _PIPELINE.format(gates="\n".join(lines))
    (nbci.cwd / "p.yaml").write_text(text, encoding="utf-8")


def _run(nbci: Console, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = nbci("run", "p.yaml", "--json", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return document(done)


def _gates(shown: dict[str, Any]) -> list[tuple[str, str]]:
    return [(gate["result"], gate["reason"]) for gate in shown["verdict"]["gates"]]


def test_what_breaks_too_much_is_refused_by_name(project: Console) -> None:
    _write(project, _FLIPS, _SLICES, _MOVE)
    first = _run(project)
    assert [result for result, _ in _gates(first)] == ["passed"] * 3
    assert _gates(first)[0][1] == "first run: no earlier run of judged passed"

    refused = _run(project, "-p", "broken=20", code=3)

    run = first["run"]
    assert _gates(refused) == [
        ("failed", "19 broken and 0 fixed of 400 cases: misses by 2.75 %"),
        (
            "failed",
            (
                "country = fr: 0.95 → 0.76 in 100 cases (19 broken, 0 fixed), the worst of 2 "
                "slices: misses by 0.17"
            ),
        ),
        (
            "failed",
            "19 broken and 0 fixed of 400 cases, p = 3.815e-06: misses by 0.0425",
        ),
    ]
    flips, slices, move = refused["verdict"]["gates"]
    assert flips["baseline_source"] == f"run {run}, predicted on its own data"
    assert (flips["found"], flips["unit"]) == (4.75, "%")
    assert slices["cases"] == {
        "step": "evaluate",
        "predictions": f"cases.csv of run {run}",
        "cases": 100,
        "fixed": 0,
        "broken": 19,
        "p_value": pytest.approx(2 * 2 * 0.5**19),
        "slice": {"country": "fr"},
        "slices": 2,
    }
    assert move["cases"]["p_value"] == pytest.approx(2 * 0.5**19)
    _check_pages(run_folder(project.cwd, refused))


def _check_pages(folder: Path) -> None:
    for name in ("index.html", "summary.md", "junit.xml"):
        text = (folder / "report" / name).read_text(encoding="utf-8").replace("\\", "")
        assert "country = fr: 0.95 → 0.76 in 100 cases (19 broken, 0 fixed)" in text, name


def test_a_loss_that_may_be_chance_passes(project: Console) -> None:
    _write(project, _MOVE)
    _run(project)

    shown = _run(project, "-p", "broken=4")

    assert _gates(shown) == [
        (
            "passed",
            "3 broken and 0 fixed of 400 cases, p = 0.25: misses by 0.0025, which may be chance",
        )
    ]


def test_the_champions_predictions_count_where_its_run_is_here_or_gone(
    project: Console, tmp_path: Path
) -> None:
    _write(project, _FLIPS, baseline="champion")
    subprocess.run(["git", "init", "-qb", "main", project.cwd], check=True)
    git = Git(project.cwd)
    (project.cwd / ".gitignore").write_text("/cases.csv\n")
    git("add", ".")
    git("commit", "-qm", "begun")
    made = _run(project)["run"]
    folder = find_run(Project(root=project.cwd), made)
    steps = evidence_steps(folder.read_plan(), folder.read())
    tag_release(git, "v1.0.0", 1, accuracy=0.95, model="judged", run=made, steps=steps)

    refused = _run(project, "-p", "broken=20", code=3)
    assert refused["verdict"]["gates"][0]["baseline_source"] == (
        "judged@v1.0.0, predicted on its own data"
    )
    again = project("run", "p.yaml", "-p", "broken=20")
    assert again.returncode == 3
    assert "from run" in again.stdout

    shutil.rmtree(folder.path)
    from_release = project("gate", "latest", "--json")
    assert from_release.returncode == 3
    gate = json.loads(from_release.stdout)["verdict"]["gates"][0]
    assert gate["reason"] == "19 broken and 0 fixed of 400 cases: misses by 2.75 %"

    (project.cwd / "cases.csv").unlink()
    gone = project("gate", "latest", "--json", env={"NBCI_CACHE": str(tmp_path / "empty")})
    assert gone.returncode == 3
    reason = json.loads(gone.stdout)["verdict"]["gates"][0]["reason"]
    assert reason.startswith("cases.csv of run ")
    assert reason.endswith(" is not kept any more")


def test_a_baseline_that_made_no_predictions_is_a_first_run(
    project: Console, make_notebook: MakeNotebook
) -> None:
    _write(project, _FLIPS, _MOVE)
    declared = (project.cwd / "p.yaml").read_text(encoding="utf-8")
    without = declared.replace("predictions: cases.csv", "outs: [cases.csv]")
    (project.cwd / "p.yaml").write_text(without.partition("gates:")[0], encoding="utf-8")
    first = _run(project)["run"]
    (project.cwd / "p.yaml").write_text(declared, encoding="utf-8")

    flips, move = _run(project, "-p", "broken=40", code=3)["verdict"]["gates"]

    reason = f"run {first} declares no predictions of step evaluate"
    assert (flips["result"], flips["reason"]) == ("passed", f"first run: {reason}")
    # That the metric fell is known, and whether by chance is not.
    assert (move["result"], move["reason"]) == (
        "failed",
        f"misses by 0.09; whether by chance is not known: {reason}",
    )


def test_cases_are_compared_on_what_both_have(project: Console) -> None:
    _write(project, _FLIPS)
    _run(project)

    shared = _run(project, "-p", "first_id=300")
    assert _gates(shared) == [
        (
            "passed",
            (
                "0 broken and 0 fixed of 100 cases; 300 cases that only the run has: not compared; "
                "300 cases that only the baseline has: not compared"
            ),
        )
    ]
    # What the few cases show that both have excuses nothing in the others.
    _write(project, _MOVE)
    few = _run(project, "-p", "first_id=699", "-p", "broken=40", code=3)
    assert _gates(few)[0][1].startswith(
        "misses by 0.09; whether by chance is not known: "
        "by the run's predictions of the 1 case that both have, accuracy is 0"
    )
    _write(project, _FLIPS)
    none = _run(project, "-p", "first_id=5000", code=3)
    assert _gates(none)[0][0] == "failed"
    assert "have no case in common: their ids differ" in _gates(none)[0][1]


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (
            "{slices: {by: [country, age], metric: accuracy, max_drop: 0.1}, baseline: BASE}",
            "evaluate predicts no column age; columns of slices: country, user",
        ),
        (
            "{slices: {by: user, metric: accuracy, max_drop: 0.1}, baseline: BASE}",
            "there is no slice to judge; no value of user has 50 cases",
        ),
        (
            "{slices: {by: country, metric: mean_absolute_error, max_rise: 1}, baseline: BASE}",
            "evaluate is a classification, which has no mean_absolute_error",
        ),
    ],
)
def test_slices_that_are_not_there_are_refused(project: Console, gate: str, reason: str) -> None:
    _write(project, gate)
    _run(project)

    assert _gates(_run(project, "-p", "broken=1", code=3)) == [("failed", reason)]


def test_an_override_lets_the_broken_cases_pass_until_they_are_others(project: Console) -> None:
    _write(project, _FLIPS)
    _run(project)
    _run(project, "-p", "broken=20", code=3)

    override = ("--override", "flips", "--reason", "label noise", "--by", "Ada")
    assert project("gate", "latest", *override).returncode == 0
    judged = document(project("show", "--json"))["verdict"]["gates"][0]

    assert judged["override"]["cases"] == judged["cases"]
    assert project("gate", "latest").returncode == 0


@pytest.mark.parametrize(
    ("predictions", "gate", "message"),
    [
        ("outs: [cases.csv]", _FLIPS, "gate 1 judges predictions, and no step declares any"),
        ("predictions: cases.csv", _FLIPS[:-1] + ", step: train}", "there is no such step"),
    ],
)
def test_gates_without_predictions_are_refused_before_anything_runs(
    project: Console, predictions: str, gate: str, message: str
) -> None:
    _write(project, gate)
    path = project.cwd / "p.yaml"
    path.write_text(path.read_text().replace("predictions: cases.csv", predictions))

    for command in ("plan", "run"):
        done = project(command, "p.yaml")
        assert done.returncode == 2
        assert message in done.stderr
        assert "p.yaml, line 10, column " in done.stderr
    assert not (project.cwd / ".nbci/runs").exists()


def test_a_secret_among_the_slices_is_masked(project: Console, make_notebook: MakeNotebook) -> None:
    make_notebook(
        "n.ipynb",
        [
            ("parameters", _PARAMETERS),
            "import os\n" + _CASES.replace("'fr'", "os.environ['COUNTRY']"),
            ("metrics", "print(accuracy)"),
        ],
    )
    _write(project, _SLICES)
    path = project.cwd / "p.yaml"
    path.write_text(
        path.read_text().replace("predictions:", "secrets: [COUNTRY]\n    predictions:")
    )
    env = {"COUNTRY": "hunter2-hunter2"}
    assert project("run", "p.yaml", env=env).returncode == 0

    refused = project("run", "p.yaml", "-p", "broken=20", env=env)

    assert refused.returncode == 3
    assert "country = ***: 0.95 → 0.76 in 100 cases" in refused.stdout
    for record in (project.cwd / ".nbci/runs").rglob("run.json"):
        assert "hunter2" not in record.read_text(encoding="utf-8")


def test_agents_hand_their_predictions_to_the_judgement(project: Console, tmp_path: Path) -> None:
    _write(project, _FLIPS)
    _run(project)
    (project.cwd / "cases.csv").unlink()
    agent = {"NBCI_CACHE": str(tmp_path / "agent")}
    planned = project("plan", "p.yaml", "-p", "broken=20", "--out", "plan.json", env=agent)
    assert planned.returncode == 0, planned.stderr
    step = project("step", "--plan", "plan.json", "--store", "store", env=agent)
    assert step.returncode == 0, step.stdout + step.stderr
    (project.cwd / "cases.csv").unlink(missing_ok=True)

    finished = project("finish", "--plan", "plan.json", "--store", "store", "--json")

    assert finished.returncode == 3, finished.stdout + finished.stderr
    assert "19 broken and 0 fixed of 400 cases" in finished.stdout


def test_predictions_on_the_same_data_count_first(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook)
    path = nbci.cwd / "p.yaml"
    text = path.read_text(encoding="utf-8")
    asked = (
        "gates:\n"
        "  - {flips: {at_most: 0}}\n"
        "  - {metric: accuracy, baseline: champion, better: true, significant: 0.05}\n"
        "  - {name: own, flips: {at_most: 0}, remeasure: no}\n"
    )
    path.write_text(text.replace("gates:\n", asked), encoding="utf-8")
    # A first run has nothing to be better than.
    promoted(nbci)
    make_the_data_harder(nbci.cwd)

    code, shown = judged(nbci)

    assert code == 3
    same, better, own, _ = shown["verdict"]["gates"]
    assert (same["result"], same["reason"]) == ("passed", "0 broken and 0 fixed of 20 cases")
    assert same["baseline_source"] == "digits@v1.0.0, predicted on this run's data"
    assert better["reason"] == (
        "0 broken and 0 fixed of 20 cases, p = 1: no better than the baseline"
    )
    assert better["remeasured"] == 0.5
    assert own["result"] == "failed"
    assert "has 20 rows, " in own["reason"]
    assert "neither has ids" in own["reason"]
