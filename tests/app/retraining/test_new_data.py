"""New data for a retraining: rows of a request log with labels, as a version under DVC."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from nbci.app.retraining.append_rows import Layout, append_rows, table_columns
from nbci.app.retraining.model_in_use import ModelInUse
from nbci.app.retraining.new_data import NothingNew, refuse_changed, take_new_data
from nbci.cli.main import run
from nbci.config import find_project
from nbci.errors import UsageError
from nbci.git.process import Git
from nbci.logged.labels import labels_folder
from nbci.project.sources import read_target
from nbci.records.manifest import Manifest, Promoter
from nbci.registry.decisions import read_decisions
from nbci.runs.project_runs import find_run
from tests.support.dvc import make_repository
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOON = 1_795_953_600.0  # 2026-11-29T12:00:00Z
LEARN = """\
import csv, hashlib, json
rows = list(csv.DictReader(open('data/table.csv')))
side = {r['id']: int(hashlib.sha256(r['id'].encode()).hexdigest()[:8], 16) / 2**32 for r in rows}
y = [float(r['y']) for r in rows if side[r['id']] >= 0.5]
guess = sum(y) / len(y)
def error(origin):
    wrong = [abs(float(r['y']) - guess) for r in rows
             if side[r['id']] < 0.5 and r.get('origin', 'old') == origin]
    return sum(wrong) / len(wrong) if wrong else 9.0
json.dump({'guess': guess}, open('model.json', 'w'))
json.dump({'error_new': error('new'), 'error_old': error('old')}, open('metrics.json', 'w'))
"""
PIPELINE = """\
params: {log: logs}
steps:
  learn:
    {notebook: learn.ipynb, deps: [data/table.csv], outs: [model.json], metrics: [metrics.json]}
metrics: {error_new: {direction: down}, error_old: {direction: down}}
gates:
  - {metric: error_new, baseline: champion, better: true}
  - {metric: error_old, baseline: champion, max_rise: 3}
models:
  guess: {path: model.json, stage: production, framework: plain}
triggers: {monitor: {pipeline: watch.yaml, at_most_every: 1s}}
retrain:
  data: {table: data/table.csv, log: "${log}", label: y, origin: origin}
"""
TABLE = "id,x,y\n" + "".join(f"{n},{n}.50,1.0\n" for n in range(8))


def write_log(folder: Path, first: int, values: Sequence[float]) -> None:
    """A file of the request log, in which the model has answered."""
    table = pa.table(
        {
            "time": [NOON + first + at for at in range(len(values))],
            "request": [f"r{first + at}" for at in range(len(values))],
            "row": pa.array([0] * len(values), pa.int32()),
            "version": ["v1.0.0"] * len(values),
            "x": values,
        }
    )
    path = folder / "guess" / f"2026-11-29T12-{first}-0.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def label(folder: Path, first: int, values: Sequence[float]) -> None:
    place = labels_folder(folder, "guess")
    place.mkdir(exist_ok=True)
    table = pa.table(
        {
            "request": [f"r{first + at}" for at in range(len(values))],
            "row": pa.array([0] * len(values), pa.int32()),
            "label": values,
            "added": [NOON] * len(values),
        }
    )
    pq.write_table(table, place / f"{first}.parquet")


@pytest.fixture(scope="module")
def table_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a table under DVC, in production."""
    root = tmp_path_factory.mktemp("new-data")
    project = root / "project"
    write_notebook(project / "learn.ipynb", [LEARN])
    (project / "learn.yaml").write_text(PIPELINE)
    (project / ".gitignore").write_text("/data/table.csv\n/model.json\n/metrics.json\n/logs\n")
    (project / "data").mkdir()
    (project / "data/table.csv").write_text(TABLE)
    digest = hashlib.md5(TABLE.encode()).hexdigest()
    (project / "data/table.csv.dvc").write_text(
        f"outs:\n- md5: {digest}\n  size: {len(TABLE)}\n  hash: md5\n  path: table.csv\n"
    )
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text(
        f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {root}/remote\n"
    )
    (project / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (root / "remote").mkdir()
    subprocess.run(["git", "init", "-q", "--bare", root / "origin.git"], check=True)
    subprocess.run(["git", "init", "-q", project], check=True)
    git = Git(project)
    git("add", ".")
    git("commit", "-qm", "a table")
    git("remote", "add", "origin", str(root / "origin.git"))
    git("push", "-q", "origin", "main")
    return project


@pytest.mark.slow
def test_labelled_rows_become_a_version_that_the_run_learns_from(
    table_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, git = table_project, Git(table_project)
    monkeypatch.setenv("NBCI_CACHE", str(folder.parent / "cache"))
    monkeypatch.chdir(folder)
    for name in ("BRANCH_NAME", "GIT_BRANCH", "GIT_LOCAL_BRANCH", "BUILD_URL"):
        monkeypatch.delenv(name, raising=False)

    def retrain(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        code = run(["retrain", "guess", "--yes", "--json", *words])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        document: dict[str, Any] = json.loads(printed.out)
        return document

    assert run(["run", "learn.yaml", "--quiet"]) == 0
    assert run(["promote", "latest"]) == 0

    # the world has moved: y is 5 now; two rows have no label yet
    write_log(folder / "logs", 0, [9.0] * 10)
    nothing = retrain()
    assert nothing["start"] is False
    assert "no labelled row of logs is new" in nothing["sentence"]
    assert read_decisions(git, "guess")[-1].state == "failed"
    label(folder / "logs", 0, [5.0] * 8)

    document = retrain("--promote")
    data = document["data"]
    assert (data["before"], data["added"]) == (8, 8)
    assert document["outcome"] == "promoted"

    # the user's own files are as they were, and the tree is clean
    assert (folder / "data/table.csv").read_text() == TABLE
    assert git("status", "--porcelain") == ""
    # the run read that version, and the release's commit has it: stock DVC gets it from there
    (step,) = find_run(find_project(folder), document["run"]).read().steps
    digests = {ref.path: ref.digest for ref in step.deps}
    digest = data["files"]["data/table.csv"]
    assert digests["data/table.csv"] == digest
    tag = f"guess@{document['promotion']['version']}"
    assert f"md5: {digest}" in git("show", operands=[f"{tag}:data/table.csv.dvc"])
    got = folder.parent / "remote/files/md5" / digest[:2] / digest[2:]
    lines = got.read_text().splitlines()
    assert lines[:2] == ["id,x,y,origin", "0,0.50,1.0,old"]
    assert lines[9] == "r0.0,9.0,5.0,new"
    # both numbers, beside the champion's
    (*_, passed, _promoted) = read_decisions(git, "guess")[-1].events
    assert "error_new better than champion: 1.5" in passed.sentence
    assert "guess@v1.0.0 in production has 9" in passed.sentence
    assert "error_old at most 3 above champion" in passed.sentence

    # the next one goes on from there, and adds only what is new; on an agent the log lies elsewhere
    label(folder / "logs", 8, [5.0] * 2)
    elsewhere = folder.parent / "var/log"
    elsewhere.parent.mkdir()
    (folder / "logs").rename(elsewhere)
    monkeypatch.setenv("NBCI_PARAM_LOG", str(elsewhere))
    # a clone has nothing but the remote
    for folder_of_objects in (folder / ".dvc/cache", folder.parent / "cache"):
        shutil.rmtree(folder_of_objects, ignore_errors=True)
    monkeypatch.setenv("NBCI_PARAM_WINDOW", "of the pipeline that watches")
    data = retrain("--hand-over")["data"]
    assert (data["before"], data["added"]) == (16, 2)
    assert data["source"] == str(elsewhere)

    leave_and_change(folder, data["imports"]["data/table.csv.dvc"])


def leave_and_change(folder: Path, left: str) -> None:
    """What a killed retraining has left is put back; what a person has changed is not touched."""
    project, git, name = find_project(folder), Git(folder), "data/table.csv.dvc"
    committed = (folder / name).read_text()
    (folder / name).write_text(left)
    (folder / "data/table.csv").unlink()
    refuse_changed(project, git, "guess", [name])
    assert (folder / name).read_text() == committed
    (folder / "data/table.csv").write_text("mine")
    with pytest.raises(UsageError, match="somebody has changed it"):
        refuse_changed(project, git, "guess", [name])
    (folder / name).write_text(committed.replace("md5: ", "md5: 0"))
    with pytest.raises(UsageError, match="not as the commit has it"):
        refuse_changed(project, git, "guess", [name])
    assert (folder / "data/table.csv").read_text() == "mine"


@pytest.mark.slow
def test_imports_are_brought_up_to_date_and_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, source = make_repository(tmp_path / "project"), tmp_path / "source.csv"
    write_notebook(folder / "learn.ipynb", ["open('data/table.csv').read()"])
    (folder / "learn.yaml").write_text(
        "steps: {learn: {notebook: learn.ipynb, deps: [data/table.csv]}}\n"
        "models: {guess: {path: model.json}}\nretrain: {data: {update: [data/table.csv]}}\n"
    )
    source.write_text("one\n")
    monkeypatch.setenv("NBCI_CACHE", str(tmp_path / "cache"))
    (folder / "data").mkdir()
    monkeypatch.chdir(folder)
    # as `dvc import-url` leaves it, which would take a second
    (folder / "data/table.csv").write_text("one\n")
    first = hashlib.md5(b"one\n").hexdigest()
    version = f"md5: {first}\n  size: 4\n  hash: md5\n"
    (folder / "data/table.csv.dvc").write_text(
        f"frozen: true\ndeps:\n- {version}  path: {source}\nouts:\n- {version}  path: table.csv\n"
    )
    (folder / "data/.gitignore").write_text("/table.csv\n")
    git = Git(folder)
    git("add", ".")
    git("commit", "-qm", "an import")
    model = ModelInUse(
        project=find_project(folder),
        git=git,
        name="guess",
        commit=git("rev-parse", operands=["HEAD"]),
        manifest=Manifest(
            model="guess",
            version="v1.0.0",
            run="R",
            pipeline="learn",
            target="learn.yaml",
            commit=git("rev-parse", operands=["HEAD"]),
            promoted_utc="2026-01-01T00:00:00Z",
            by=Promoter(name="A", email="a@b.c"),
            nbci="0",
        ),
        pipeline=read_target("learn.yaml").pipeline,
    )
    with pytest.raises(NothingNew, match="has not changed where it came from"):
        take_new_data(model)
    source.write_text("one\ntwo\n")
    data = take_new_data(model)
    assert data is not None
    digest = hashlib.md5(source.read_bytes()).hexdigest()
    assert data.files == {"data/table.csv": digest}
    assert f"md5: {digest}" in data.imports["data/table.csv.dvc"]
    assert (folder / "data/table.csv").read_text() == "one\n"
    assert git("status", "--porcelain") == ""

    # a release that has learnt from it makes it no news, whatever the branch has
    (folder / "data/table.csv.dvc").write_text(data.imports["data/table.csv.dvc"])
    git("commit", "-qam", "release")
    released = git("rev-parse", operands=["HEAD"])
    git("reset", "-q", "--hard", "HEAD~1")
    with pytest.raises(NothingNew):
        take_new_data(replace(model, commit=released))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_each_form_keeps_its_rows(tmp_path: Path, suffix: str) -> None:
    base, target = tmp_path / f"base{suffix}", tmp_path / f"target{suffix}"
    old = [{"id": "a", "x": "1.50", "y": "0"}, {"id": "b", "x": "2", "y": "1"}]
    write(base, old)
    layout = Layout(path=f"data/t{suffix}", origin="origin")
    assert table_columns(layout, base) == ("id", "x", "y")
    new = [{"id": "b", "x": "7", "y": "1"}, {"id": "c", "x": "8", "y": "0"}]
    appended = append_rows(layout, base, target, new)
    assert (appended.before, appended.added, appended.known) == (2, 1, 1)
    rows = read(target)
    assert [row["x"] for row in rows] == ["1.50", "2", "8"]
    assert [row["origin"] for row in rows] == ["old", "old", "new"]

    # what was new is old once others come
    append_rows(layout, target, base, [{"id": "d", "x": "9", "y": "1"}])
    assert [row["origin"] for row in read(base)] == ["old", "old", "old", "new"]


def write(path: Path, rows: list[dict[str, str]]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        mark = "," if path.suffix == ".csv" else "\t"
        lines = [mark.join(rows[0]), *(mark.join(row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    mark = "," if path.suffix == ".csv" else "\t"
    head, *lines = [line.split(mark) for line in path.read_text().splitlines()]
    return [dict(zip(head, line, strict=True)) for line in lines]


def test_what_cannot_be_appended_to_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("x,y\n1,2\n")
    with pytest.raises(UsageError, match="no column 'id' that names its rows"):
        table_columns(Layout(path="t.csv"), table)
    table.write_text("id,y\n1\n")
    with pytest.raises(UsageError, match="row 1 has 1 values, and the head 2"):
        append_rows(Layout(path="t.csv"), table, tmp_path / "new", [])
    with pytest.raises(UsageError, match=r"\.csv, \.tsv, \.jsonl and \.parquet"):
        table_columns(Layout(path="t.xlsx"), table)
