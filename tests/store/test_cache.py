"""Files taken from the cache by one run need not be looked up by the next.

They are looked up once something was added or removed since.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.records.codec import to_json_line
from nbci.records.run_record import Metric, StepRecord
from nbci.runs.reused import ReusedSteps
from nbci.store.cache import Cache
from nbci.store.file_index import FileIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEY = "ab" * 32
_RECORD = StepRecord(
    name="s", result="passed", key=_KEY, run="first", ended_utc="2026-01-01T00:00:00.000Z"
)
_LATER = replace(_RECORD, run="second", ended_utc="2026-01-02T00:00:00.000Z")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache with one result, which was there before any run took it."""
    cache = Cache(tmp_path / "cache")
    keep(cache, _RECORD, tmp_path)
    os.utime(cache.entry(_RECORD).parent, (1, 1))
    return cache


@pytest.fixture
def reused(tmp_path: Path) -> Iterator[ReusedSteps]:
    """What a run took over: a step of another name."""
    reused = ReusedSteps(tmp_path / "reused.jsonl")
    text = to_json_line(_RECORD)
    reused.add(replace(_RECORD, name="mine", result="reused", reason="as it was"), text)
    reused.flush()
    yield reused
    reused.close()


def keep(cache: Cache, record: StepRecord, folder: Path) -> None:
    (folder / "notebook").write_text(record.run or "")
    cache.keep(record, folder / "notebook", FileIndex(folder / "digests"))


def found(cache: Cache) -> list[StepRecord]:
    return [record for record, _ in cache.records(_KEY)]


def test_what_was_taken_is_known_without_a_look(cache: Cache, reused: ReusedSteps) -> None:
    cache.recall(reused.originals(), reused.written_ns)
    cache.entry(_RECORD).write_text("what is kept is not read")
    record, text = next(cache.records(_KEY))
    assert record == _RECORD
    assert text == to_json_line(_RECORD).strip()


def test_a_newer_result_goes_first(cache: Cache, reused: ReusedSteps, tmp_path: Path) -> None:
    cache.recall(reused.originals(), reused.written_ns)
    keep(cache, _LATER, tmp_path)
    assert found(cache) == [_LATER, _RECORD]


def test_a_result_that_was_removed_is_gone(cache: Cache, reused: ReusedSteps) -> None:
    cache.recall(reused.originals(), reused.written_ns)
    cache.entry(_RECORD).unlink()
    assert found(cache) == []


def test_a_cache_that_was_removed_is_gone(cache: Cache, reused: ReusedSteps) -> None:
    cache.recall(reused.originals(), reused.written_ns)
    (cache.root / "results").rename(cache.root / "elsewhere")
    assert found(cache) == []


def test_what_holds_nan_is_looked_up(cache: Cache, reused: ReusedSteps, tmp_path: Path) -> None:
    odd = replace(
        _RECORD, key="cd" * 32, metrics=(Metric(name="m", value=float("nan"), source="metrics"),)
    )
    reused.add(odd, to_json_line(odd))
    reused.flush()
    assert [record.key for record, _ in reused.originals()] == [_KEY]
    keep(cache, odd, tmp_path)
    cache.recall(reused.originals(), reused.written_ns)
    assert [record.name for record, _ in cache.records("cd" * 32)] == ["s"]
