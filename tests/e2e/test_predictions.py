"""Steps that declare predictions, and two runs compared by them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_WRITE = """\
rows = ['id,label,prediction,country']
for case in range(200):
    label = case % 2
    prediction = label
    if case % wrong_every == 0:
        prediction = 1 - label
    rows.append(f'{case},{label},{prediction},{"de" if case < 100 else "fr"}')
open('cases.csv', 'w').write('\\n'.join(rows))
"""


def _cells(tags: str = "step:evaluate predictions:cases.csv") -> list[tuple[str, str]]:
    return [("parameters", "wrong_every = 20"), (tags, _WRITE)]


def _run(nbci: Console, *arguments: str) -> str:
    done = nbci("run", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["run"])


def test_the_models_of_two_runs_are_compared(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_notebook("n.ipynb", _cells())
    first = _run(nbci, "n.ipynb")
    second = _run(nbci, "n.ipynb", "-p", "wrong_every=4")

    shown = nbci("diff", first, second)

    assert "evaluate  200 cases: 0 fixed, 40 broken (20 % of all)" in shown.stdout
    assert "accuracy 0.95 → 0.75 (\N{MINUS SIGN}0.2, p < 0.001)" in shown.stdout
    assert "worse in 2 slices: country = de: 0.95 → 0.75 in 100 cases" in shown.stdout

    (behaviour,) = json.loads(nbci("diff", first, second, "--json").stdout)["behaviour"]
    assert behaviour["difference"]["outcomes"] == {
        "both_right": 150,
        "fixed": 0,
        "broken": 40,
        "both_wrong": 10,
    }


def test_the_report_and_the_summary_say_how_the_model_behaves(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_notebook("n.ipynb", _cells())
    _run(nbci, "n.ipynb")
    run = _run(nbci, "n.ipynb", "-p", "wrong_every=4")

    report = nbci.cwd / ".nbci/runs" / run / "report"
    page = (report / "index.html").read_text(encoding="utf-8")
    summary = (report / "summary.md").read_text(encoding="utf-8")

    assert "How it behaves" in page
    assert "country = de" in page
    assert "40 broken" in summary


def test_a_pipeline_file_declares_predictions(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_notebook("nb/n.ipynb", _cells("step:evaluate"))
    (nbci.cwd / "p.yaml").write_text(
        "steps: {fit: {notebook: nb/n.ipynb, cwd: project, predictions: cases.csv}}\n",
        encoding="utf-8",
    )
    first = _run(nbci, "p.yaml")
    (nbci.cwd / "cases.csv").unlink()
    second = _run(nbci, "p.yaml")

    assert (nbci.cwd / "cases.csv").is_file()
    assert "200 cases: 0 fixed, 0 broken" in nbci("diff", first, second).stdout


def test_an_earlier_run_without_predictions_is_said(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_notebook("n.ipynb", _cells("step:evaluate out:cases.csv"))
    first = _run(nbci, "n.ipynb")
    make_notebook("n.ipynb", _cells())
    second = _run(nbci, "n.ipynb")

    shown = nbci("diff", first, second).stdout

    assert "not compared: the earlier run declares no predictions of this step" in shown


def test_a_file_that_is_not_kept_any_more_is_said(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    make_notebook("n.ipynb", _cells())
    first = _run(nbci, "n.ipynb")
    second = _run(nbci, "n.ipynb", "-p", "wrong_every=4")

    shown = nbci("diff", first, second, env={"NBCI_CACHE": str(tmp_path / "empty")}).stdout

    assert f"cases.csv of run {first} is not kept any more" in shown


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("open('cases.csv', 'w').write('label\\n1\\n')", "has no column 'prediction'"),
        ("open('cases.csv', 'w').write('label,prediction\\n')", "has no rows"),
        ("pass", "declares cases.csv but did not write it"),
    ],
)
def test_a_step_whose_predictions_are_none_fails(
    nbci: Console, make_notebook: MakeNotebook, code: str, message: str
) -> None:
    make_notebook("n.ipynb", [("step:evaluate predictions:cases.csv", code)])

    done = nbci("run", "n.ipynb")

    assert done.returncode == 1
    assert message in done.stdout + done.stderr


def test_two_files_of_one_step_are_refused(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_notebook("n.ipynb", [("step:a predictions:a.csv predictions:b.csv", "pass")])

    done = nbci("plan", "n.ipynb")

    assert done.returncode == 2
    assert "step a declares several files of predictions: a.csv, b.csv" in done.stderr
