"""The text of notebooks in reports: of reused steps, of runs in parts, without the notebook."""

from __future__ import annotations

import base64
import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.report.report_samples import png

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_CELLS: list[Any] = [
    ("markdown", "# Sums\n\n![a plot](attachment:plot.png)"),
    ("step:load", "print('loading')\nx = 1"),
    ("markdown", "It is **one**."),
    ("markdown", "## Add"),
    ("step:add", "print('sum', x + 1)"),
]


@pytest.fixture
def notebook(make_notebook: MakeNotebook) -> Path:
    return with_picture(make_notebook("n.ipynb", _CELLS))


def with_picture(notebook: Path) -> Path:
    document = json.loads(notebook.read_bytes())
    picture = {"image/png": base64.b64encode(png()).decode()}
    document["cells"][0]["attachments"] = {"plot.png": picture}
    notebook.write_text(json.dumps(document))
    return notebook


def newest_report(folder: Path) -> Path:
    return max((folder / ".nbci/runs").iterdir()) / "report"


def text_of(page: Path) -> str:
    """The text of a step's cells."""
    _, _, cells = page.read_text(encoding="utf-8").partition('id="cells"')
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", cells))


def is_in_order(text: str, *words: str) -> bool:
    return sorted(words, key=text.index) == list(words)


def check(report: Path) -> None:
    """The pages have the notebook's text in its places, its picture, and the outputs."""
    load, add = text_of(report / "steps/load.html"), text_of(report / "steps/add.html")
    assert is_in_order(load, "Sums", "print('loading')", "It is one.")
    assert is_in_order(add, "Add", "print('sum'", "sum 2")
    assert (report / "images/load/text-1-1.png").read_bytes() == png()
    index = (report / "index.html").read_text(encoding="utf-8")
    assert 'href="steps/load.html#text-1">Sums' in index
    assert 'href="steps/add.html#text-4">Add' in index


def test_a_run_shows_the_text_of_its_notebook(nbci: Console, notebook: Path) -> None:
    assert nbci("run", "n.ipynb").returncode == 0
    check(newest_report(notebook.parent))


def test_text_that_changed_runs_nothing_and_is_shown(nbci: Console, notebook: Path) -> None:
    assert nbci("run", "n.ipynb").returncode == 0
    document = json.loads(notebook.read_bytes())
    document["cells"].insert(0, {"cell_type": "markdown", "metadata": {}, "source": "Hello."})
    document["cells"][3]["source"] = "It is **1**."
    notebook.write_text(json.dumps(document))

    done = nbci("run", "n.ipynb", "--json")

    assert done.returncode == 0, done.stderr
    assert {step["result"] for step in json.loads(done.stdout)["steps"]} == {"reused"}
    assert nbci("report").returncode == 0
    report = newest_report(notebook.parent)
    load, add = text_of(report / "steps/load.html"), text_of(report / "steps/add.html")
    assert is_in_order(load, "Hello.", "Sums", "Cell 3", "print('loading')", "It is 1.")
    assert is_in_order(add, "Add", "Cell 6", "sum 2")


def test_a_report_is_made_where_the_notebook_is_not(nbci: Console, notebook: Path) -> None:
    assert nbci("run", "n.ipynb").returncode == 0
    report = newest_report(notebook.parent)
    shutil.rmtree(report)
    notebook.unlink()
    done = nbci("report")
    assert done.returncode == 0, done.stderr
    check(report)


def test_a_run_in_parts_shows_the_text(nbci: Console, notebook: Path) -> None:
    assert nbci("plan", "n.ipynb", "--out", "plan.json").returncode == 0
    for step in ("load", "add"):
        done = nbci("step", step, "--plan", "plan.json", "--store", "store")
        assert done.returncode == 0, done.stderr
    done = nbci("finish", "--plan", "plan.json", "--store", "store")
    assert done.returncode == 0, done.stderr
    check(newest_report(notebook.parent))


def test_a_failed_step_shows_the_text_of_what_did_not_run(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    cells = [*_CELLS[:2], ("", "1 / 0"), *_CELLS[2:], ("markdown", "The end.")]
    folder = with_picture(make_notebook("n.ipynb", cells)).parent
    assert nbci("run", "n.ipynb").returncode == 1
    report = newest_report(folder)
    assert is_in_order(text_of(report / "steps/load.html"), "Sums", "1 / 0", "It is one.")
    assert is_in_order(text_of(report / "steps/add.html"), "Add", "print('sum'", "The end.")


def test_a_secret_in_the_text_is_masked(
    nbci: Console, make_notebook: MakeNotebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "correct-horse-battery")
    cells = [("markdown", "# It is correct-horse-battery"), ("step:a secret:DB_PASSWORD", "x = 1")]
    folder = make_notebook("n.ipynb", cells).parent
    assert nbci("run", "n.ipynb").returncode == 0
    for page in newest_report(folder).rglob("*.html"):
        assert "correct-horse" not in page.read_text(encoding="utf-8")
