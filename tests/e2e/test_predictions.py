"""Steps that declare predictions, and two runs compared by them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.report import report_samples as samples

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


_WRITE_PICTURES = """\
import base64, os
os.makedirs('../out/pictures')
open('../out/pictures/0.png', 'wb').write(base64.b64decode(picture))
row = f'a,{said},0.9,../out/pictures/0.png'
open('../out/cases.csv', 'w').write(f'label,prediction,score,show\\n{row}\\n')
"""


def _page(nbci: Console, run: str) -> str:
    return (nbci.cwd / ".nbci/runs" / run / "report/index.html").read_text(encoding="utf-8")


def test_pictures_of_broken_cases_are_shown_without_the_workspace(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    (nbci.cwd / "pyproject.toml").write_text("[tool.nbci]\n", encoding="utf-8")
    tags = "step:evaluate predictions:../out/cases.csv out:../out/pictures"
    parameters = f"said = 'a'\npicture = '{samples.PNG}'"
    make_notebook("nb/n.ipynb", [("parameters", parameters), (tags, _WRITE_PICTURES)])
    _run(nbci, "nb/n.ipynb")
    run = _run(nbci, "nb/n.ipynb", "-p", "said=b")
    shown = '<img src="images/evaluate/case-1.png" alt="Picture of row 1"'
    assert shown in _page(nbci, run)

    shutil.rmtree(nbci.cwd / "out")
    report = nbci.cwd / ".nbci/runs" / run / "report"
    shutil.rmtree(report)

    assert nbci("report", run).returncode == 0
    assert shown in _page(nbci, run)
    assert (report / "images/evaluate/case-1.png").read_bytes() == samples.png()


def test_files_that_are_no_outs_are_not_shown(nbci: Console, make_notebook: MakeNotebook) -> None:
    (nbci.cwd / "private.png").write_bytes(samples.png())
    rows = f"a,{{said}},{nbci.cwd}/private.png\\na,{{said}},private.png\\n"
    code = f"open('cases.csv', 'w').write(f'label,prediction,show\\n{rows}')"
    make_notebook("n.ipynb", [("parameters", "said = 'a'"), ("step:e predictions:cases.csv", code)])
    _run(nbci, "n.ipynb")
    run = _run(nbci, "n.ipynb", "-p", "said=b")

    assert _page(nbci, run).count("not among the outs that are kept of the run") == 2
    assert not list((nbci.cwd / ".nbci/runs" / run / "report").rglob("*.png"))


def test_secrets_in_predictions_are_masked(nbci: Console, make_notebook: MakeNotebook) -> None:
    secret = "zebra-horse-battery"
    code = """\
import os
token = os.environ['TOKEN']
rows = ['id,label,prediction,show,slice\\n']
for case in range(60):
    # What is shown of long texts ends within a secret.
    rows.append(f'{token}{case},{token},{token}{said},{"p" * 190}{token},{"s" * 70}{token}\\n')
open('cases.csv', 'w').write(''.join(rows))
"""
    tags = "step:e predictions:cases.csv secret:TOKEN"
    make_notebook("n.ipynb", [("parameters", "said = ''"), (tags, code)])
    for arguments in ([], ["-p", "said=b"]):
        done = nbci("run", "n.ipynb", *arguments, env={"TOKEN": secret})
        assert done.returncode == 0, done.stderr
    before, after = sorted(path for path in (nbci.cwd / ".nbci/runs").iterdir() if path.is_dir())

    texts = [nbci("diff", before.name, after.name, env={"TOKEN": secret}).stdout]
    for path in (after / "report").rglob("*.*"):
        texts.append(path.read_text(encoding="utf-8"))

    assert "60 broken" in texts[0]
    assert "s" * 70 in texts[0]
    assert [text for text in texts if secret[:6] in text] == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("'id,label,prediction\\n9,a,a\\n'", "have no case in common: their ids differ"),
        ("'id,label,prediction\\n1,0.5,0.5\\n'", "is a regression"),
        ("'label,prediction\\na,a\\n'", "has none: their cases cannot be matched"),
    ],
)
def test_the_page_says_why_predictions_are_not_compared(
    nbci: Console, make_notebook: MakeNotebook, code: str, reason: str
) -> None:
    tags = "step:e predictions:cases.csv"
    for text in ("'id,label,prediction\\n1,a,a\\n'", code):
        make_notebook("n.ipynb", [(tags, f"open('cases.csv', 'w').write({text})")])
        run = _run(nbci, "n.ipynb")

    assert reason in _page(nbci, run)
    assert reason in (nbci.cwd / ".nbci/runs" / run / "report/summary.md").read_text()
