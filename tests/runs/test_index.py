from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nbci.config import Project
from nbci.errors import UsageError
from nbci.pipeline.formulas import evaluate, parse
from nbci.pipeline.rules import DeclaredMetric, Direction
from nbci.plan.model import Plan, PlannedStep
from nbci.records.git_state import GitState
from nbci.records.run_record import Metric, ParameterValue, RunRecord, StepRecord
from nbci.runs.folder import RunFolder
from nbci.runs.index import RunIndex, find_runs, note_run
from nbci.runs.search import Known, query, trials_of

NOWHERE = Path("/nowhere")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path)


def record_of(number: int, params: dict[str, Any] | None = None, **metrics: float) -> RunRecord:
    """A run whose metrics are given as STEP__NAME or NAME (of step `train`)."""
    steps: dict[str, list[Metric]] = {"train": []}
    for name, value in metrics.items():
        step, _, short = name.rpartition("__")
        steps.setdefault(step or "train", []).append(
            Metric(name=short or name, value=value, source="cell")
        )
    return RunRecord(
        run=f"20261121-{number:06}-000abcd",
        pipeline="digits",
        target="digits.ipynb",
        result="passed",
        nbci="0",
        started_utc="2026-11-21T14:00:00.000Z",
        seconds=float(number),
        git=GitState(commit="abc", branch="main", dirty=number % 2 == 1),
        params=tuple(
            ParameterValue(name=name, value=value, source="-p")
            for name, value in (params or {}).items()
        ),
        steps=tuple(
            StepRecord(name=name, result="passed", metrics=tuple(found))
            for name, found in steps.items()
        ),
    )


def write(project: Project, record: RunRecord, sweep: Path | None = None) -> RunFolder:
    runs = project.runs_folder if sweep is None else sweep / "runs"
    folder = RunFolder(runs / record.run)
    steps = tuple(
        PlannedStep(
            name=step.name, notebook="n.ipynb", kernel="python3", language="python", cells=()
        )
        for step in record.steps
    )
    folder.write_plan(Plan(pipeline=record.pipeline, target=record.target, steps=steps))
    for step in record.steps:
        folder.write_step(step)
    folder.write_run(record)
    return folder


def found(
    project: Project, where: str | None = None, sort: str | None = None, limit: int = 100
) -> list[int]:
    """The numbers of the runs that a search finds."""
    rows = find_runs(project, where=where, sort=sort, limit=limit)
    return [int(row.run.split("-")[1]) for row in rows if row.problem is None]


def test_the_newest_first(project: Project) -> None:
    for number in (1, 3, 2):
        write(project, record_of(number, f1=0.5))
    assert found(project) == [3, 2, 1]
    assert found(project, limit=2) == [3, 2]


def test_no_runs_at_all(project: Project) -> None:
    assert found(project) == []


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ("accuracy > 0.9", [3, 2]),
        ("accuracy >= 0.95 or C == 1", [3, 1]),
        ("0.9 < accuracy < 0.95", [2]),
        ("not accuracy > 0.9", [1]),
        ("train:accuracy > 0.9 and eval:accuracy < 1", []),
        ("accuracy - 0.9 > 0.04", [3]),
        ("seconds % 2 == 1", [3, 1]),
        ("C in [1, 100]", [3, 1]),
        ("kernel == 'rbf'", [2]),
        ("kernel in ['rbf', 'poly']", [3, 2]),
        ("'b' in kernel", [2]),
        ("kernel > 5", []),
        ("params.C == 10", [2]),
        ("dirty and branch == 'main'", [3, 1]),
        ("result != 'passed'", []),
        ('kernel == "x\' OR 1=1 --"', []),
        ("loss is None", [4, 3, 2, 1]),
        ("accuracy == None", [4]),
    ],
)
def test_a_search(project: Project, where: str, numbers: list[int]) -> None:
    write(project, record_of(1, {"C": 1, "kernel": "linear"}, accuracy=0.5))
    write(project, record_of(2, {"C": 10, "kernel": "rbf"}, accuracy=0.94))
    write(project, record_of(3, {"C": 100, "kernel": "poly"}, accuracy=0.98))
    write(project, record_of(4, loss=math.nan, train__accuracy=0.9, eval__accuracy=1.0))
    assert found(project, where) == numbers


def test_a_short_name_that_two_steps_use_is_none(project: Project) -> None:
    write(project, record_of(1, train__accuracy=0.9, eval__accuracy=1.0))
    write(project, record_of(2, train__accuracy=0.9))
    assert found(project, "accuracy > 0.5") == [2]
    assert found(project, "eval:accuracy > 0.5") == [1]


def test_sorted_by_a_metric_those_without_it_are_left_out(project: Project) -> None:
    for number, value in enumerate((0.5, 0.9, math.inf, 0.7), 1):
        write(project, record_of(number, accuracy=value))
    write(project, record_of(5, other=1.0))
    assert found(project, sort="-accuracy", limit=3) == [3, 2, 4]
    assert found(project, sort="accuracy") == [1, 4, 2, 3]
    assert found(project, sort="-seconds", limit=1) == [5]


def write_declared(project: Project, record: RunRecord, **ways: Direction) -> None:
    """A run whose plan says of metrics which way is better."""
    folder = write(project, record)
    declared = {name: DeclaredMetric(direction=way) for name, way in ways.items()}
    folder.write_plan(replace(folder.read_plan(), metrics=declared))


def test_a_metric_of_several_steps_is_the_best_of_them(project: Project) -> None:
    write_declared(project, record_of(1, fit_a__auc=0.5, fit_b__auc=0.9), auc="up")
    write_declared(project, record_of(2, fit_a__auc=0.8, fit_b__auc=0.7, x__auc=1.0), auc="up")
    write_declared(project, record_of(3, fit_a__auc=math.nan, fit_b__auc=0.6), auc="up")
    write_declared(project, record_of(4, x__auc=1.0), auc="up")
    assert found(project, sort="-fit_*:auc") == [1, 2, 3]
    assert found(project, "fit_*:auc > 0.75", sort="fit_*:auc") == [2, 1]
    assert found(project, "*:auc == 1 and x:auc < 2") == [4, 2]
    rows = find_runs(project, sort="-fit_*:auc", limit=9)
    assert [row.best_of for row in rows] == [
        {"fit_*:auc": name} for name in ("fit_b:auc", "fit_a:auc", "fit_b:auc")
    ]


def test_the_best_of_several_steps_is_the_lowest_where_less_is_better(project: Project) -> None:
    write_declared(project, record_of(1, fit_a__loss=0.5, fit_b__loss=0.9), loss="down")
    write_declared(project, record_of(2, fit_a__loss=0.8, fit_b__loss=0.7), loss="down")
    assert found(project, "fit_*:loss < 0.6") == [1]
    assert found(project, sort="fit_*:loss") == [1, 2]


@pytest.mark.parametrize("declared", [{}, {"fit_a:auc": "up"}, {"fit_a:auc": "up", "auc": "down"}])
def test_without_one_direction_nothing_is_the_best(
    project: Project, declared: dict[str, Direction]
) -> None:
    write_declared(project, record_of(1, fit_a__auc=0.5, fit_b__auc=0.9), **declared)
    with pytest.raises(UsageError) as caught:
        found(project, sort="fit_*:auc")
    assert "so none of fit_a:auc, fit_b:auc is the best" in caught.value.message
    assert "metrics: {auc: {direction: up}}" in str(caught.value.hint)


def test_a_pattern_that_no_metric_is_like_names_those_there_are(project: Project) -> None:
    write(project, record_of(1, fit_a__auc=0.5))
    with pytest.raises(UsageError) as caught:
        found(project, "fot_*:auc > 1")
    assert "there are fit_a:auc" in str(caught.value.hint)


def test_the_trials_of_a_sweep_are_searched_by_themselves(project: Project) -> None:
    write(project, record_of(1, accuracy=0.5))
    sweep = project.root / ".nbci/sweeps/S"
    for number, accuracy in ((2, 0.9), (3, 0.8), (4, 0.7)):
        write(project, record_of(number, {"C": number}, accuracy=accuracy), sweep)
    assert found(project, "accuracy > 0") == [1]
    rows = find_runs(project, where="C < 4", sort="accuracy", limit=9, sweep=sweep)
    assert [row.params for row in rows] == [{"C": 3.0}, {"C": 2.0}]


def test_a_sweep_is_named_beside_the_other_conditions() -> None:
    assert trials_of("C > 1") == (None, parse("C > 1"))
    assert trials_of('sweep == "S"') == ("S", None)
    assert trials_of('C > 1 and "S" == sweep') == ("S", parse("C > 1"))
    assert trials_of('C > 1 and sweep == "S" and a < b') == ("S", parse("C > 1 and a < b"))
    assert trials_of("params.sweep == 'x'") == (None, parse("params.sweep == 'x'"))


@pytest.mark.parametrize(
    "where", ["sweep != 'S'", "sweep == 'S' or C > 1", "sweep == 'A' and sweep == 'B'", "sweep > 3"]
)
def test_other_questions_about_sweeps_are_refused(where: str) -> None:
    with pytest.raises(UsageError, match="for the trials of one sweep"):
        trials_of(where)


@pytest.mark.parametrize(
    ("where", "hint"), [("acuracy > 1", "'accuracy'"), ("kernl == 'x'", "'kernel'")]
)
def test_an_unknown_name_names_the_nearest(project: Project, where: str, hint: str) -> None:
    write(project, record_of(1, {"kernel": "x"}, accuracy=1.0))
    with pytest.raises(UsageError) as caught:
        found(project, where)
    assert hint in (caught.value.hint or "")


_NUMBERS = st.floats(-100, 100, allow_nan=False).map(lambda number: round(number, 2))
_OPERATORS = st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "< b <", "+ 1 <", "* 2 >"])
_TERMS = st.one_of(st.sampled_from(["a", "b", "train:a"]), _NUMBERS.map(str))
_CONDITIONS = st.recursive(
    st.builds("({} {} {})".format, _TERMS, _OPERATORS, _TERMS),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=5,
)


@given(where=_CONDITIONS, a=_NUMBERS, b=_NUMBERS)
def test_sql_decides_as_the_grammar_does(where: str, a: float, b: float) -> None:
    project = Project(root=NOWHERE)
    with RunIndex(project) as index:
        index.add([record_of(1, a=a, b=b)])
        rows = index.find(
            query(Known(metrics=index.names("metric"), params=()), where=where, limit=9)
        )
    values = {"a": a, "b": b, "train:a": a}
    assert bool(rows) == bool(evaluate(parse(where), values.__getitem__))


def test_a_run_that_was_noted_is_not_read(project: Project) -> None:
    folder = write(project, record_of(1, accuracy=0.9))
    note_run(project, record_of(1, accuracy=0.9))
    plan = folder.path / "plan.json"
    before = plan.stat()
    plan.write_text("{", encoding="utf-8")
    os.utime(plan, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert found(project, "accuracy == 0.9") == [1]


def test_runs_that_are_gone_are_forgotten(project: Project) -> None:
    for number in (1, 2):
        write(project, record_of(number, accuracy=0.9))
    assert found(project) == [2, 1]
    shutil.rmtree(project.runs_folder / record_of(1).run)
    assert found(project, "accuracy > 0") == [2]


def test_a_run_that_went_on_is_read_again(project: Project) -> None:
    folder = write(project, replace(record_of(1), result="running"))
    folder.hold()
    assert found(project, "result == 'running'") == [1]
    write(project, record_of(1, accuracy=0.9))
    folder.release()
    assert found(project, "accuracy > 0") == [1]


def test_a_record_that_cannot_be_read_is_told(project: Project) -> None:
    folder = write(project, record_of(1))
    write(project, record_of(2))
    (folder.path / "run.json").write_text('{"format": 99}')
    with RunIndex(project) as index:
        index.catch_up()
        rows = index.find(query(Known(metrics=(), params=()), limit=9))
    assert [row.problem is None for row in rows] == [True, False]


def test_a_run_that_is_all_reuse_has_the_metrics_of_the_one_it_names(project: Project) -> None:
    first = write(project, record_of(1, accuracy=0.9))
    header = json.loads((first.path / "run.json").read_bytes())
    second = project.runs_folder / record_of(2).run
    second.mkdir()
    (second / "run.json").write_text(
        json.dumps(header | {"run": second.name, "same_as": first.run})
    )
    assert found(project, "accuracy == 0.9") == [2, 1]


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1000, None])
def test_a_damaged_index_is_made_again(project: Project, damage: bytes | None) -> None:
    write(project, record_of(1, accuracy=0.9))
    assert found(project) == [1]
    path = project.root / ".nbci" / "index.sqlite"
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    assert found(project, "accuracy > 0") == [1]


def test_an_index_of_another_form_is_made_again(project: Project) -> None:
    write(project, record_of(1, accuracy=0.9))
    assert found(project) == [1]
    with sqlite3.connect(project.root / ".nbci" / "index.sqlite") as connection:
        connection.execute("PRAGMA user_version = 77")
    connection.close()
    assert found(project, "accuracy > 0") == [1]


@pytest.mark.needs("ordinary-user")
def test_a_project_that_cannot_be_written_is_searched_all_the_same(project: Project) -> None:
    write(project, record_of(1, accuracy=0.9))
    (project.root / ".nbci").chmod(0o555)
    try:
        assert found(project, "accuracy > 0") == [1]
    finally:
        (project.root / ".nbci").chmod(0o755)


def test_a_place_where_no_index_can_be_is_searched_all_the_same(project: Project) -> None:
    write(project, record_of(1, accuracy=0.9))
    (project.root / ".nbci" / "index.sqlite").mkdir()
    assert found(project, "accuracy > 0") == [1]


def test_an_index_that_another_process_holds_neither_fails_nor_loses_a_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a backup does, or a copy on a share."""
    monkeypatch.setattr("nbci.runs.index_file._BUSY_SECONDS", 0.1)
    write(project, record_of(1, accuracy=0.9))
    assert found(project, "accuracy > 0") == [1]
    holder = sqlite3.connect(project.root / ".nbci" / "index.sqlite", isolation_level=None)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        write(project, record_of(2, accuracy=0.8))
        note_run(project, record_of(2, accuracy=0.8))
        assert found(project, "accuracy > 0") == [2, 1]
    finally:
        holder.close()
    assert found(project, "accuracy > 0") == [2, 1]


def test_rebuilding_gives_the_same(project: Project) -> None:
    for number in (1, 2):
        write(project, record_of(number, {"C": number}, accuracy=number / 10))
    before = found(project, "accuracy > 0 and C > 0")
    with RunIndex(project) as index:
        assert index.rebuild() == 2
    assert found(project, "accuracy > 0 and C > 0") == before


_WRITER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from tests.runs.test_index import record_of
from nbci.config import Project
from nbci.runs.index import note_run
for number in range(40):
    note_run(Project(root=Path(sys.argv[1])), \
record_of(int(sys.argv[2]) * 100 + number, accuracy=0.5))
"""


def test_many_processes_write_at_once(project: Project) -> None:
    (project.root / ".nbci").mkdir()
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(project.root), str(at), *sys.path])
        for at in range(4)
    ]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    with RunIndex(project) as index:
        rows = index.find(
            query(
                Known(metrics=index.names("metric"), params=()), where="accuracy == 0.5", limit=999
            )
        )
    assert len(rows) == 160
