"""Which results are removed from the cache, and which are not."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.config import Project
from nbci.digests import file_digest
from nbci.dot_nbci import SWEEPS_FOLDER
from nbci.handoff.values import ValueRef
from nbci.records.run_record import StepRecord
from nbci.runs.clean_results import remove_results, unneeded_results
from nbci.runs.old_files import freed_bytes
from nbci.store.cache import Cache
from nbci.store.file_index import FileIndex
from tests.runs.test_clean_runs import SOON, make_run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without runs."""
    return Project(root=tmp_path / "project")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache."""
    return Cache(tmp_path / "cache")


def make_result(
    project: Project, cache: Cache, name: str, *, takes: tuple[ValueRef, ...] = ()
) -> StepRecord:
    """A step's result in the cache: a value, an out and a notebook."""
    place = project.root / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"what {name} wrote", encoding="utf-8")
    digest, _ = file_digest(place)
    index = FileIndex(project.root / "index.json")
    out = cache.artifacts.keep(project.root, name, index)
    value = ValueRef(
        name=name, object=file_digest(place)[0][::-1], bytes=3, type="str", group=(name,)
    )
    cache.value_path(value.object).parent.mkdir(parents=True, exist_ok=True)
    cache.value_path(value.object).write_bytes(b"abc")
    notebook = project.root / f"{name}.ipynb"
    notebook.write_text(f"notebook of {name}", encoding="utf-8")
    record = StepRecord(
        name=name,
        result="passed",
        key=digest,
        run="r",
        ended_utc="2026-01-01T00:00:00.000Z",
        takes=takes,
        gives=(value,),
        outs=(out,),
    )
    cache.keep(record, notebook, index)
    return record


def is_whole(cache: Cache, record: StepRecord) -> bool:
    parts = [cache.value_path(ref.object) for ref in record.gives] + [
        cache.own.path(ref.digest) for ref in record.outs
    ]
    notebook = cache.notebook_of(record, FileIndex(cache.root / "index"))
    there = [*(path.exists() for path in parts), notebook is not None, cache.entry(record).exists()]
    assert len(set(there)) == 1, there
    return there[0]


def test_results_of_kept_runs_stay_and_all_that_is_young(project: Project, cache: Cache) -> None:
    kept, other = make_result(project, cache, "kept"), make_result(project, cache, "other")
    run = make_run(project, replace(kept, result="reused"))
    young = unneeded_results(cache, project, [run.run], time.time() - 1000)
    assert young.paths == ()
    old = unneeded_results(cache, project, [run.run], SOON)
    assert (len(old.results), len(old.values), len(old.artifacts)) == (2, 2, 1)
    remove_results(cache, project, [run.run], SOON)
    assert is_whole(cache, kept)
    assert not is_whole(cache, other)
    assert list(cache.records(other.key or "")) == []


def test_results_of_trials_stay(project: Project, cache: Cache) -> None:
    kept, other = make_result(project, cache, "kept"), make_result(project, cache, "other")
    run = make_run(project, replace(kept, result="reused"))
    trials = project.root / SWEEPS_FOLDER / "s1" / "runs"
    trials.mkdir(parents=True)
    run.path.rename(trials / run.run)

    remove_results(cache, project, [], SOON)

    assert is_whole(cache, kept)
    assert not is_whole(cache, other)


def test_a_result_that_is_used_stays_with_what_it_took_and_gave(
    project: Project, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbci.store.cache.MARKED_AGAIN_SECONDS", 0.0)
    gone = make_result(project, cache, "gone")
    used = make_result(project, cache, "used", takes=gone.gives)
    time.sleep(0.05)  # the clock of the file system is coarse
    before = time.time() - 0.02
    cache.mark_used(used)
    remove_results(cache, project, (), before)
    assert is_whole(cache, used)
    assert cache.value_path(gone.gives[0].object).exists()
    assert not cache.entry(gone).exists()


def test_what_builds_of_forks_keep_goes_as_well(project: Project, cache: Cache) -> None:
    trusted, fork = make_result(project, cache, "trusted"), Cache(cache.root / "pr/12")
    theirs = make_result(project, fork, "theirs")
    assert not unneeded_results(cache, project, [], time.time() - 1000).paths
    run = make_run(project, trusted)
    remove_results(cache, project, [run.run], SOON)
    assert is_whole(cache, trusted)
    assert not fork.entry(theirs).exists()


def test_what_a_killed_process_left_goes(project: Project, cache: Cache) -> None:
    kept = make_result(project, cache, "kept")
    run = make_run(project, kept)
    left = [
        cache.root / "incoming/7-1/object",
        cache.root / "outgoing/7-1",
        cache.values / ".value-7-1",
        cache.own.path(kept.outs[0].digest).with_name(".nbci-7-1"),
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    remove_results(cache, project, [run.run], SOON)
    assert not any(path.exists() for path in left)
    assert is_whole(cache, kept)


def test_a_file_with_another_name_elsewhere_frees_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "own").write_bytes(b"12345")
    (tmp_path / "elsewhere").write_bytes(b"123")
    os.link(tmp_path / "elsewhere", folder / "shared")
    assert freed_bytes([folder]) == 5
    assert freed_bytes([folder, tmp_path / "elsewhere"]) == 8
    assert freed_bytes([tmp_path / "nothing"]) == 0
