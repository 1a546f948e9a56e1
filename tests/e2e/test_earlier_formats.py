"""What earlier versions of nbci left is read: runs, plans, results, releases and the index."""

from __future__ import annotations

import json
import shutil
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from nbci.config import find_project
from nbci.plan.model import Plan
from nbci.records.codec import from_json
from nbci.runs.project_runs import find_run
from nbci.store.cache import Cache
from tests.support.console import ROOT, Console

if TYPE_CHECKING:
    from pathlib import Path

ASSETS = ROOT / "tests" / "assets"
VERSIONS = sorted(path.parent.name for path in ASSETS.glob("*/project.tar.gz"))
REFUSED, FIRST, SECOND, SAME = (
    "20261128-193243-7171d1d",
    "20261128-193248-117337b",
    "20261128-193251-236b77c",
    "20261128-193253-5779479",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A project as an earlier version left it, with its remotes where the copy has them."""

    root: Path

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def nbci(self) -> Console:
        return Console(self.project)


@pytest.fixture(params=VERSIONS)
def earlier(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Earlier:
    with tarfile.open(ASSETS / request.param / "project.tar.gz") as packed:
        # Python 3.11.2, which is Debian's, knows no filters yet.
        if hasattr(tarfile, "data_filter"):
            packed.extractall(tmp_path, filter="data")
        else:
            packed.extractall(tmp_path)
    monkeypatch.setenv("NBCI_CACHE", str(tmp_path / "cache"))
    config = f"['remote \"storage\"']\n    url = {tmp_path / 'remote'}\n"
    (tmp_path / "project/.dvc/config.local").write_text(config, encoding="utf-8")
    git_config = tmp_path / "project/.git/config"
    text = git_config.read_text(encoding="utf-8")
    git_config.write_text(text.replace("/srv/nbci-asset/", f"{tmp_path}/"), encoding="utf-8")
    return Earlier(root=tmp_path)


def printed(console: Console, *words: str) -> str:
    done = console(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_a_version() -> None:
    assert VERSIONS == ["0.1"]


def test_the_index_finds_the_runs(earlier: Earlier) -> None:
    rows = json.loads(printed(earlier.nbci, "runs", "--json"))
    assert [(row["run"], row["result"]) for row in rows] == [
        (SAME, "passed"),
        (SECOND, "passed"),
        (FIRST, "passed"),
        (REFUSED, "refused"),
    ]
    found = printed(earlier.nbci, "runs", "--where", "accuracy > 0.915", "--json")
    assert [row["run"] for row in json.loads(found)] == [SAME, SECOND]


def test_the_index_is_made_again_of_the_records(earlier: Earlier) -> None:
    before = printed(earlier.nbci, "runs", "--json")
    (earlier.project / ".nbci/index.sqlite").unlink()
    printed(earlier.nbci, "index", "rebuild")
    assert printed(earlier.nbci, "runs", "--json") == before


def test_a_record_is_shown_compared_and_judged_again(earlier: Earlier) -> None:
    document = json.loads(printed(earlier.nbci, "show", FIRST, "--json"))
    assert document["result"] == "passed"
    assert [(step["name"], step["result"]) for step in document["steps"]] == [
        ("digits/load", "reused"),
        ("digits/train", "passed"),
        ("digits/evaluate", "passed"),
    ]
    assert "0.92" in printed(earlier.nbci, "diff", FIRST, SECOND)
    assert earlier.nbci("gate", REFUSED).returncode == 3
    assert earlier.nbci("gate", SAME).returncode == 0


def test_its_report_is_written_with_the_pages_of_reused_steps(earlier: Earlier) -> None:
    shutil.rmtree(earlier.project / ".nbci/runs" / FIRST / "report")
    printed(earlier.nbci, "report", FIRST)
    report = earlier.project / ".nbci/runs" / FIRST / "report"
    assert "0.91" in (report / "index.html").read_text(encoding="utf-8")
    page = (report / "steps/digits__load.html").read_text(encoding="utf-8")
    assert "Ran in" in page
    assert "rows.json" in page


def test_a_kept_result_stands_for_its_key(earlier: Earlier) -> None:
    folder = find_run(find_project(earlier.project), SECOND)
    cache = Cache(earlier.root / "cache")
    steps = folder.read().steps
    assert len(steps) == 3
    for step in steps:
        assert step.key is not None
        kept = [record for record, _ in cache.records(step.key)]
        assert any(record.gives == step.gives for record in kept), step.name


def test_a_stored_plan_and_its_store_are_finished(earlier: Earlier) -> None:
    plan = from_json((earlier.root / "plan.json").read_bytes(), Plan, "plan.json")
    assert [step.name for step in plan.steps] == ["digits/load", "digits/train", "digits/evaluate"]
    done = earlier.nbci(
        "finish", "--plan", str(earlier.root / "plan.json"), "--store", str(earlier.root / "store")
    )
    assert done.returncode == 1, done.stderr  # two steps never ran
    assert "digits/load" in done.stdout + done.stderr
    newest = max(path.name for path in (earlier.project / ".nbci/runs").iterdir())
    document = json.loads(printed(earlier.nbci, "show", newest, "--json"))
    results = {step["name"]: step["result"] for step in document["steps"]}
    assert results["digits/load"] == "reused"


def test_a_release_is_listed_verified_and_fetched(earlier: Earlier) -> None:
    (model,) = json.loads(printed(earlier.nbci, "models", "--json"))
    assert model["model"] == "digits"
    printed(earlier.nbci, "models", "verify")
    got = earlier.root / "got.json"
    printed(earlier.nbci, "models", "get", "digits", str(got))
    assert json.loads(got.read_text(encoding="utf-8")) == {"mean": 4.0}
    assert "rows.json" in printed(earlier.nbci, "lineage", "digits")


@pytest.mark.parametrize("name", ["run.json", "plan.json"])
def test_a_format_of_the_future_is_refused_by_its_number(earlier: Earlier, name: str) -> None:
    path = earlier.project / ".nbci/runs" / SECOND / name
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "format": 99}), encoding="utf-8")
    done = earlier.nbci("gate", SECOND)
    assert done.returncode in {2, 5}, done.stderr
    assert "99" in done.stderr
