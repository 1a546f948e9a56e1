"""What `nbci finish --out` hands over, beside how the build is to end: the build's page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

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
