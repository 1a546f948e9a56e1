"""The result of a run reads alike everywhere.

Refused is not passed, and interrupted is not failed.
"""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

PIPELINE = """\
pipeline: p
params: {k: 1}
steps: {a: {notebook: n.ipynb, params: {k: "${k}"}}}
gates: [{metric: auc, at_least: 0.9}]
"""


def pipeline(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_notebook(
        "n.ipynb", [("parameters", "k = 1"), ("step:a", "auc = k / 10"), ("metrics", "auc")]
    )
    (nbci.cwd / "p.yaml").write_text(PIPELINE, encoding="utf-8")


def page(nbci: Console, run: str) -> str:
    return (nbci.cwd / ".nbci" / "runs" / run / "report" / "index.html").read_text(encoding="utf-8")


def test_a_refused_run_is_refused_everywhere(nbci: Console, make_notebook: MakeNotebook) -> None:
    pipeline(nbci, make_notebook)
    done = nbci("run", "p.yaml")
    assert done.returncode == 3
    assert "\np REFUSED in " in done.stdout
    assert "passed in" not in done.stdout.split("\np REFUSED")[1]
    quick = nbci("run", "p.yaml")
    assert quick.returncode == 3
    assert "\np REFUSED in " in quick.stdout
    again = nbci("run", "p.yaml", "--json")
    document = json.loads(again.stdout)
    assert (again.returncode, document["result"]) == (3, "refused")
    assert json.loads(nbci("show", "latest", "--json").stdout)["result"] == "refused"
    assert "result    refused" in nbci("show").stdout
    assert [row["result"] for row in json.loads(nbci("runs", "--json").stdout)] == ["refused"] * 3
    assert nbci("runs", "--where", "result == 'passed'").stdout == "no run is like that\n"
    assert json.loads(nbci("gate", "latest", "--json").stdout)["result"] == "refused"
    assert "verdict refused" in page(nbci, document["run"])
    assert "verdict passed" not in page(nbci, document["run"]).split("</header>")[0]

    overridden = nbci("gate", "latest", "--override", "auc", "--reason", "known", "--json")
    assert json.loads(overridden.stdout)["result"] == "passed"
    assert json.loads(nbci("runs", "--json").stdout)[0]["result"] == "passed"


def test_runs_that_differ_in_parameters_can_be_told_apart(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    pipeline(nbci, make_notebook)
    nbci("run", "p.yaml", "-p", "k=3")
    nbci("run", "p.yaml", "-p", "k=4")
    shown = nbci("runs").stdout.splitlines()
    place = shown[0].index("  k  ") + 2
    assert [shown[1][place], shown[2][place]] == ["4", "3"]
    assert [row["params"] for row in json.loads(nbci("runs", "--json").stdout)] == [
        {"k": 4.0},
        {"k": 3.0},
    ]


def test_a_step_that_was_interrupted_did_not_fail(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    code = f"open({str(ready)!r}, 'w').close()\nimport time\ntime.sleep(120)"
    make_notebook("n.ipynb", [("step:a", code), ("step:b prev:a", "1")])
    process = nbci.start("run", "n.ipynb")
    while not ready.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "FAILED" not in out + err
    assert "n INTERRUPTED in " in out
    assert "1 interrupted, 1 skipped" in out
    document = json.loads(nbci("show", "latest", "--json").stdout)
    assert [step["result"] for step in document["steps"]] == ["interrupted", "skipped"]
    assert "failed" not in nbci("show").stdout.lower()
    folder = nbci.cwd / ".nbci" / "runs" / document["run"] / "report"
    suites = ElementTree.parse(folder / "junit.xml").getroot()
    assert suites.get("failures") == "0"
    assert "interrupted" in page(nbci, document["run"])
    assert " failed" not in (folder / "summary.md").read_text(encoding="utf-8")
