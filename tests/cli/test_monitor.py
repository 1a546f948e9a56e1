"""`nbci monitor` as a user sees it, with a release that need not be brought."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from nbci.app.monitoring import monitor as use_case
from nbci.app.monitoring import results
from nbci.app.monitoring.monitor import ReferenceRelease
from nbci.app.monitoring.results import earlier_results, results_folder
from nbci.cli.main import run
from nbci.records.codec import from_json
from nbci.records.monitoring import MonitorResult
from nbci.records.profile import ColumnProfile, ReleaseProfile

if TYPE_CHECKING:
    from pathlib import Path

REGIONS = ("north", "south")


def table(north: int, rows: int = 100) -> str:
    lines = [REGIONS[number >= north] for number in range(rows)]
    return "\n".join(("region", *lines)) + "\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with today's data, in which a release of wines is found."""
    column = ColumnProfile(
        name="region",
        kind="category",
        rows=1000,
        counts={"north": 500, "south": 500},
        distinct=2,
    )
    release = ReferenceRelease(
        model="wine",
        version="v1.2.0",
        commit="a" * 40,
        profile=ReleaseProfile(rows=1000, columns=(column,)),
    )
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\n')
    (tmp_path / "today.csv").write_text(table(north=50))
    (tmp_path / "moved.csv").write_text(table(north=95))
    monkeypatch.setattr(use_case, "bring_reference", lambda *_, **__: release)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def printed(capfdbinary: pytest.CaptureFixture[bytes]) -> Any:
    """Runs `nbci monitor` and gives its exit code, its lines, and its warnings."""

    def command(*words: str) -> tuple[int, list[str], str]:
        code = run(["monitor", *words])
        out, err = capfdbinary.readouterr()
        return code, out.decode().splitlines(), err.decode()

    return command


def test_a_quiet_window(project: Path, printed: Any) -> None:
    code, lines, err = printed("wine", "--data", "today.csv")
    assert (code, err) == (0, "")
    gates = [" ".join(line.split()) for line in lines[3:6]]
    assert gates == [
        "gate asked found baseline verdict reason",
        "schema as the release's 0 passed all columns are as the release's",
        "psi of all columns at most 0.2, but for 30% of them 0 passed 0 of 1 column drifted",
    ]
    assert [*lines[:3], *lines[6:-1]] == [
        "wine v1.2.0: as released: 100 rows within 2 rules",
        "100 rows of today.csv, 0 labelled",
        "",
        "These are the default rules: nobody gave any.",
        "",
        "column  drift",
        "region  PSI 0, at most 0.2 allowed; p = 1",
        "",
        "drifted_share 0, worst_drift 0",
    ]
    assert lines[-1].startswith("page: .nbci/monitors/wine/")
    folder = (project / lines[-1].removeprefix("page: ")).parent
    assert not (folder / "ending.txt").exists()
    assert {"index.html", "junit.xml", "metrics.json", "metrics.prom", "monitor.json"} <= {
        path.name for path in folder.iterdir()
    }


def test_a_window_that_is_refused(project: Path, printed: Any) -> None:
    code, lines, _ = printed("wine", "--data", "moved.csv", "--out", "found")
    assert code == 3
    assert lines[0].startswith("wine v1.2.0: REFUSED: 1 of 1 column drifted: psi of region is 1.")
    assert lines[-1] == "page: found/index.html"
    numbers = json.loads((project / "found/metrics.json").read_text())
    assert numbers["drifted_share"] == 1.0
    ending = (project / "found/ending.txt").read_text().splitlines()
    assert ending[0] == "nbci-ending 1"
    assert ending[1].startswith("result\tunstable\twine v1.2.0: 1 of 1 column drifted")
    assert ending[2].startswith("description\t⚠️ wine v1.2.0: 1 of 1 column drifted")
    assert ending[3:] == ["monitor\t\tMonitor of wine", "retrain\twine\tmonitor.json"]
    # The project has it, too, for the trend.
    (kept,), _ = earlier_results(project, "wine")
    assert kept.result == "failed"


def test_json_is_the_record(project: Path, printed: Any) -> None:
    code, lines, _ = printed("wine", "--data", "moved.csv", "--json")
    result = from_json("\n".join(lines), MonitorResult, "stdout")
    assert (code, result.result) == (3, "failed")
    assert [column.name for column in result.before] == ["region"]


def test_the_settings_of_a_step(
    project: Path, printed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBCI_STEP", "watch")
    rules = [{"metric": "rows", "between": [1, 99], "name": "volume"}]
    settings = {"model": "wine", "data": "today.csv", "out": "build/watch", "rules": rules}
    code, lines, _ = printed("--settings", json.dumps(settings))
    assert code == 3
    assert lines[0].endswith("rows is 100, between 1 and 99: misses by 1")
    path = project / "build/watch/monitor.json"
    result = from_json(path.read_bytes(), MonitorResult, str(path))
    assert (result.step, result.gates[0].gate) == ("watch", "volume")


def test_history_shows_windows_and_names_what_is_broken(project: Path, printed: Any) -> None:
    assert printed("wine", "--history")[1] == ["no window of wine was judged here"]
    printed("wine", "--data", "moved.csv")
    broken = results_folder(project, "wine") / "20200101T000000Z-0000/monitor.json"
    broken.parent.mkdir()
    broken.write_text("{")
    code, lines, err = printed("wine#production", "--history")
    assert code == 0
    assert len(lines) == 2
    assert "REFUSED" in lines[1]
    assert "20200101T000000Z-0000/monitor.json is left out" in err
    # What is broken keeps nobody from judging.
    assert printed("wine", "--data", "today.csv")[0] == 0


def test_only_the_newest_results_are_kept(
    project: Path, printed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "_KEPT", 2)
    folder = results_folder(project, "wine")
    # Of the two forms of ids, the one of before would sort behind the other as a text.
    ids = ("20210101T000000Z-0000", "20210101-000001-000ffff", "20210101-000001-0010000")
    for each in ids:
        old = folder / each / "images"
        old.mkdir(parents=True)
        (old / "a.png").touch()
    (folder / "notes").mkdir()
    assert printed("wine", "--data", "today.csv")[0] == 0
    left = sorted(path.name for path in folder.iterdir())
    assert len(left) == 3
    assert left[0] == ids[2]
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{7}", left[1])
    assert left[2] == "notes"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [{drift: {at_mots: 1}}]", "rules.yaml, line 1, column 18: unknown key 'at_mots'"),
        ("rules: [{drift: {share: 2}}]", "rules.yaml, line 1"),
        ("rules: [{drift: {significant: true}}]", "line 1, column 31: significant: true does"),
        ("rules: [{metric: rows}]", "the gate asks nothing of rows, in rule 1"),
        ("rules: []", "rules.yaml"),
        ("other: 1", "neither `rules:` nor steps"),
        ("steps: {a: {notebook: a.ipynb}}", "the pipeline has no monitors"),
    ],
)
def test_rules_that_are_none_are_refused(
    project: Path, printed: Any, text: str, message: str
) -> None:
    (project / "rules.yaml").write_text(text)
    code, lines, err = printed("wine", "--data", "today.csv", "--rules", "rules.yaml")
    assert (code, lines) == (2, [])
    assert message in err


def test_rules_of_a_pipeline(project: Path, printed: Any) -> None:
    (project / "watch.yaml").write_text(
        "steps: {w: {monitor: {model: wine, log: l, rules: [{metric: rows, at_least: 500}]}}}"
    )
    code, lines, _ = printed("wine", "--data", "today.csv", "--rules", "watch.yaml")
    assert code == 3
    assert "rows is 100, at least 500: misses by 400" in lines[0]


@pytest.mark.parametrize(
    "words",
    [
        ("wine",),
        ("--data", "today.csv"),
        ("wine", "--data", "nowhere.csv"),
        ("wine", "--log", "nowhere"),
        ("wine", "--data", "today.csv", "--rules", "nowhere.yaml"),
        ("wi ne", "--data", "today.csv"),
        ("--settings", "{"),
        ("--settings", "[]"),
    ],
)
def test_wrong_usage_says_so(project: Path, printed: Any, words: tuple[str, ...]) -> None:
    code, lines, err = printed(*words)
    assert (code, lines) == (2, [])
    assert err.startswith("nbci: error: ")
    assert "Traceback" not in err
