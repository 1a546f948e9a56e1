"""What `nbci finish --out` hands over, beside how the build is to end: the build's page."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.app.build_files import clear_build_files, write_build_files
from nbci.config import find_project
from nbci.pipeline.rules import Gate, WatchedRule
from nbci.records.codec import to_json
from nbci.records.run_record import FileRef, StepRecord
from nbci.report.data.material import Material, ShownRun
from nbci.runs.folder import RunFolder
from tests.report import monitor_samples
from tests.report import report_samples as samples

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.records.verdict import VerdictResult
    from tests.conftest import MakeNotebook
    from tests.support.console import Console

PIPELINE = """
pipeline: p
params:
  C: {default: 1.5, help: "the cost, not 0123456789abcdef-secret"}
  kind: {default: svm, choices: [svm, tree]}
  fast: true
steps:
  a: {notebook: a.ipynb}
gates:
  - {metric: score, at_least: 0.9}
"""


@pytest.fixture
def finished(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The page of a run that its gate refused."""
    make_notebook(
        "a.ipynb",
        [
            ("parameters", "C = 1.0\nkind = 'svm'\nfast = True"),
            ("step:fit", "x = 1"),
            ("step:score", "score = x / 2"),
            ("metrics", "score"),
        ],
    )
    (tmp_path / "p.yaml").write_text(PIPELINE, encoding="utf-8")
    assert nbci("plan", "p.yaml", "--out", "plan.json").returncode == 0
    assert nbci("step", "--plan", "plan.json", "--store", "store").returncode == 0
    monkeypatch.setenv("SERVICE_TOKEN", "0123456789abcdef-secret")
    done = nbci("finish", "--plan", "plan.json", "--store", "store", "--out", "out")
    assert done.returncode == 3, done.stderr
    page: dict[str, Any] = json.loads((tmp_path / "out/page.json").read_bytes())
    return page


def test_the_page_says_what_the_ending_says(finished: dict[str, Any], tmp_path: Path) -> None:
    lines = (tmp_path / "out/ending.txt").read_text(encoding="utf-8").splitlines()[1:]
    fields = {line.split("\t")[0]: line.split("\t")[1:] for line in lines}
    ending = finished["ending"]
    assert [ending["result"], ending["message"]] == fields["result"]
    assert [finished["description"]] == fields["description"]
    assert [finished["run"]] == fields["run"]
    assert (ending["result"], ending["infrastructure"]) == ("unstable", False)


def test_all_its_links_lead_into_the_report(finished: dict[str, Any], tmp_path: Path) -> None:
    links = [part["link"] for part in (*finished["steps"], *finished["graph"]["nodes"])]
    assert len(links) == 4
    for link in (finished["report"], *links):
        assert (tmp_path / "out/report" / link).is_file()


def test_the_parameters_are_those_of_the_pipeline(finished: dict[str, Any]) -> None:
    shown = {parameter["name"]: parameter for parameter in finished["parameters"]}
    assert {name: parameter["kind"] for name, parameter in shown.items()} == {
        "C": "string",
        "kind": "choice",
        "fast": "boolean",
    }
    assert (shown["C"]["type"], shown["C"]["default"]) == ("float", "1.5")
    assert "svm" in shown["kind"]["choices"]


def test_what_this_machine_knows_as_a_secret_is_masked(finished: dict[str, Any]) -> None:
    shown = {parameter["name"]: parameter["help"] for parameter in finished["parameters"]}
    assert shown["C"] == "the cost, not *** (float)"


@pytest.mark.parametrize("result", ["failed", "passed"])
def test_pages_of_monitors_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: VerdictResult
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\n')
    found = tmp_path / "build/watch/monitor.json"
    found.parent.mkdir(parents=True)
    found.write_text(to_json(monitor_samples.ordinary(result=result)))
    out = FileRef(
        path="build/watch/monitor.json",
        digest=hashlib.md5(found.read_bytes(), usedforsecurity=False).hexdigest(),
        bytes=found.stat().st_size,
    )
    watched = WatchedRule(rule="drift", subject="watch: drift", asked="at most 0.2")
    gate = Gate(name="watch: drift", watched=watched, step="watch/today")
    plan = replace(samples.plan(samples.planned("watch/today")), gates=(gate,))
    step = StepRecord(name="watch/today", result="passed", seconds=1.0, outs=(out,))
    folder = RunFolder(tmp_path / ".nbci/runs/R")
    folder.report.mkdir(parents=True)
    material = Material(run=ShownRun(record=samples.run(step), plan=plan, notebooks={}))
    place = tmp_path / "result"
    write_build_files(place, find_project(tmp_path), folder, material, gates=True)
    lines = (place / "ending.txt").read_text().splitlines()
    about = ["monitor\tmonitors/watch__today\tMonitor of wine"]
    if result == "failed":
        about.append("retrain\twine\tmonitors/watch__today/monitor.json")
    assert lines[-len(about) :] == about
    assert sum(line.startswith(("monitor", "retrain")) for line in lines) == len(about)
    page = place / "monitors/watch__today"
    assert {"index.html", "junit.xml", "metrics.prom", "monitor.json"} <= set(os.listdir(page))
    # What another build leaves there is known as such.
    clear_build_files(place)
    assert os.listdir(place) == []
