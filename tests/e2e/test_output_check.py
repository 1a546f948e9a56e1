"""Steps that must show again what their notebook is committed with."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

Cells = list[tuple[str, str]]

_CELLS: Cells = [
    ("step:fit check:outputs", "total = 0.1 + 0.2\nprint('total', total)"),
    ("", "import pandas as pd\npd.DataFrame({'model': ['svm', 'tree'], 'score': [total, 0.9]})"),
    ("", "from PIL import Image\nImage.new('RGB', (60, 40), 'red')"),
    ("", "from IPython.display import HTML, JSON\ndisplay(JSON({'a': [1]}), HTML('<b>hi</b>'))"),
    ("nbval-raises-exception", "1 / 0"),
    ("nbval-ignore-output", "import time\nprint(time.time_ns())"),
]


def _record(nbci: Console, run: str, step: str = "fit") -> dict[str, Any]:
    path = nbci.cwd / ".nbci/runs" / run / "steps" / step / "record.json"
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def _run(nbci: Console, *arguments: str, code: int = 0) -> str:
    done = nbci("run", *arguments, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return str(json.loads(done.stdout)["run"])


def _store_outputs(nbci: Console, path: Path, changed: Mapping[int, Any] | None = None) -> None:
    """Run the notebook without the check, and put its outputs into it.

    `changed`: what stands in the place of a cell's outputs, by the cell's place from 0.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    tags = document["cells"][0]["metadata"]["tags"]
    tags.remove("check:outputs")
    path.write_text(json.dumps(document), encoding="utf-8")
    run = _run(nbci, path.name)
    executed = nbci.cwd / ".nbci/runs" / run / "steps/fit/notebook.ipynb"
    for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]:
        number = cell["metadata"]["nbci"]["cell"]
        if number is not None:
            stored = document["cells"][number - 1]
            stored |= {"outputs": cell["outputs"], "execution_count": cell["execution_count"]}
    tags.append("check:outputs")
    for at, outputs in (changed or {}).items():
        document["cells"][at]["outputs"] = outputs
    path.write_text(json.dumps(document), encoding="utf-8")


def _nbval(path: Path) -> list[int]:
    """The numbers of the cells that `pytest --nbval` fails."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"),
            *("-p", "no:cacheprovider", "-c", "/dev/null", "-rf", "--color=no", path.name),
        ],
        cwd=path.parent,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    return [int(line.split("::Cell ")[1].split()[0]) + 1 for line in failed]


def _text(text: str) -> list[dict[str, Any]]:
    return [{"output_type": "stream", "name": "stdout", "text": text}]


def test_a_step_that_shows_the_same_passes_and_nbval_agrees(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    path = make_notebook("n.ipynb", _CELLS)
    _store_outputs(nbci, path)
    run = _run(nbci, "n.ipynb")
    record = _record(nbci, run)

    assert record["outputs"] == {"compared": 5, "left_out": 1}
    page = nbci.cwd / ".nbci/runs" / run / "report/steps/fit.html"
    words = "5 cells compared with the notebook: all show the same; 1 left out"
    assert words in page.read_text(encoding="utf-8")
    assert _nbval(path) == []
    assert _nbval(nbci.cwd / ".nbci/runs" / run / "steps/fit/notebook.ipynb") == []

    # an earlier result was compared with the same outputs
    again = nbci("run", "n.ipynb")
    assert "reused" in again.stdout + again.stderr


def test_what_differs_fails_the_step_and_nbval_agrees(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    path = make_notebook("n.ipynb", _CELLS)
    html = "<table><tr><th>model<th>score<tr><td>svm<td>0.3<tr><td>tree<td>0.9</table>"
    json_shown = {
        "application/json": {"a": [2]},
        "text/plain": "<IPython.core.display.JSON object>",
    }
    html_shown = {"text/html": "<b>hi</b>", "text/plain": "<IPython.core.display.HTML object>"}
    _store_outputs(
        nbci,
        path,
        {
            0: _text("total 0.4\n"),
            1: [{"output_type": "display_data", "metadata": {}, "data": {"text/html": html}}],
            3: [
                {"output_type": "display_data", "metadata": {}, "data": shown}
                for shown in (json_shown, html_shown)
            ],
            4: [{"output_type": "error", "ename": "KeyError", "evalue": "a", "traceback": []}],
            5: _text("0\n"),
        },
    )
    done = nbci("run", "n.ipynb")

    assert done.returncode == 1
    shown = done.stdout + done.stderr
    assert "4 cells show other outputs than the notebook is committed with" in shown
    assert "nbval-ignore-output" in shown

    records = []
    for each in (nbci.cwd / ".nbci/runs").glob("*/steps/fit/record.json"):
        records.append(json.loads(each.read_text(encoding="utf-8")))
    (record,) = [each for each in records if each["result"] == "failed"]
    failure = record["attempts"][-1]["failure"]
    assert (failure["kind"], failure["cell"]) == ("outputs", 1)
    assert "-total 0.4\n+total 0.30000000000000004" in failure["traceback"]
    kinds = [(each["cell"], each["kind"]) for each in record["outputs"]["differences"]]
    assert kinds == [
        (1, "stdout"),
        (2, "text/html"),
        (2, "text/plain"),
        (4, "application/json"),
        (5, "error"),
    ]
    assert _nbval(path) == [1, 2, 4, 5]


def test_the_page_shows_each_difference_at_its_cell(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    path = make_notebook("n.ipynb", [_CELLS[0], ("", "print('<b>&')")])
    _store_outputs(nbci, path, {0: _text("total 0.4\n"), 1: _text("<script>alert(1)</script>\n")})
    run = _run(nbci, "n.ipynb", code=1)

    report = nbci.cwd / ".nbci/runs" / run / "report"
    page = (report / "steps/fit.html").read_text(encoding="utf-8")
    index = (report / "index.html").read_text(encoding="utf-8")
    assert "2 cells compared with the notebook: 2 cells differ" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    for shown in (page, index):
        assert "other outputs than the notebook is committed with" in shown
    assert "What differs" in index
    assert "total 0.4" in (report / "summary.md").read_text(encoding="utf-8")


def test_another_stored_output_is_compared_anew(nbci: Console, make_notebook: MakeNotebook) -> None:
    path = make_notebook("n.ipynb", _CELLS[:1])
    _store_outputs(nbci, path)
    _run(nbci, "n.ipynb")
    document = json.loads(path.read_text(encoding="utf-8"))
    document["cells"][0]["outputs"] = _text("total 0.4\n")
    path.write_text(json.dumps(document), encoding="utf-8")

    done = nbci("why", "n.ipynb", "fit")
    assert "committed outputs of cell 1 changed" in done.stdout
    _run(nbci, "n.ipynb", code=1)


@pytest.mark.parametrize("changed", ["-p", "before"])
def test_with_other_parameters_nothing_is_compared(
    nbci: Console, make_notebook: MakeNotebook, changed: str
) -> None:
    cells = [
        ("parameters", "C = 1"),
        ("step:load", "x = C"),
        ("step:fit check:outputs", "print(x)"),
    ]
    if changed == "-p":
        cells[1:] = [("step:fit check:outputs", "x = C\nprint(x)")]
    path = make_notebook("n.ipynb", cells)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["cells"][-1] |= {"outputs": _text("1\n"), "execution_count": 3}
    path.write_text(json.dumps(document), encoding="utf-8")

    assert _record(nbci, _run(nbci, "n.ipynb"))["outputs"] == {"compared": 1}
    record = _record(nbci, _run(nbci, "n.ipynb", "-p", "C=2"))
    assert record["outputs"] == {"reason": "other parameters than the notebook's own: C"}
    assert any("are not compared" in warning for warning in record["warnings"])


def test_a_result_that_was_not_compared_does_not_stand_for_one_that_is(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    cells = [
        ("parameters", "C = 1"),
        ("step:load", "x = min(C, 1)"),
        ("step:fit check:outputs", "print(x)"),
    ]
    path = make_notebook("n.ipynb", cells)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["cells"][-1] |= {"outputs": _text("2\n"), "execution_count": 3}
    path.write_text(json.dumps(document), encoding="utf-8")

    _run(nbci, "n.ipynb", "-p", "C=2")
    _run(nbci, "n.ipynb", code=1)


def test_a_notebook_without_outputs_is_refused(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_notebook("n.ipynb", _CELLS)
    done = nbci("run", "n.ipynb")
    assert done.returncode == 2
    assert "step fit checks outputs, and n.ipynb has none to compare with" in done.stderr


def test_outputs_that_no_run_showed_differ(nbci: Console, make_notebook: MakeNotebook) -> None:
    path = make_notebook("n.ipynb", _CELLS[:1])
    document = json.loads(path.read_text(encoding="utf-8"))
    document["cells"][0]["outputs"] = _text("total 0.30000000000000004\n")
    path.write_text(json.dumps(document), encoding="utf-8")
    (difference,) = _record(nbci, _run(nbci, "n.ipynb", code=1))["outputs"]["differences"]
    assert difference["message"].startswith("stored without an execution count")
    assert _nbval(path) == [1]


def test_a_pipeline_file_asks_for_the_comparison(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    path = make_notebook("n.ipynb", [("", "print(1)"), ("nbval-skip", "print(2)")])
    document = json.loads(path.read_text(encoding="utf-8"))
    for cell in document["cells"]:
        cell |= {"outputs": _text("1\n"), "execution_count": 1}
    path.write_text(json.dumps(document), encoding="utf-8")
    (nbci.cwd / "p.yaml").write_text(
        "steps: {fit: {notebook: n.ipynb, check: outputs}}\n", encoding="utf-8"
    )
    run = _run(nbci, "p.yaml")
    assert _record(nbci, run)["outputs"] == {"compared": 1, "left_out": 1}


def test_a_secret_in_stored_outputs_stays_hidden(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    cells = [("step:fit check:outputs secret:TOKEN", "import os\nprint(os.environ['TOKEN'], 1)")]
    path = make_notebook("n.ipynb", cells)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["cells"][0] |= {"outputs": _text("hunter2-and-more 2\n"), "execution_count": 1}
    path.write_text(json.dumps(document), encoding="utf-8")
    done = nbci("run", "n.ipynb", env={"TOKEN": "hunter2-and-more"})
    assert done.returncode == 1
    assert "*** 2" in done.stdout + done.stderr
    assert not _holding(nbci.cwd / ".nbci", "hunter2-and-more")


def test_outputs_that_are_cut_are_not_called_the_same(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    path = make_notebook("n.ipynb", [("step:fit check:outputs", "print('x' * 3_000_000)")])
    document = json.loads(path.read_text(encoding="utf-8"))
    document["cells"][0] |= {"outputs": _text("x" * 3_000_000), "execution_count": 1}
    path.write_text(json.dumps(document), encoding="utf-8")
    (difference,) = _record(nbci, _run(nbci, "n.ipynb", code=1))["outputs"]["differences"]
    assert "output_cap_bytes" in difference["message"]


@pytest.mark.parametrize("tag", ["check:output", "chek:outputs", "nbval-ignore-outputs"])
def test_a_misspelt_tag_is_refused(nbci: Console, make_notebook: MakeNotebook, tag: str) -> None:
    make_notebook("n.ipynb", [(f"step:fit {tag}", "1")])
    done = nbci("plan", "n.ipynb")
    assert done.returncode == 2
    assert "check:outputs" in done.stderr or "nbval-ignore-output" in done.stderr


def _holding(folder: Path, text: str) -> Sequence[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if text.encode() in path.read_bytes()]
